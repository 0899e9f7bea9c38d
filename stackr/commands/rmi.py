"""`stackr rmi`."""

import click
from stackr_schemas.errors import StackrError

from stackr.commands.load import familiar
from stackr.invocation import Invocation


@click.command()
@click.argument("images", nargs=-1, required=True)
@click.option("-f", "--force", is_flag=True, help="By id: take all names away.")
@click.pass_obj
def rmi(invocation: Invocation, /, images: tuple[str, ...], force: bool) -> int:
    """Take names of images away; with its last name an image is deleted."""
    users: dict[str, list[str]] = {}
    for state in invocation.engine.containers:
        users.setdefault(state.image.id, []).append(state.name)
    status = 0
    for image in images:
        try:
            removed = invocation.engine.images.remove(image, users, force)
        except StackrError as error:
            invocation.say_error(error)
            status = 1
            continue
        for name in removed.untagged:
            invocation.stdout.write(f"Untagged: {familiar(name)}\n")
        for digest in removed.deleted:
            invocation.stdout.write(f"Deleted: {digest}\n")
    return status

"""`stackr import`."""

import click
from stackr_schemas.image import ImageConfig

from stackr.archives import open_input
from stackr.invocation import Invocation


@click.command("import")
@click.argument("source")
@click.argument("name", required=False, default="")
@click.option("-c", "--change", "changes", multiple=True, help="Instruction, as in a Dockerfile.")
@click.option("-m", "--message", default="imported", help="Comment in the image's history.")
@click.pass_obj
def import_(
    invocation: Invocation, /, source: str, name: str, changes: tuple[str, ...], message: str
) -> None:
    """Make an image of one layer from a folder, an archive of one, or - for standard input."""
    from stackr_engine.image.changes import changed

    config = changed(ImageConfig(), changes)
    with open_input(invocation.session, source) as opened:
        image = invocation.engine.images.import_(opened, name, config, message)
    invocation.stdout.write(f"{image}\n")

"""`stackr save`."""

import click

from stackr.archives import write_output
from stackr.invocation import Invocation


@click.command()
@click.argument("images", nargs=-1, required=True)
@click.option("-o", "--output", "file", help="Write to this file instead of standard output.")
@click.pass_obj
def save(invocation: Invocation, /, images: tuple[str, ...], file: str | None) -> None:
    """Save images as an archive that `stackr load`, Docker, Podman and skopeo read."""
    store = invocation.engine.images
    for image in images:
        store.get(image)  # a missing one is told before anything is written
    write_output(invocation.session, file, store.save(images))

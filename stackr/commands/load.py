"""`stackr load`."""

import click

from stackr.archives import open_input
from stackr.invocation import Invocation


@click.command()
@click.argument("archive", required=False)
@click.option("-i", "--input", "file", help="Read this file instead of standard input.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing.")
@click.pass_obj
def load(invocation: Invocation, /, archive: str | None, file: str | None, quiet: bool) -> None:
    """Load images from an archive that Docker, Podman, skopeo or `stackr save` wrote.

    ARCHIVE may be a folder in OCI layout, too.
    """
    with open_input(invocation.session, archive or file) as source:
        names = invocation.engine.images.load(source)
    for name in () if quiet else names:
        what = "image ID" if name.startswith("sha256:") else "image"
        invocation.stdout.write(f"Loaded {what}: {familiar(name)}\n")


def familiar(name: str) -> str:
    """Return a recorded name as people write it."""
    from stackr_engine.image.reference import parse_reference

    return name if name.startswith(("sha256:", "oci:")) else parse_reference(name).familiar

"""`stackr tag`."""

import click

from stackr.invocation import Invocation


@click.command()
@click.argument("source")
@click.argument("target")
@click.pass_obj
def tag(invocation: Invocation, /, source: str, target: str) -> None:
    """Give the image SOURCE one more name, TARGET."""
    invocation.engine.images.tag(source, target)

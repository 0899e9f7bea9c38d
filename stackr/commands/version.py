"""`stackr version`."""

import json

import click

from stackr.client import VERSION
from stackr.invocation import Invocation


@click.command()
@click.option("-f", "--format", "form", type=click.Choice(["pretty", "json"]), default="pretty")
@click.option("--short", is_flag=True, help="Print the number alone.")
@click.pass_obj
def version(invocation: Invocation, /, form: str, short: bool) -> None:
    """Print the version."""
    if short:
        text = VERSION
    elif form == "json":
        text = json.dumps({"version": VERSION})
    else:
        text = f"stackr version {VERSION}"
    invocation.stdout.write(text + "\n")

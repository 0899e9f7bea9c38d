"""`stackr logout`."""

import click

from stackr.commands.login import server_of
from stackr.invocation import Invocation
from stackr.registries import access_of


@click.command()
@click.argument("server", default="docker.io")
@click.pass_obj
def logout(invocation: Invocation, /, server: str) -> None:
    """Forget the credentials of a registry (Docker Hub if none is named)."""
    host = server_of(server)
    if access_of(invocation).config.erase(host):
        invocation.stdout.write(f"Removed login credentials for {host}\n")
    else:
        invocation.stdout.write(f"Not logged in to {host}\n")

"""`stackr resident`: the warm process behind every command."""

import os

import click

from stackr.invocation import Invocation


@click.group()
def resident() -> None:
    """Look at the resident process, or end it."""


@resident.command()
@click.pass_obj
def status(invocation: Invocation, /) -> None:
    """Print the resident's process id and what it looks after."""
    running = sum(state.is_running for state in invocation.engine.containers)
    total = len(list(invocation.engine.containers))
    invocation.stdout.write(
        f"resident {os.getpid()}: {running} of {total} containers running, "
        f"state in {invocation.engine.paths.state}\n"
    )


@resident.command()
@click.pass_obj
def stop(invocation: Invocation, /) -> None:
    """End the resident; containers run on, the next command starts a new one."""
    invocation.engine.close()
    invocation.session.end(0)
    os._exit(0)

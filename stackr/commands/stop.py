"""`stackr stop`."""

import click

from stackr.bring_up import apply_plan
from stackr.invocation import Invocation
from stackr.options import duration_option
from stackr.teardown import plan_stop


@click.command()
@click.argument("services", nargs=-1)
@duration_option("-t", "--timeout", help="Seconds that a container may take to stop.")
@click.pass_obj
def stop(invocation: Invocation, /, services: tuple[str, ...], timeout: int | None) -> None:
    """Stop containers without removing them."""
    with invocation.engine.project_lock(invocation.project_name):
        apply_plan(invocation, plan_stop(invocation.containers(services)), timeout)

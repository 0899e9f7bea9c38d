"""`stackr restart`."""

import click

from stackr.actions import Restart
from stackr.bring_up import apply_plan
from stackr.invocation import Invocation
from stackr.options import duration_option
from stackr.plan import Plan


@click.command()
@click.argument("services", nargs=-1)
@duration_option("-t", "--timeout", help="Seconds that a container may take to stop.")
@click.pass_obj
def restart(invocation: Invocation, /, services: tuple[str, ...], timeout: int | None) -> None:
    """Restart containers; their addresses stay."""
    with invocation.engine.project_lock(invocation.project_name):
        plan = Plan()
        for state in invocation.containers(services):
            plan.add(Restart(state, "asked for"))
        apply_plan(invocation, plan, timeout)

"""`stackr start`."""

import click
from stackr_schemas.errors import StackrError

from stackr.actions import Start
from stackr.bring_up import apply_plan
from stackr.desired import start_order
from stackr.invocation import Invocation
from stackr.plan import Plan
from stackr.teardown import dependencies_of


@click.command()
@click.argument("services", nargs=-1)
@click.pass_obj
def start(invocation: Invocation, /, services: tuple[str, ...]) -> None:
    """Start containers that exist."""
    with invocation.engine.project_lock(invocation.project_name):
        containers = invocation.containers(services)
        if not containers:
            raise StackrError(
                f"no container of project {invocation.project_name} to start",
                hint="create and start them with `stackr up`",
            )
        order = start_order(dependencies_of(containers))
        containers.sort(key=lambda state: order.index(state.label("service")))
        plan, before = Plan(), list[int]()
        for state in containers:
            if not state.is_running:
                before = [plan.add(Start(state.name, "asked for"), before)]
        apply_plan(invocation, plan)

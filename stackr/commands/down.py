"""`stackr down`."""

from collections.abc import Iterator

import click

from stackr.bring_up import apply_plan
from stackr.invocation import Invocation
from stackr.options import duration_option
from stackr.scope import networks_of
from stackr.teardown import plan_down


@click.command()
@click.argument("services", nargs=-1)
@click.option("-v", "--volumes", is_flag=True, help="Remove the project's volumes too.")
@click.option("--remove-orphans", is_flag=True, help="Remove containers of undeclared services.")
@duration_option("-t", "--timeout", help="Seconds that a container may take to stop.")
@click.pass_obj
def down(
    invocation: Invocation,
    /,
    services: tuple[str, ...],
    volumes: bool,
    remove_orphans: bool,
    timeout: int | None,
) -> None:
    """Stop and remove containers and networks."""
    engine, name = invocation.engine, invocation.project_name
    with engine.project_lock(name):
        containers = invocation.containers(services, one_off=not services)
        declared = invocation.declared_services
        if declared is not None and not remove_orphans:
            containers = [state for state in containers if state.label("service") in declared]
        networks = [] if services else networks_of(engine, name)
        removed = list(_volumes(invocation)) if volumes and not services else []
        plan = plan_down(containers, networks, removed, anonymous_volumes=volumes)
        if not plan.actions:
            invocation.say("Warning: No resource found to remove")
        apply_plan(invocation, plan, timeout)


def _volumes(invocation: Invocation) -> Iterator[str]:
    """Name the volumes that were made for this project."""
    for volume in invocation.engine.volumes.list():
        if volume.labels.get("com.docker.compose.project") == invocation.project_name:
            yield volume.name

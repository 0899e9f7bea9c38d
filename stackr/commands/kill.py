"""`stackr kill`."""

import click
from stackr_schemas.errors import StackrError

from stackr.invocation import Invocation
from stackr.options import signal_number
from stackr.perform import Progress, Step
from stackr.progress import progress


@click.command()
@click.argument("services", nargs=-1)
@click.option("-s", "--signal", "name", default="SIGKILL", help="Signal to send.")
@click.pass_obj
def kill(invocation: Invocation, /, services: tuple[str, ...], name: str) -> None:
    """Send a signal to the first process of running containers."""
    number = signal_number(name)
    running = [state for state in invocation.containers(services) if state.is_running]
    if not running:
        raise StackrError(f"no container of project {invocation.project_name} to kill")
    with progress(invocation) as report:
        for state in running:
            invocation.engine.kill(state.id, number)
            if name in ("SIGKILL", "KILL", "9"):
                invocation.engine.live(state.id).ended.wait(10)
            report(Progress("Container", state.name, "Killed", Step.DONE))

"""`stackr watch`."""

import signal

import click

from stackr.bring_up import BringUp
from stackr.invocation import Invocation
from stackr.plan import Options
from stackr.watch.watcher import Watcher


@click.command()
@click.argument("services", nargs=-1)
@click.option("--no-up", is_flag=True, help="Leave containers as they are; do not start any.")
@click.pass_obj
def watch(invocation: Invocation, /, services: tuple[str, ...], no_up: bool) -> int:
    """Bring files into running containers as they are saved, and restart what wants that."""
    watcher = Watcher(invocation, invocation.project.select(services, with_dependencies=False))

    def end(number: int) -> None:
        if number != signal.SIGWINCH:
            watcher.stop()

    try:
        if not no_up:
            BringUp(invocation, services, options=Options()).run()
        with invocation.session.on_signal(end):
            watcher.run()
    finally:
        watcher.close()
    return 130

"""`stackr exec`."""

import os
import signal
from collections.abc import Callable
from typing import Any

import click
from stackr_engine.execution import ExecOptions
from stackr_engine.spawn.client import SpawnError
from stackr_engine.spawn.request import Executed
from stackr_schemas.errors import StackrError
from stackr_schemas.state import ContainerState

from stackr.invocation import Invocation
from stackr.relay import Relay
from stackr.scope import containers_of, number_of
from stackr.session import Session


@click.command("exec", context_settings={"allow_interspersed_args": False})
@click.argument("service")
@click.argument("command")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option("-T", "--no-TTY", "no_tty", is_flag=True, help="Do not open a terminal.")
@click.option("-d", "--detach", is_flag=True, help="Run the command in the background.")
@click.option("-e", "--env", multiple=True, help="Set a variable.")
@click.option("-u", "--user", help="Run as this user.")
@click.option("-w", "--workdir", help="Run in this folder.")
@click.option("--index", type=int, default=0, help="Which replica.")
@click.option("--privileged", is_flag=True, help="Give the command all privileges.")
@click.pass_obj
def exec_(
    invocation: Invocation,
    /,
    service: str,
    command: str,
    arguments: tuple[str, ...],
    **given: Any,
) -> int:
    """Run a command in a running container of a service."""
    session = invocation.session
    state = replica(invocation, service, given["index"])
    terminal = not given["no_tty"] and not given["detach"] and os.isatty(session.stdin)
    options = ExecOptions(
        environment=tuple(variables(given["env"], session)),
        user=given["user"],
        working_dir=given["workdir"],
        tty=terminal,
        privileged=given["privileged"],
    )
    live, words = invocation.engine.live(state.id), (command, *arguments)
    try:
        if given["detach"]:
            live.execute_detached(words, options)
            return 0
        if terminal:
            return run_on_terminal(session, lambda: live.execute(words, options))
        return run_with_pipes(session, lambda stdio: live.execute(words, options, stdio))
    except SpawnError as error:
        if error.exit_code not in (126, 127):
            raise
        invocation.say_error(error)
        return error.exit_code


def replica(invocation: Invocation, service: str, index: int) -> ContainerState:
    """Return the running container that is meant."""
    name = invocation.project_name
    found = [
        state
        for state in containers_of(invocation.engine, name, [service])
        if state.is_running and index in (0, number_of(state))
    ]
    if not found:
        number = f" container #{index}" if index else ""
        raise StackrError(f'service "{service}" is not running{number}')
    return found[0]


def variables(given: tuple[str, ...], session: Session) -> list[str]:
    """Return `NAME=value` pairs; a name alone takes its value from the user's environment."""
    environment = session.request.environment
    return [
        pair if "=" in pair else f"{pair}={environment[pair]}"
        for pair in given
        if "=" in pair or pair in environment
    ]


def run_with_pipes(session: Session, execute: Callable[[tuple[int, int, int]], Executed]) -> int:
    """Run with stdin, stdout and stderr as pipes; the client's own descriptors stay outside."""
    (in_read, in_write), (out_read, out_write), (err_read, err_write) = (
        os.pipe(),
        os.pipe(),
        os.pipe(),
    )
    try:
        process = execute((in_read, out_write, err_write))
    except BaseException:
        for fd in (in_write, out_read, err_read):
            os.close(fd)
        raise
    finally:
        for fd in (in_read, out_write, err_write):
            os.close(fd)
    relay = Relay()
    stdin = os.fdopen(in_write, "wb", 0)
    relay.add_input(session.stdin, in_write, stdin.close)
    relay.add_output(out_read, session.stdout.fileno())
    relay.add_output(err_read, session.stderr.fileno())
    try:
        return carry(session, process, relay)
    finally:
        stdin.close()
        os.close(out_read)
        os.close(err_read)


def run_on_terminal(session: Session, execute: Callable[[], Executed]) -> int:
    """Run on a new terminal in the container, with the client's terminal raw meanwhile."""
    process = execute()
    master = process.master
    if master is None:
        raise StackrError("the container opened no terminal")
    process.resize(*session.window_size())
    relay = Relay()
    relay.add_input(session.stdin, master, lambda: None)
    relay.add_output(master, session.stdout.fileno())
    session.raw_terminal(True)
    try:
        return carry(session, process, relay)
    finally:
        session.raw_terminal(False)


def carry(session: Session, process: Executed, relay: Relay) -> int:
    """Relay until the process ends; signals go to it, and the client's end is its end."""

    def handle(number: int) -> None:
        if number == signal.SIGWINCH:
            process.resize(*session.window_size())
        elif session.gone.is_set():
            process.kill()
            relay.stop()
        else:
            process.kill(number)

    relay.stop_with(process.pidfd)
    try:
        with session.on_signal(handle):
            relay.run()
        return process.wait()
    finally:
        process.close()

"""`stackr run`."""

import os
import secrets
import shlex
import signal
import socket
from typing import Any

import click
from stackr_engine.attachment import Attachment
from stackr_engine.engine import Engine
from stackr_schemas.container import ContainerSpec, RestartPolicy
from stackr_schemas.state import ContainerState

from stackr.bring_up import BringUp
from stackr.commands.exec import variables
from stackr.declare import PREFIX
from stackr.desired import DesiredContainer
from stackr.invocation import Invocation
from stackr.plan import Options
from stackr.relay import Relay
from stackr.session import Session


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("service")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--rm", "remove", is_flag=True, help="Remove the container when it ends.")
@click.option("-d", "--detach", is_flag=True, help="Run in the background and print the id.")
@click.option("-T", "--no-TTY", "no_tty", is_flag=True, help="Do not open a terminal.")
@click.option("-i/-I", "--interactive/--no-interactive", default=True, help="Keep stdin open.")
@click.option("-e", "--env", multiple=True, help="Set a variable.")
@click.option("-l", "--label", multiple=True, help="Add a label.")
@click.option("-u", "--user", help="Run as this user.")
@click.option("-w", "--workdir", help="Run in this folder.")
@click.option("--name", help="Name the container.")
@click.option("--entrypoint", help="Replace the image's entrypoint.")
@click.option("--no-deps", is_flag=True, help="Do not start what the service depends on.")
@click.option("-P", "--service-ports", is_flag=True, help="Publish the service's ports.")
@click.option("--use-aliases", is_flag=True, help="Answer to the service's names.")
@click.pass_obj
def run(invocation: Invocation, /, service: str, command: tuple[str, ...], **given: Any) -> int:
    """Run a one-off command in a new container of a service."""
    bring_up = BringUp(
        invocation,
        [service],
        options=Options(),
        with_dependencies=not given["no_deps"],
        only_around=service,
    )
    session, engine = invocation.session, invocation.engine
    terminal = not given["no_tty"] and not given["detach"] and os.isatty(session.stdin)
    wanted = bring_up.replica(service)
    spec = one_off(invocation, wanted, command, given, terminal=terminal)
    bring_up.run()
    bring_up.await_dependencies(service)
    state = engine.create(spec, wanted.image)
    if given["detach"]:
        engine.start(state.id)
        invocation.stdout.write(f"{state.id}\n")
        return 0
    try:
        return run_attached(session, engine, state)
    finally:
        if given["remove"]:
            engine.remove(state.id, volumes=True)


def one_off(
    invocation: Invocation,
    wanted: DesiredContainer,
    command: tuple[str, ...],
    given: dict[str, Any],
    *,
    terminal: bool,
) -> ContainerSpec:
    """Return the service's spec as the options change it."""
    spec, slug = wanted.spec, secrets.token_hex(6)
    labels = {**spec.labels, f"{PREFIX}oneoff": "True", f"{PREFIX}slug": slug}
    labels |= dict(label.partition("=")[::2] for label in given["label"])
    environment = dict(
        pair.partition("=")[::2] for pair in variables(given["env"], invocation.session)
    )
    changes: dict[str, Any] = {
        "name": given["name"] or f"{invocation.project.name}-{wanted.service}-run-{slug}",
        "labels": labels,
        "environment": {**spec.environment, **environment},
        "restart": RestartPolicy(),
        "tty": terminal,
        "stdin_open": given["interactive"] and not given["detach"],
        "healthcheck": None,
    }
    if command or given["entrypoint"]:
        changes["command"] = command
    if given["entrypoint"]:
        changes["entrypoint"] = tuple(shlex.split(given["entrypoint"]))
    changes |= {"user": given["user"]} if given["user"] else {}
    changes |= {"working_dir": given["workdir"]} if given["workdir"] else {}
    changes |= {} if given["service_ports"] else {"ports": ()}
    if not given["use_aliases"]:
        bare = (place.model_copy(update={"aliases": ()}) for place in spec.networks)
        changes["networks"] = tuple(bare)
    return spec.model_copy(update=changes)


def run_attached(session: Session, engine: Engine, state: ContainerState) -> int:
    """Start the container with the client's streams, and return its exit status."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with theirs:
            engine.live(state.id).start(theirs)
    except BaseException:
        ours.close()
        raise
    attachment = Attachment(ours)
    try:
        carry(session, engine, state, attachment)
    finally:
        attachment.close()
    engine.live(state.id).ended.wait()
    return engine.containers[state.id].exit_code


def carry(session: Session, engine: Engine, state: ContainerState, attachment: Attachment) -> None:
    """Relay until the container ends or the client is gone."""
    relay = Relay()
    stdout, stderr = session.stdout.fileno(), session.stderr.fileno()
    relay.add_frames(attachment.socket.fileno(), stdout, stderr)
    if attachment.stdin is not None:
        relay.add_input(session.stdin, attachment.stdin, attachment.close_stdin)

    def handle(number: int) -> None:
        if number == signal.SIGWINCH:
            attachment.resize(*session.window_size())
        elif session.gone.is_set():
            relay.stop()
        else:
            engine.live(state.id).kill(number)

    with session.on_signal(handle):
        if not state.spec.tty:
            relay.run()
            return
        attachment.resize(*session.window_size())
        session.raw_terminal(True)
        try:
            relay.run()
        finally:
            session.raw_terminal(False)

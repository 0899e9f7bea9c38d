"""The command line: global options, and verbs that are imported when they are used."""

import importlib
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import click
from stackr_schemas.errors import StackrError

from stackr.invocation import GlobalOptions, Invocation
from stackr.session import CURRENT, Interrupted, Session

COMMANDS = {
    "config": "config",
    "create": "up",
    "down": "down",
    "exec": "exec",
    "kill": "kill",
    "logs": "logs",
    "ps": "ps",
    "resident": "resident",
    "restart": "restart",
    "run": "run",
    "start": "start",
    "stop": "stop",
    "up": "up",
    "version": "version",
}
"""Verb → the module of `stackr.commands` that has a click command of this name."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called or listed."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Name all verbs."""
        return sorted(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Import one verb."""
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"stackr.commands.{COMMANDS[name]}")
        command: click.Command = getattr(module, name.replace("exec", "exec_"))
        return command


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
)
@click.option("-f", "--file", "files", multiple=True, help="Stack file; may be repeated.")
@click.option("-p", "--project-name", help="Project name.")
@click.option("--project-directory", help="Folder that relative paths start from.")
@click.option("--env-file", "env_files", multiple=True, help="File with variables.")
@click.option("--profile", "profiles", multiple=True, help="Profile to enable.")
@click.option(
    "--ansi", type=click.Choice(["auto", "always", "never"]), default="auto", help="Use colours."
)
@click.option(
    "--progress",
    type=click.Choice(["auto", "tty", "plain", "quiet"]),
    default="auto",
    help="How progress is shown.",
)
@click.pass_context
def stackr(context: click.Context, /, **options: Any) -> None:
    """Run multi-container stacks from a declarative file, on an engine of its own."""
    context.obj.options = GlobalOptions(**options)
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def run(session: Session, engine: Any = None) -> int:
    """Carry out one command and return its exit status; bad input is said in one message."""
    CURRENT.set(session)
    invocation = Invocation(session, engine)
    try:
        return execute(invocation)
    except StackrError as error:
        invocation.say_error(error)
        return error.exit_status
    except Interrupted:
        return 130
    except BrokenPipeError:
        return 141
    except Exception:
        traceback.print_exc(file=sys.__stderr__)
        last = traceback.format_exc().strip().splitlines()[-1]
        invocation.say(f"stackr: internal error: {last}; please report it, with the resident's log")
        return 1


def execute(invocation: Invocation) -> int:
    """Parse and run; usage errors are printed as click does."""
    arguments = list(invocation.session.request.arguments)
    width = invocation.session.window_size()[1] or 80
    try:
        result = stackr.main(
            arguments, "stackr", standalone_mode=False, obj=invocation, terminal_width=width
        )
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.Abort:
        return 130
    except click.ClickException as error:
        error.show(invocation.stderr)
        return 1
    return result if isinstance(result, int) else 0


def run_in_process(arguments: Sequence[str]) -> int:
    """Run a command here, without resident and engine."""
    session = Session.of_this_process(arguments)
    try:
        return run(session)
    finally:
        for stream in (session.stdout, session.stderr):
            with suppress(OSError):
                stream.flush()

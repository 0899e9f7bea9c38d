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
    "config": ("config", "Print the stack file as it is understood."),
    "create": ("up", "Create the containers of the services without starting them."),
    "down": ("down", "Stop and remove containers and networks."),
    "exec": ("exec", "Run a command in a running container of a service."),
    "images": ("images", "List the images in the store."),
    "import": ("import_", "Make an image from a folder or an archive of one."),
    "kill": ("kill", "Send a signal to the first process of running containers."),
    "load": ("load", "Load images from an archive."),
    "login": ("login", "Log in to a registry."),
    "logout": ("logout", "Forget the credentials of a registry."),
    "logs": ("logs", "Show the output of containers."),
    "ps": ("ps", "List the project's containers."),
    "pull": ("pull", "Pull images from their registries."),
    "push": ("push", "Push images to their registries."),
    "resident": ("resident", "Look at the resident process, or end it."),
    "restart": ("restart", "Restart containers; their addresses stay."),
    "rmi": ("rmi", "Remove images."),
    "run": ("run", "Run a one-off command in a new container of a service."),
    "save": ("save", "Save images as an archive."),
    "start": ("start", "Start containers that exist."),
    "stats": ("stats", "Show what running containers use, once a second."),
    "stop": ("stop", "Stop containers without removing them."),
    "tag": ("tag", "Give an image one more name."),
    "up": ("up", "Bring the stack up: create, recreate and start what needs it."),
    "watch": ("watch", "Bring files into running containers as they are saved."),
    "version": ("version", "Print the version."),
}
"""Verb → the module of `stackr.commands` that has its click command, and its line in the help."""

_FUNCTIONS = {"exec": "exec_", "import": "import_"}
"""Verbs that cannot be the names of functions."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, and never to be listed."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Name all verbs."""
        return sorted(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Import one verb."""
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"stackr.commands.{COMMANDS[name][0]}")
        command: click.Command = getattr(module, _FUNCTIONS.get(name, name))
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of verbs."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


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
    except Exception as error:
        if engine is not None:
            traceback.print_exc(file=sys.__stderr__)  # the resident's log
        invocation.say(internal_error(error))
        return 1


def internal_error(error: Exception) -> str:
    """Say in a line what of ours broke, and where."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    what = f"{type(error).__name__}: {error} ({place.name}, line {place.lineno})"
    return f"stackr: internal error, please report it: {what}"


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

"""`stackr login`."""

import os
import termios
from collections.abc import Iterator
from contextlib import contextmanager

import click
from stackr_schemas.errors import StackrError

from stackr.archives import SessionInput
from stackr.invocation import Invocation
from stackr.registries import access_of
from stackr.session import Session

_HUB = "docker.io"
_MAX_LINE = 64 << 10


@click.command()
@click.argument("server", default=_HUB)
@click.option("-u", "--username", default="", help="The user at the registry.")
@click.option("-p", "--password", default="", help="The password, for everybody to see.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.pass_obj
def login(
    invocation: Invocation, /, server: str, username: str, password: str, password_stdin: bool
) -> None:
    """Check credentials at a registry (Docker Hub if none is named) and keep them.

    They are kept where Docker keeps them: in ~/.docker/config.json, or by the credential helper
    that is named there.
    """
    from stackr_engine.image.registry.credentials import Credentials
    from stackr_engine.image.registry.login import check_login

    if password and password_stdin:
        raise StackrError("--password and --password-stdin exclude each other")
    if password_stdin and not username:
        raise StackrError("--password-stdin needs --username")
    if password:
        invocation.say("warning: others can see --password; --password-stdin is safer")
    name = username or ask(invocation, "Username: ")
    given = password or _password(invocation, password_stdin)
    if not (name and given):
        raise StackrError("a username and a password are needed")
    if ":" in name:
        raise StackrError("a username has no colon in it")
    host, access = server_of(server), access_of(invocation)
    credentials = Credentials(name, given)
    check_login(access, host, credentials)
    if not access.config.store(host, credentials):
        invocation.say(
            f"warning: the password is kept unencrypted in {access.config.path}; "
            "a credential helper named there as credsStore keeps it safer"
        )
    invocation.stdout.write("Login Succeeded\n")


def server_of(text: str) -> str:
    """Return the host that a user means by a server's name or URL."""
    host = text.removeprefix("https://").removeprefix("http://").partition("/")[0]
    is_hub = host in ("index.docker.io", "registry-1.docker.io", "hub.docker.com")
    return _HUB if is_hub else host


def ask(invocation: Invocation, prompt: str, *, is_secret: bool = False) -> str:
    """Ask the user at the terminal for a line."""
    session = invocation.session
    if not os.isatty(session.stdin):
        hint = "use --username and --password-stdin"
        raise StackrError("there is no terminal to ask for credentials at", hint=hint)
    invocation.stderr.write(prompt)
    invocation.stderr.flush()
    if not is_secret:
        return _line(session)
    with _no_echo(session.stdin):
        answer = _line(session)
    invocation.say("")
    return answer


def _password(invocation: Invocation, is_piped: bool) -> str:
    if not is_piped:
        return ask(invocation, "Password: ", is_secret=True)
    source, data = SessionInput(invocation.session), b""
    while len(data) < _MAX_LINE and (more := source.read(_MAX_LINE)):
        data += more
    return data.decode(errors="surrogateescape").rstrip("\r\n")


def _line(session: Session) -> str:
    """Read up to the end of a line, no byte further."""
    source, data = SessionInput(session), b""
    while len(data) < _MAX_LINE and (byte := source.read(1)) not in (b"", b"\n"):
        data += byte
    return data.decode(errors="surrogateescape").strip()


@contextmanager
def _no_echo(fd: int) -> Iterator[None]:
    """Let the terminal not show what is typed."""
    was, mode = termios.tcgetattr(fd), termios.tcgetattr(fd)
    mode[3] &= ~termios.ECHO
    termios.tcsetattr(fd, termios.TCSAFLUSH, mode)
    try:
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSAFLUSH, was)

"""The `stackr` command: hands its arguments and its terminal to the resident and waits.

Imports next to nothing, since every import is time that a user waits: 9 ms as a whole process,
less than `python -c pass`. What crosses the socket, in order:

    client    length (4 bytes), then NUL-separated: version, code folder, working folder,
              number of arguments, arguments…, environment…; with it stdin, stdout and stderr
    resident  b"a": taken; then nothing, until one of
                                     b"x" + status   exit with it
                                     b"r", b"c"      terminal raw, terminal as it was
                                     b"v"            I am of another version: connect again
    client    one byte a signal that it was sent (2: interrupt, 28: the window's size changed)
"""

import _signal
import _socket
import os
import sys

TYPE_CHECKING = False  # what type checkers know it by, without importing typing
if TYPE_CHECKING:
    from typing import NoReturn

    Modes = list[int | list[bytes | int]]

VERSION = "0.1.0"
CODE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WITH_VALUE = {"-f", "--file", "-p", "--project-name", "--project-directory", "--env-file"}
WITH_VALUE |= {"--profile", "--ansi", "--progress", "--parallel"}
NEEDS_NO_ENGINE = {"config", "convert", "version", "graph", "help", ""}
FORWARDED = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP, _signal.SIGQUIT, _signal.SIGWINCH)


def main() -> None:
    """Run one command and exit the process with its status."""
    verb = verb_of(sys.argv[1:])
    if os.geteuid() != 0:
        in_process()
    connection = connect()
    if connection is None:
        if verb in NEEDS_NO_ENGINE:
            in_process()
        connection = start_resident()
    for _ in range(3):
        status = converse(connection)
        if status is not None:
            os._exit(status)
        connection = start_resident()
    fail("the resident does not take commands; see " + socket_path()[:-5] + ".log")


def verb_of(arguments: list[str]) -> str:
    """Return the first word that is neither an option nor an option's value."""
    skip = False
    for word in arguments:
        if skip:
            skip = False
        elif word in ("-h", "--help", "-v", "--version"):
            return "help"
        elif word.startswith("-"):
            skip = word in WITH_VALUE
        else:
            return word
    return ""


def in_process() -> None:
    """Run the command here, without a resident, and exit."""
    import gc

    gc.disable()  # nothing is collected in so short a life, and looking costs 6 % of it
    from stackr.cli import run_in_process

    sys.exit(run_in_process(sys.argv[1:]))


def socket_path() -> str:
    """Where the resident listens."""
    return os.environ.get("STACKR_RUN_DIR", "/run/stackr") + "/resident.sock"


def connect() -> _socket.socket | None:
    """Connect to the resident, or return None if none listens."""
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.connect(socket_path())
    except OSError:
        connection.close()
        return None
    return connection


def start_resident() -> _socket.socket:
    """Start a resident, wait until it or a rival's listens, and connect to it."""
    for _ in range(3):
        ready, write = os.pipe()
        if os.fork() == 0:
            become_resident(write)
        os.close(write)
        os.read(ready, 1)  # a byte once it listens, end of file once it has given way or failed
        os.close(ready)
        connection = connect()
        if connection is not None:
            return connection
    fail(f"the resident did not start; its last words are in {socket_path()[:-5]}.log")


def become_resident(write: int) -> None:
    """In a forked child: leave the terminal's session and run the resident's program."""
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    write = os.dup2(write, 3)
    os.closerange(4, 1 << 20)  # what a shell or a script left open would stay open for ever
    arguments = [sys.executable, "-I", "-c", RESIDENT, str(write), CODE]
    os.execve(sys.executable, arguments, resident_environment())


def resident_environment() -> dict[str, str]:
    """What the resident may know of its first client's environment: nothing personal."""
    kept = ("PATH", "STACKR_STATE_DIR", "STACKR_RUN_DIR")
    return {name: os.environ[name] for name in kept if name in os.environ}


RESIDENT = (
    "import sys; sys.path.insert(0, sys.argv[2]); "
    "from stackr.resident import main; main(int(sys.argv[1]))"
)


def converse(connection: _socket.socket) -> int | None:
    """Send this command, forward signals, and return its status; None: connect again."""
    try:
        send_request(connection)
    except OSError:
        connection.close()  # it ended before it had our command
        return None
    for number in FORWARDED:
        _signal.signal(number, lambda number, frame: connection.send(bytes([number])))
    terminal, is_taken = None, False
    while message := receive(connection):
        kind = message[:1]
        if kind == b"a":
            is_taken = True
            continue
        if kind == b"x":
            return message[1]
        if kind == b"v":
            connection.close()
            return None
        terminal = set_raw(kind == b"r", terminal)
    if terminal is not None:
        set_raw(False, terminal)
    if not is_taken:
        return None  # a resident that was just being killed: it did nothing of this command
    log = socket_path()[:-5] + ".log"
    fail(f"the resident ended; containers run on. Run the command again, or see {log}")


def send_request(connection: _socket.socket) -> None:
    """Send what the command is, and this process's three standard descriptors."""
    environment = [name + b"=" + value for name, value in os.environb.items()]
    arguments = [os.fsencode(word) for word in sys.argv[1:]]
    words = [VERSION.encode(), os.fsencode(CODE), os.fsencode(working_folder())]
    words += [b"%d" % len(arguments), *arguments, *environment]
    payload = b"\0".join(words)
    data = len(payload).to_bytes(4, "little") + payload
    fds = b"".join(standard_fd(fd).to_bytes(4, sys.byteorder) for fd in (0, 1, 2))
    sent = connection.sendmsg([data], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fds)])
    connection.sendall(data[sent:])


def working_folder() -> str:
    """Return the working folder, or `/` where it was removed under us."""
    try:
        return os.getcwd()
    except OSError:
        return "/"


def standard_fd(fd: int) -> int:
    """Return the descriptor, or one on /dev/null where the caller closed it."""
    try:
        os.fstat(fd)
        return fd
    except OSError:
        return os.open(os.devnull, os.O_RDWR)


def receive(connection: _socket.socket) -> bytes:
    """Return one message, or nothing when the resident is gone."""
    try:
        kind = connection.recv(1)
        return kind + connection.recv(1) if kind == b"x" else kind
    except OSError:
        return b""


def set_raw(raw: bool, saved: "Modes | None") -> "Modes | None":
    """Put the terminal on stdin into raw mode, or back as it was; return how it was."""
    import termios

    if not raw:
        if saved is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, saved)
        return None
    was = termios.tcgetattr(0)
    mode = termios.tcgetattr(0)
    mode[0] &= ~(termios.BRKINT | termios.ICRNL | termios.INPCK | termios.ISTRIP | termios.IXON)
    mode[1] &= ~termios.OPOST
    mode[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG)
    termios.tcsetattr(0, termios.TCSADRAIN, mode)
    return was


def fail(message: str) -> "NoReturn":
    """Say what is wrong and exit."""
    os.write(2, f"stackr: {message}\n".encode())
    os._exit(1)

"""Prints containers' lines with their names in front, in Compose's colours."""

import itertools
import threading

from stackr_schemas.state import ContainerState

from stackr.invocation import Invocation

COLOURS = [f"\033[{code}{bright}m" for bright in ("", ";1") for code in (36, 33, 32, 35, 34)]


class LogPrinter:
    """Writes whole lines from many threads; each container keeps its colour."""

    def __init__(
        self,
        invocation: Invocation,
        *,
        prefix: bool = True,
        colour: bool = True,
        timestamps: bool = False,
        split: bool = False,
    ):
        self.stdout = invocation.stdout
        self.stderr = invocation.stderr if split else invocation.stdout
        self.prefix = prefix
        self.timestamps = timestamps
        self._colours = itertools.cycle(COLOURS if colour and invocation.has_colours else [""])
        self._labels: dict[str, tuple[str, str]] = {}
        self._width = 0
        self._lock = threading.Lock()

    def line(self, state: ContainerState, time: str, stream: str, text: str) -> None:
        """Print one line of one container; lines from its stderr go to ours in `up`."""
        with self._lock:
            label, colour = self._label(state)
            end = "\033[0m" if colour else ""
            before = f"{colour}{label.ljust(self._width)}  | {end}" if self.prefix else ""
            stamp = f"{time} " if self.timestamps else ""
            target = self.stderr if stream == "stderr" else self.stdout
            target.write(f"{before}{stamp}{text.removesuffix(chr(10))}\n")

    def exited(self, state: ContainerState) -> None:
        """Say how a container ended."""
        with self._lock:
            label, colour = self._label(state)
            end = "\033[0m" if colour else ""
            self.stdout.write(f"{colour}{label} exited with code {state.exit_code}{end}\n")

    def _label(self, state: ContainerState) -> tuple[str, str]:
        if state.id not in self._labels:
            label = short_name(state)
            self._labels[state.id] = label, next(self._colours)
            self._width = max(self._width, len(label))
        return self._labels[state.id]


def short_name(state: ContainerState) -> str:
    """Return the container's name without its project, as logs show it."""
    return state.name.removeprefix(f"{state.label('project')}-")

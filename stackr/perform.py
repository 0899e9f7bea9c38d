"""Does one action of a plan through the engine, and tells how far it is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from threading import Event
from typing import assert_never

from stackr_engine.engine import Engine
from stackr_schemas.errors import StackrError
from stackr_schemas.state import ContainerState

from stackr.actions import (
    Action,
    Await,
    Create,
    CreateNetwork,
    CreateVolume,
    Remove,
    RemoveNetwork,
    RemoveVolume,
    Replace,
    Restart,
    Start,
    Stop,
)
from stackr.conditions import await_condition


class Step(Enum):
    """How far a resource has come."""

    WORKING = "working"
    DONE = "done"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Progress:
    """One line of news: `Container web-1  Started`."""

    kind: str
    name: str
    text: str
    step: Step


Report = Callable[[Progress], None]


class Performer:
    """Performs actions; `grace` is the nanoseconds a stop may take, None: as each container says.

    Once `cancelled` is set, waiting ends and nothing new is begun.
    """

    def __init__(self, engine: Engine, report: Report, grace: int | None = None):
        self.engine = engine
        self.report = report
        self.grace = grace
        self.cancelled = Event()

    def __call__(self, action: Action) -> None:
        """Perform one action; StackrError when it cannot be done."""
        if self.cancelled.is_set():
            return
        match action:
            case CreateNetwork(spec):
                with self._telling("Network", spec.name, "Creating", "Created"):
                    self.engine.networks.create(spec)
            case RemoveNetwork(state):
                with self._telling("Network", state.spec.name, "Removing", "Removed"):
                    self.engine.networks.remove(state.id)
            case CreateVolume(volume):
                with self._telling("Volume", volume.name, "Creating", "Created"):
                    self.engine.volumes.create(volume.name, dict(volume.labels))
            case RemoveVolume(name):
                with self._telling("Volume", name, "Removing", "Removed"):
                    self.engine.remove_volume(name)
            case Await():
                self._await(action)
            case _:
                self._with_container(action)

    def _with_container(self, action: Create | Replace | Start | Restart | Stop | Remove) -> None:
        match action:
            case Create(wanted):
                with self._telling("Container", wanted.name, "Creating", "Created"):
                    self.engine.create(wanted.spec, wanted.image)
            case Replace(wanted):
                with self._telling("Container", wanted.name, "Recreate", "Recreated"):
                    self.engine.replace(
                        action.old.id,
                        wanted.spec,
                        wanted.image,
                        start=action.start,
                        grace=self.grace,
                    )
                if action.start:
                    self._tell("Container", wanted.name, "Started", Step.DONE)
            case Start(name):
                with self._telling("Container", name, "Starting", "Started"):
                    self.engine.start(self._named(name).id)
            case Restart(state):
                with self._telling("Container", state.name, "Restarting", "Started"):
                    self.engine.restart(state.id, self.grace)
            case Stop(state):
                with self._telling("Container", state.name, "Stopping", "Stopped"):
                    self.engine.stop(state.id, self.grace)
            case Remove(state):
                self._remove(action, state)
            case _:
                assert_never(action)

    def _remove(self, action: Remove, state: ContainerState) -> None:
        if self.engine.containers[state.id].is_alive:
            with self._telling("Container", state.name, "Stopping", "Stopped"):
                self.engine.stop(state.id, self.grace)
        with self._telling("Container", state.name, "Removing", "Removed"):
            self.engine.remove(state.id, volumes=action.volumes)

    def _await(self, action: Await) -> None:
        text = {"service_healthy": "Healthy", "service_completed_successfully": "Exited"}
        self._tell("Container", action.name, "Waiting", Step.WORKING)
        try:
            await_condition(self.engine, action.name, action.condition, self._check)
        except StackrError as error:
            step = Step.ERROR if action.required else Step.WARNING
            self._tell("Container", action.name, "Error" if action.required else "Skipped", step)
            if action.required and action.condition == "service_healthy":
                raise StackrError(f"dependency failed to start: {error.message}") from error
            if action.required:
                raise
        else:
            self._tell("Container", action.name, text[action.condition], Step.DONE)

    def _check(self) -> None:
        if self.cancelled.is_set():
            raise StackrError("interrupted")

    def _named(self, name: str) -> ContainerState:
        state = self.engine.containers.find(name)
        if state is None:
            raise StackrError(f"container {name} was removed meanwhile", hint="run it again")
        return state

    @contextmanager
    def _telling(self, kind: str, name: str, doing: str, done: str) -> Iterator[None]:
        self._tell(kind, name, doing, Step.WORKING)
        try:
            yield
        except StackrError:
            self._tell(kind, name, "Error", Step.ERROR)
            raise
        self._tell(kind, name, done, Step.DONE)

    def _tell(self, kind: str, name: str, text: str, step: Step) -> None:
        self.report(Progress(kind, name, text, step))

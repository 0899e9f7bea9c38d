"""Carries out a plan: what is ready runs in parallel, what follows a failure is skipped."""

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from stackr_schemas.errors import StackrError

from stackr.actions import Action, Await
from stackr.plan import Plan

WORKERS = 2
"""Threads that act: more of them take turns on the interpreter's lock and gain nothing."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An action that could not be done, and why."""

    action: Action
    error: StackrError


@dataclass
class Outcome:
    """What became of a plan."""

    failures: list[Failure] = field(default_factory=list)
    skipped: list[Action] = field(default_factory=list)
    """Not tried, because something before them failed."""


class Scheduler:
    """Runs a plan's actions, each after all those before it."""

    def __init__(self, plan: Plan, perform: Callable[[Action], None]):
        self.plan = plan
        self.perform = perform
        self.blockers = {number: plan.graph.in_degree(number) for number in plan.graph}
        self.running: dict[Future[None], int] = {}
        self.outcome = Outcome()
        waits = sum(isinstance(action, Await) for action in plan.actions)
        self.workers = ThreadPoolExecutor(WORKERS, "apply")
        self.waiters = ThreadPoolExecutor(max(waits, 1), "await")  # they must not starve workers

    def run(self, check: Callable[[], None]) -> Outcome:
        """Return when nothing is left to do; `check` is called now and then and may raise."""
        try:
            for number in [number for number, count in self.blockers.items() if count == 0]:
                self._submit(number)
            while self.running:
                check()
                for future in wait(self.running, 0.1, FIRST_COMPLETED).done:
                    self._finish(future, self.running.pop(future))
        finally:
            self.workers.shutdown(cancel_futures=True)
            self.waiters.shutdown(cancel_futures=True)
        tried = {failure.action for failure in self.outcome.failures}
        left = (self.plan.actions[number] for number, count in self.blockers.items() if count)
        self.outcome.skipped = [action for action in left if action not in tried]
        return self.outcome

    def _submit(self, number: int) -> None:
        action = self.plan.actions[number]
        pool = self.waiters if isinstance(action, Await) else self.workers
        self.running[pool.submit(self.perform, action)] = number

    def _finish(self, future: Future[None], number: int) -> None:
        error = future.exception()
        if isinstance(error, StackrError):
            self.outcome.failures.append(Failure(self.plan.actions[number], error))
            return
        future.result()
        for later in self.plan.graph.successors(number):
            self.blockers[later] -= 1
            if self.blockers[later] == 0:
                self._submit(later)

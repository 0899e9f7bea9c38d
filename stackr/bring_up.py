"""Brings services up: load, observe, find what differs, plan, apply."""

import time
from collections.abc import Iterable, Mapping
from functools import cached_property

from stackr_schemas.errors import StackrError
from stackr_schemas.state import ContainerState

from stackr.actions import Replace, Start
from stackr.apply import Outcome, Scheduler
from stackr.declare import desired_for
from stackr.desired import Desired
from stackr.drift import Drift, Orphan, find_drift
from stackr.invocation import Invocation
from stackr.load import refuse_unserved
from stackr.perform import Performer
from stackr.plan import Options, Plan, plan_up
from stackr.progress import progress
from stackr.scope import check_external, images_for, observe
from stackr.session import Interrupted


class Failed(StackrError):
    """At least one action of a plan failed; the message has a line for each."""


class BringUp:
    """One `up`, `create`, or the part of `run` that starts dependencies."""

    def __init__(
        self,
        invocation: Invocation,
        services: Iterable[str],
        *,
        options: Options,
        with_dependencies: bool = True,
        scale: Mapping[str, int] | None = None,
        grace: int | None = None,
    ):
        self.invocation = invocation
        self.engine = invocation.engine
        self.options = options
        self.grace = grace
        self.scale = scale or {}
        whole = invocation.project
        self.project = whole.select(services, with_dependencies=with_dependencies)
        self.declared = [*whole.services, *whole.disabled]
        for name in self.scale:
            if name not in self.project.services:
                raise StackrError(f"--scale {name}: no such service")

    @cached_property
    def desired(self) -> Desired:
        """What the selected services want; everything that can be refused is refused here."""
        refuse_unserved(self.project)
        check_external(self.engine, self.project)
        images = images_for(self.engine, self.project)
        return desired_for(self.project, images, scale=self.scale, declared=self.declared)

    def plan(self) -> Plan:
        """Return what there is to do now."""
        observed = observe(self.engine, self.project.name)
        drifts = find_drift(self.desired, observed)
        self._mention_orphans(drifts)
        return plan_up(self.desired, observed.containers, drifts, self.options)

    def run(self) -> float:
        """Do what there is to do; return the time from which on output is this run's."""
        since = time.time()
        desired = self.desired
        with self.engine.project_lock(desired.project):
            plan = self.plan()
            self._reserve_ports(plan)
            apply_plan(self.invocation, plan, self.grace)
        return since

    def _mention_orphans(self, drifts: Iterable[Drift]) -> None:
        names = [item.state.name for item in drifts if isinstance(item, Orphan)]
        if names and not self.options.remove_orphans:
            self.invocation.say(
                f"warning: containers of services that the file no longer declares: "
                f"{', '.join(names)}; remove them with --remove-orphans"
            )

    def _reserve_ports(self, plan: Plan) -> None:
        """Refuse taken ports before anything is made or stopped."""
        starting = {action.name for action in plan.actions if isinstance(action, Start)}
        replaced = {a.wanted.name: a.old for a in plan.actions if isinstance(a, Replace)}
        for wanted in self.desired.containers:
            if wanted.name in starting or wanted.name in replaced:
                old: ContainerState | None = replaced.get(wanted.name)
                self.engine.check_ports(wanted.spec, old)


def apply_plan(invocation: Invocation, plan: Plan, grace: int | None = None) -> None:
    """Carry out a plan with progress shown; Failed names everything that went wrong."""
    with progress(invocation) as report:
        performer = Performer(invocation.engine, report, grace)
        try:
            outcome = Scheduler(plan, performer).run(invocation.session.check)
        except Interrupted:
            performer.cancelled.set()
            raise
    raise_failures(outcome)


def raise_failures(outcome: Outcome) -> None:
    """Raise Failed if anything failed."""
    if not outcome.failures:
        return
    lines = list(dict.fromkeys(str(failure.error) for failure in outcome.failures))
    if outcome.skipped:
        lines.append(f"skipped because of that: {len(outcome.skipped)} actions")
    raise Failed("\n".join(lines))

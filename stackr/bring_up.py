"""Brings services up: load, observe, find what differs, plan, apply."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial

from stackr_schemas.compose.project import Project
from stackr_schemas.errors import StackrError
from stackr_schemas.image import Image

from stackr.actions import Replace, Start, name_of
from stackr.apply import Outcome, Scheduler
from stackr.conditions import await_condition
from stackr.declare import dependencies, desired_container, desired_for
from stackr.desired import Desired, DesiredContainer
from stackr.drift import Drift, Orphan, find_drift
from stackr.invocation import Invocation
from stackr.load import refuse_unserved
from stackr.perform import Performer, Progress, Step
from stackr.plan import Options, Plan, plan_up
from stackr.progress import progress
from stackr.pull_policy import pulls_for
from stackr.scope import check_external, have, images_for, observe, wishes_of
from stackr.session import Interrupted


@dataclass(frozen=True)
class Pulling:
    """How images that are missing or old are brought."""

    policy: str = ""
    """What goes before the services' own policies."""
    is_allowed: bool = True
    is_quiet: bool = False


class Failed(StackrError):
    """At least one action of a plan failed; the message has a line for each."""


class BringUp:
    """One `up` or `create`, or what `run` needs: everything `only_around` a service."""

    def __init__(
        self,
        invocation: Invocation,
        services: Iterable[str],
        *,
        options: Options,
        with_dependencies: bool = True,
        scale: Mapping[str, int] | None = None,
        grace: int | None = None,
        only_around: str | None = None,
        pulling: Pulling | None = None,
    ):
        self.invocation = invocation
        self.engine = invocation.engine
        self.options = options
        self.grace = grace
        self.only_around = only_around
        self.pulling = pulling or Pulling()
        self.scale = scale or {}
        whole = invocation.project
        self.project = whole.select(services, with_dependencies=with_dependencies)
        self.declared = [*whole.services, *whole.disabled]
        for name in self.scale:
            if name not in self.project.services:
                raise StackrError(f"--scale {name}: no such service")

    @cached_property
    def desired(self) -> Desired:
        """What the selected services want."""
        scale = {**self.scale, self.only_around: 0} if self.only_around else self.scale
        desired = desired_for(self.project, self.images, scale=scale, declared=self.declared)
        if self.only_around:
            return replace(desired, selected=desired.selected - {self.only_around})
        return desired

    @cached_property
    def images(self) -> dict[str, Image]:
        """The image of each selected service, pulled if need be.

        Everything else that can be refused is refused before.
        """
        refuse_unserved(self.project)
        check_external(self.engine, self.project)
        if self.pulling.is_allowed:
            pull_for(self.invocation, self.project, self.pulling)
        return images_for(self.engine, self.project)

    def replica(self, service: str) -> DesiredContainer:
        """Return what a first replica of a service would be."""
        return desired_container(self.project, service, 1, self.images[service])

    def await_dependencies(self, service: str) -> None:
        """Wait until what a service depends on is as it wants it."""
        replicas = self.desired.by_service()
        check = self.invocation.session.check
        for dependency in dependencies(self.project.services[service]):
            for other in replicas.get(dependency.service, ()):
                await_condition(self.engine, other.name, dependency.condition, check)

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
            self._check_ports(plan)
            apply_plan(self.invocation, plan, self.grace, self._untouched(plan))
        return since

    def _untouched(self, plan: Plan) -> list[str]:
        """Name the containers that run already and go on."""
        changed = {name_of(action) for action in plan.changes}
        return [one.name for one in self.desired.containers if one.name not in changed]

    def _mention_orphans(self, drifts: Iterable[Drift]) -> None:
        names = [item.state.name for item in drifts if isinstance(item, Orphan)]
        if names and not self.options.remove_orphans:
            self.invocation.say(
                f"warning: containers of services that the file no longer declares: "
                f"{', '.join(names)}; remove them with --remove-orphans"
            )

    def _check_ports(self, plan: Plan) -> None:
        """Refuse taken ports before anything is made or stopped."""
        starting = {action.name for action in plan.actions if isinstance(action, Start)}
        replaced = {a.wanted.name: a.old for a in plan.actions if isinstance(a, Replace)}
        specs = [
            wanted.spec
            for wanted in self.desired.containers
            if wanted.name in starting or wanted.name in replaced
        ]
        self.engine.check_ports(specs, replaced.values())


def pull_for(invocation: Invocation, project: Project, pulling: Pulling) -> None:
    """Pull what the services need; Failed names everything that cannot be had."""
    wishes = wishes_of(project, pulling.policy)
    pulls = pulls_for(wishes, partial(have, invocation.engine), time.time())
    if not pulls:
        return
    from stackr.registries import pull_all

    lines = []
    errors = pull_all(invocation, list(pulls.values()), quiet=pulling.is_quiet)
    for (service, pull), error in zip(pulls.items(), errors, strict=True):
        if error is None:
            continue
        if pull.is_needed:
            error.where = project.where(f"services.{service}.image")
            error.message = f"services.{service}.image: {error.message}"
            lines.append(str(error))
        else:
            invocation.say(f"warning: {error}; going on with the image that is here")
    if lines:
        raise Failed("\n".join(lines))


def apply_plan(
    invocation: Invocation, plan: Plan, grace: int | None = None, untouched: Iterable[str] = ()
) -> None:
    """Carry out a plan with progress shown; Failed names everything that went wrong."""
    with progress(invocation) as report:
        for name in untouched:
            report(Progress("Container", name, "Running", Step.DONE))
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

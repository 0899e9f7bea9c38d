"""Reads a project's `develop.watch` sections into rules."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from stackr_schemas.compose.build import Build
from stackr_schemas.compose.develop import Watch
from stackr_schemas.compose.project import Project
from stackr_schemas.errors import StackrError

from stackr.watch.ignore import Patterns
from stackr.watch.rules import Root, Rule


def rules_for(project: Project) -> list[Rule]:
    """Return the rules of all services; StackrError for what cannot be watched."""
    return [
        _rule(project, name, index, watch)
        for name, service in project.services.items()
        for index, watch in enumerate(service.develop.watch if service.develop else ())
    ]


def _rule(project: Project, service: str, index: int, watch: Watch) -> Rule:
    where = f"services.{service}.develop.watch[{index}]"
    if not Path(watch.path).exists():
        raise StackrError(
            f"{where}: watched path {watch.path} does not exist", where=project.where(where)
        )
    build = project.services[service].build
    if watch.action == "rebuild":
        raise StackrError(
            f"{where}: the action rebuild is not supported yet",
            where=project.where(f"{where}.action"),
            hint="it can be sync, restart, sync+restart or sync+exec",
        )
    folder = watch.path.rstrip("/")
    rule = Rule(
        service=service,
        action=watch.action,
        folder=folder,
        target="" if watch.action == "restart" else watch.target.rstrip("/") or "/",
        exec=watch.exec,
        initial_sync=watch.initial_sync,
        ignored=(Root(folder, Patterns.of(watch.ignore)), *(_dockerignore(build) if build else ())),
        included=Patterns.of(watch.include),
    )
    if Path(watch.path).is_dir():
        return rule
    above, _, name = folder.rpartition("/")
    target, _, target_name = rule.target.rpartition("/")
    return replace(rule, folder=above, name=name, target=target, target_name=target_name)


def _dockerignore(build: Build) -> Iterator[Root]:
    """Yield the patterns of the build context; a file named after the Dockerfile goes first."""
    if not build.context.startswith("/"):
        return
    dockerfile = Path(build.context, build.dockerfile or "Dockerfile")
    for file in (Path(f"{dockerfile}.dockerignore"), Path(build.context, ".dockerignore")):
        if file.is_file():
            yield Root(build.context.rstrip("/"), Patterns.of(file.read_text().splitlines()))
            return

"""What no single key can show: references that lead nowhere, contradictions, cycles."""

from collections.abc import Iterator

from stackr_schemas.compose.project import Project
from stackr_schemas.compose.service import Service

from stackr.load.problem import Report
from stackr.load.tree import Map, mark_at, undotted

Finding = tuple[str, str]
"""A path below the service, and what is wrong."""

TESTS = ("CMD", "CMD-SHELL", "NONE")


def check(project: Project, tree: Map, report: Report) -> None:
    """Note every contradiction in the enabled services."""
    for name, service in project.services.items():
        for finder in FINDERS:
            for below, message in finder(service, project):
                _note(f"services.{name}" + (f".{below}" if below else ""), message, tree, report)
    for name, secret in project.secrets.items():
        if not secret.external and not secret.file and not secret.environment:
            _note(f"secrets.{name}", "must declare either file or environment", tree, report)
    for path, message in _cycle(project):
        _note(path, message, tree, report)


def check_container_names(project: Project, tree: Map, report: Report) -> None:
    """Note services that want the same container name."""
    owners: dict[str, str] = {}
    for name, service in sorted(project.services.items()):
        wanted = service.container_name
        if wanted and wanted in owners:
            path = f"services.{name}.container_name"
            _note(path, f"{wanted!r} is already the name of {owners[wanted]}", tree, report)
        elif wanted:
            owners[wanted] = name


def _note(path: str, message: str, tree: Map, report: Report) -> None:
    report.add(mark_at(tree, undotted(path)), path, message)


def _image(service: Service, project: Project) -> Iterator[Finding]:
    if not service.image and service.build is None and service.provider is None:
        yield "", "has neither an image nor a build context; add one of them"


def _build(service: Service, project: Project) -> Iterator[Finding]:
    build = service.build
    if build is None:
        return
    if build.dockerfile and build.dockerfile_inline:
        yield "build", "dockerfile and dockerfile_inline exclude each other"
    for key, context in build.additional_contexts.items():
        other = context.removeprefix("service:")
        if other != context and other not in project.services:
            yield f"build.additional_contexts.{key}", f"no such service: {other}"
        elif other != context and project.services[other].build is None:
            yield f"build.additional_contexts.{key}", f"service {other} is not built"
    if build.platforms and service.platform and service.platform not in build.platforms:
        yield "build.platforms", f"must have the service's platform {service.platform}"
    for index, secret in enumerate(build.secrets):
        if secret.source not in project.secrets:
            yield f"build.secrets[{index}]", f"undefined secret {secret.source}"


def _networks(service: Service, project: Project) -> Iterator[Finding]:
    if service.network_mode and service.networks:
        yield "network_mode", "network_mode and networks exclude each other"
    for name in service.networks:
        if name not in project.networks:
            yield f"networks.{name}", f"undefined network {name}; add it to the top-level networks"


def _health(service: Service, project: Project) -> Iterator[Finding]:
    test = service.healthcheck.test if service.healthcheck else ()
    if test and test[0] not in TESTS:
        yield "healthcheck.test", f"must start with one of {', '.join(TESTS)}"


def _dependencies(service: Service, project: Project) -> Iterator[Finding]:
    for name, dependency in service.depends_on.items():
        if name in project.services or (name in project.disabled and not dependency.required):
            continue
        why = "its profile is not active" if name in project.disabled else "there is none"
        yield f"depends_on.{name}", f"depends on undefined service {name}: {why}"


def _mounts(service: Service, project: Project) -> Iterator[Finding]:
    for index, mount in enumerate(service.volumes):
        if mount.type == "volume" and mount.source and mount.source not in project.volumes:
            message = f"undefined volume {mount.source}; add it to the top-level volumes"
            yield f"volumes[{index}]", message
        if mount.type == "bind" and not mount.source:
            yield f"volumes[{index}]", "a bind mount needs a source"
    for kind, files in (("configs", service.configs), ("secrets", service.secrets)):
        known = project.configs if kind == "configs" else project.secrets
        for index, file in enumerate(files):
            if file.source not in known:
                yield f"{kind}[{index}]", f"undefined {kind[:-1]} {file.source}"
    for name in service.models:
        if name not in project.models:
            yield f"models.{name}", f"undefined model {name}"


def _limits(service: Service, project: Project) -> Iterator[Finding]:
    deploy = service.deploy
    if deploy is None:
        return
    if None not in (service.scale, deploy.replicas) and service.scale != deploy.replicas:
        yield "scale", "differs from deploy.replicas; set one of them"
    limits = deploy.resources.limits if deploy.resources else None
    reservations = deploy.resources.reservations if deploy.resources else None
    pairs = (
        ("cpus", "limits.cpus", service.cpus, limits and limits.cpus),
        ("mem_limit", "limits.memory", service.mem_limit, limits and limits.memory),
        ("pids_limit", "limits.pids", service.pids_limit, limits and limits.pids),
        (
            "mem_reservation",
            "reservations.memory",
            service.mem_reservation,
            reservations and reservations.memory,
        ),
    )
    for key, other, value, other_value in pairs:
        if value and other_value is not None and value != other_value:
            yield key, f"differs from deploy.resources.{other}; set one of them"


def _scale(service: Service, project: Project) -> Iterator[Finding]:
    if service.replicas > 1 and service.container_name:
        key = "scale" if service.scale is not None else "deploy.replicas"
        yield key, "more than one container cannot have the same container_name"


def _watches(service: Service, project: Project) -> Iterator[Finding]:
    for index, watch in enumerate(service.develop.watch if service.develop else ()):
        if not watch.target and watch.action not in ("rebuild", "restart"):
            yield f"develop.watch[{index}]", f"the action {watch.action} needs a target"


FINDERS = (
    _image,
    _build,
    _networks,
    _health,
    _dependencies,
    _mounts,
    _limits,
    _scale,
    _watches,
)


def _cycle(project: Project) -> Iterator[Finding]:
    """Find the first cycle of dependencies, if there is one."""
    done: set[str] = set()
    for start in sorted(project.services):
        path: list[str] = []
        waiting = [(start, iter(sorted(project.services[start].depends_on)))]
        while waiting and start not in done:
            name, following = waiting[-1]
            if not path or path[-1] != name:
                path.append(name)
            step = next((other for other in following if other not in done), None)
            if step is None:
                done.add(name)
                path.pop()
                waiting.pop()
            elif step in path:
                steps = [*path[path.index(step) :], step]
                yield f"services.{name}.depends_on.{step}", f"cycle: {' -> '.join(steps)}"
                return
            elif step in project.services:
                waiting.append((step, iter(sorted(project.services[step].depends_on))))

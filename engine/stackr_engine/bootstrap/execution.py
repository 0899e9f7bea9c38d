"""The request for one more process in a running container."""

from collections.abc import Sequence

from stackr_schemas.container import ContainerSpec
from stackr_schemas.image import Image

from stackr_engine.bootstrap.privileges import Privileges
from stackr_engine.bootstrap.process import absolute, process, user_spec
from stackr_engine.execution import ExecOptions
from stackr_engine.spawn.request import ExecRequest, Started


def exec_request(
    spec: ContainerSpec,
    image: Image,
    container_id: str,
    running: Started,
    arguments: Sequence[str],
    options: ExecOptions,
    *,
    privileges: Privileges,
    cgroup_procs: tuple[str, ...] = (),
    hostname: str = "",
) -> ExecRequest:
    """Return the request; what `options` leave open is as in the container's own process."""
    own = spec.model_copy(update={"tty": options.tty, "entrypoint": tuple(arguments)})
    own = own.model_copy(update={"command": ()})
    found = process(own, image, hostname or spec.hostname or container_id[:12], privileges)
    variables = dict(item.partition("=")[::2] for item in (*found["env"], *options.environment))
    found["env"] = [f"{name}={value}" for name, value in variables.items()]
    if options.working_dir:
        found["cwd"] = absolute(options.working_dir)
    return ExecRequest(
        id=container_id,
        pid=running.pid,
        start_time=running.start_time,
        process=found,
        user=user_spec(spec, image) if options.user is None else options.user,
        groups=spec.groups,
        cgroup_procs=cgroup_procs,
        seccomp=privileges.seccomp,
    )

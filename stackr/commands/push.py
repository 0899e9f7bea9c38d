"""`stackr push`."""

import click
from stackr_schemas.errors import StackrError

from stackr.commands.load import familiar
from stackr.commands.pull import services_of
from stackr.invocation import Invocation
from stackr.pull_policy import is_pullable
from stackr.registries import push_all


@click.command()
@click.argument("names", nargs=-1, metavar="[SERVICE|IMAGE]...")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.option("--include-deps", is_flag=True, help="Also what the services depend on.")
@click.option("--ignore-push-failures", is_flag=True, help="Go on without what cannot be pushed.")
@click.pass_obj
def push(
    invocation: Invocation,
    /,
    names: tuple[str, ...],
    quiet: bool,
    include_deps: bool,
    ignore_push_failures: bool,
) -> int:
    """Push images to the registries in their names; `stackr tag` gives them such names.

    A name is a service where the stack file has one of that name, else an image. Without names,
    the images of all services that are built are pushed.
    """
    references = _wanted(invocation, names, include_deps)
    if not references:
        hint = "name services or images to push"
        raise StackrError("the stack file builds no image", hint=hint)
    for reference in references:
        invocation.engine.images.get(reference)  # a missing one is told before anything is sent
    errors = push_all(invocation, references, quiet=quiet)
    for reference, error in zip(references, errors, strict=True):
        if error is not None:
            invocation.say_error(error)
        elif reference in names:
            invocation.stdout.write(f"{familiar(reference)}\n")
    return int(any(errors) and not ignore_push_failures)


def _wanted(invocation: Invocation, names: tuple[str, ...], include_deps: bool) -> list[str]:
    """Return what the names mean, each image once."""
    project = invocation.project if not names or invocation.has_files else None
    services = services_of(project, names)
    found = [name for name in names if name not in services]
    if project is not None and (services or not names):
        chosen = project.select(services, with_dependencies=include_deps or not names)
        found += [
            service.image
            for service in chosen.services.values()
            if is_pullable(service.image) and (names or service.build is not None)
        ]
    return list(dict.fromkeys(found))

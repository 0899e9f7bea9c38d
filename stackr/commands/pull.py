"""`stackr pull`."""

import click
from stackr_schemas.compose.project import Project

from stackr.commands.load import familiar
from stackr.invocation import Invocation
from stackr.pull_policy import Pull, is_pullable
from stackr.registries import pull_all
from stackr.scope import have


@click.command()
@click.argument("names", nargs=-1, metavar="[SERVICE|IMAGE]...")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.option("--platform", default="", help="For images: pull for this platform.")
@click.option("--include-deps", is_flag=True, help="Also what the services depend on.")
@click.option("--policy", type=click.Choice(["always", "missing"]), default="always")
@click.option("--ignore-pull-failures", is_flag=True, help="Go on without what cannot be pulled.")
@click.pass_obj
def pull(
    invocation: Invocation,
    /,
    names: tuple[str, ...],
    quiet: bool,
    platform: str,
    include_deps: bool,
    policy: str,
    ignore_pull_failures: bool,
) -> int:
    """Pull the images of services, or images by name.

    A name is a service where the stack file has one of that name, else an image. Without names,
    the images of all services are pulled.
    """
    pulls = wanted(invocation, names, platform, include_deps)
    if policy == "missing":
        pulls = [item for item in pulls if have(invocation.engine, item.reference) is None]
    errors = pull_all(invocation, pulls, quiet=quiet)
    for item, error in zip(pulls, errors, strict=True):
        if error is not None:
            invocation.say_error(error)
        elif item.reference in names:
            invocation.stdout.write(f"{familiar(item.reference)}\n")
    return int(any(errors) and not ignore_pull_failures)


def wanted(
    invocation: Invocation, names: tuple[str, ...], platform: str, include_deps: bool
) -> list[Pull]:
    """Return what the names mean, each image once."""
    project = invocation.project if not names or invocation.has_files else None
    services = services_of(project, names)
    found = [Pull(name, platform, True) for name in names if name not in services]
    if project is not None and (services or not names):
        chosen = project.select(services, with_dependencies=include_deps or not names)
        found += [
            Pull(service.image, service.platform, True)
            for service in chosen.services.values()
            if is_pullable(service.image) and service.pull_policy != "never"
        ]
    return list(dict.fromkeys(found))


def services_of(project: Project | None, names: tuple[str, ...]) -> list[str]:
    """Return the names that are services of the project."""
    if project is None:
        return []
    return [name for name in names if name in project.services or name in project.disabled]

"""`stackr config`."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from stackr_schemas.errors import StackrError

from stackr.load import LoadOptions, load_model, load_project

if TYPE_CHECKING:
    from stackr_schemas.compose.project import Project

    from stackr.invocation import Invocation

LISTS = ("services", "images", "volumes", "networks", "models", "profiles")
"""Options that print names, one a line."""


@click.command()
@click.argument("services", nargs=-1)
@click.option("--format", "form", type=click.Choice(["yaml", "json"]), help="Default: yaml.")
@click.option("-q", "--quiet", is_flag=True, help="Check alone, print nothing.")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write to a file.")
@click.option("--services", "what", flag_value="services", help="Print service names.")
@click.option("--images", "what", flag_value="images", help="Print image names.")
@click.option("--volumes", "what", flag_value="volumes", help="Print volume names.")
@click.option("--networks", "what", flag_value="networks", help="Print network names.")
@click.option("--models", "what", flag_value="models", help="Print model names.")
@click.option("--profiles", "what", flag_value="profiles", help="Print profile names.")
@click.option("--hash", "hashed", metavar="SERVICE,…", help="Print config hashes; * for all.")
@click.option("--environment", "what", flag_value="environment", help="Print the variables.")
@click.option("--variables", "what", flag_value="variables", help="Print what the files use.")
@click.option("--explain-env", metavar="SERVICE", help="Print where each variable comes from.")
@click.option("--no-interpolate", is_flag=True, help="Keep variables as they are written.")
@click.option("--no-normalize", is_flag=True, help="Add no implicit networks, names, …")
@click.option("--no-path-resolution", is_flag=True, help="Keep relative paths.")
@click.option("--no-consistency", is_flag=True, help="Skip checks across keys.")
@click.option("--no-env-resolution", is_flag=True, help="Do not read env_file entries.")
@click.option("--resolve-image-digests", is_flag=True, help="Pin images to their digests.")
@click.pass_obj
def config(invocation: "Invocation", /, services: tuple[str, ...], **given: Any) -> None:
    """Print the stack as it is read: merged, interpolated, in long form."""
    options = options_for(invocation.load_options, given)
    text = "".join(f"{line}\n" for line in _lines(invocation, options, services, given))
    if given["quiet"]:
        return
    if given["output"]:
        Path(options.cwd, given["output"]).write_text(text, encoding="utf-8")
    else:
        invocation.stdout.write(text)


def options_for(options: LoadOptions, given: dict[str, Any]) -> LoadOptions:
    """Apply the command's switches."""
    is_listing = bool(given["what"] or given["hashed"] or given["explain_env"])
    return replace(
        options,
        interpolate=not given["no_interpolate"],
        normalize=not given["no_normalize"],
        resolve_paths=not given["no_path_resolution"],
        check_consistency=not given["no_consistency"],
        resolve_environment=not (given["no_env_resolution"] or is_listing),
    )


def _lines(
    invocation: "Invocation", options: LoadOptions, names: tuple[str, ...], given: dict[str, Any]
) -> Iterator[str]:
    what = given["what"]
    if what == "variables":
        from stackr.load.variables import listing

        yield from listing(options, given["form"])
    elif given["explain_env"]:
        from stackr.load.explain import explanation

        yield from explanation(options, given["explain_env"], given["form"])
    elif given["no_interpolate"] and not what:
        yield rendered_text(load_model(options, names), given["form"] or "yaml", escape=False)
    else:
        yield from _of_project(invocation, options, names, given)


def _of_project(
    invocation: "Invocation", options: LoadOptions, names: tuple[str, ...], given: dict[str, Any]
) -> Iterator[str]:
    from stackr_schemas.compose.render import rendered

    whole = load_project(options)
    for warning in whole.warnings:
        invocation.say(f"warning: {warning}")
    project = whole.select(names).without_unused()
    if given["resolve_image_digests"]:
        project = with_digests(invocation, project)
    if given["what"] == "environment":
        yield from (f"{key}={value}" for key, value in sorted(project.environment.items()))
    elif given["what"]:
        yield from names_of(given["what"], project, whole)
    elif given["hashed"]:
        yield from hashes(project, given["hashed"])
    else:
        form = given["form"] or "yaml"
        data = rendered(project, with_extensions=form == "yaml")
        if form == "json":
            for service in data["services"].values():
                service |= {
                    "command": service.get("command"),
                    "entrypoint": service.get("entrypoint"),
                }
        yield rendered_text(data, form, escape=True)


def rendered_text(data: Any, form: str, *, escape: bool) -> str:
    """Write data as YAML or JSON; dollars are doubled so that the text can be read again."""
    if form == "json":
        text = json.dumps(data, indent=2, ensure_ascii=False)
    else:
        from stackr.load.emit import yaml_text

        text = yaml_text(data).removesuffix("\n")
    return text.replace("$", "$$") if escape else text


def names_of(what: str, project: "Project", whole: "Project") -> list[str]:
    """List names of one kind."""
    match what:
        case "images":
            services = project.services.items()
            return sorted({s.image or f"{project.name}-{name}" for name, s in services})
        case "profiles":
            everything = [*whole.services.values(), *whole.disabled.values()]
            return sorted({profile for service in everything for profile in service.profiles})
        case _:
            return sorted(getattr(project, what))


def hashes(project: "Project", wanted: str) -> Iterator[str]:
    """Digest services as far as a change of them needs a new container."""
    import hashlib

    from stackr_schemas.compose.render import rendered_service

    for name in sorted(project.services if wanted == "*" else wanted.split(",")):
        if name not in project.services:
            raise StackrError(f"no such service: {name}")
        data = rendered_service(project.services[name])
        for key in ("build", "pull_policy", "scale", "depends_on", "profiles"):
            data.pop(key, None)
        data.get("deploy", {}).pop("replicas", None)
        text = json.dumps(data, sort_keys=True)
        yield f"{name} {hashlib.sha256(text.encode()).hexdigest()}"


def with_digests(invocation: "Invocation", project: "Project") -> "Project":
    """Pin the image of every service to the digest that the store has; NotFound without one."""
    from stackr_engine.image.reference import parse_reference

    services = dict(project.services)
    for name, service in services.items():
        if service.image and "@" not in service.image:
            digest = invocation.engine.images.get(service.image).manifest
            pinned = f"{parse_reference(service.image)}@{digest}"
            services[name] = service.model_copy(update={"image": pinned})
    return project.changed(services=services)

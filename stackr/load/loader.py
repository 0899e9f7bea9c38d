"""The phases of loading, in their order."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from stackr_schemas.compose.network import Network
from stackr_schemas.compose.project import Project
from stackr_schemas.compose.stack_file import StackFile
from stackr_schemas.compose.volume import Volume
from stackr_schemas.errors import StackrError, Where

from stackr.load.advice import advise
from stackr.load.consistency import check, check_container_names
from stackr.load.discover import Sources, find_sources
from stackr.load.environment import ServiceFiles
from stackr.load.files import DISK, Files
from stackr.load.include import Scope
from stackr.load.layers import Layers
from stackr.load.normalize import normalize, set_defaults
from stackr.load.options import LoadOptions
from stackr.load.paths import Paths
from stackr.load.problem import Report, display_name
from stackr.load.template import TemplateError, substitute
from stackr.load.tree import Map, mark_at, plain, undotted, where
from stackr.load.validate import validated

PROJECT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
PROFILES = "COMPOSE_PROFILES"
NAME_VARIABLE = "COMPOSE_PROJECT_NAME"


@dataclass(frozen=True)
class Loaded:
    """A stack before the models have read it."""

    tree: Map
    name: str
    sources: Sources
    report: Report
    values: dict[str, str]


def load_project(options: LoadOptions, files: Files = DISK) -> Project:
    """Load a stack; raises LoadError with all that is wrong, or StackrError."""
    loaded = load_tree(options, files)
    tree, report = loaded.tree, loaded.report
    project = project_of(loaded, options)
    if options.check_consistency:
        check(project, tree, report)
        report.check()
    if options.resolve_environment:
        project = ServiceFiles(files, options.cwd, project.working_dir, tree, report).resolved(
            project
        )
        report.check()
    if options.check_consistency:
        check_container_names(project, tree, report)
        report.check()
    return project.changed(warnings=tuple(report.warnings))


def project_of(loaded: Loaded, options: LoadOptions) -> Project:
    """Read a tree into the models; raises LoadError with all that is wrong in the files."""
    stack = validated(loaded.tree, loaded.report)
    loaded.report.check()
    assert stack is not None
    return _project(stack, loaded, options)


def load_model(options: LoadOptions, services: Iterable[str] = (), files: Files = DISK) -> Any:
    """Load a stack as plain data, variables as they are written; raises StackrError."""
    loaded = load_tree(options, files)
    validated(loaded.tree, loaded.report, has_variables=True)
    loaded.report.check()
    data = {"name": loaded.name} | plain(loaded.tree)
    wanted = set(services)
    if wanted:
        data["services"] = {k: v for k, v in data["services"].items() if k in wanted}
    return data


def load_tree(options: LoadOptions, files: Files = DISK) -> Loaded:
    """Load a stack's files into one tree, normalized; raises StackrError."""
    report = Report()
    sources = find_sources(options, files, report)
    layers = Layers(options, files, report)
    name = _project_name(layers, sources, options)
    sources.environment[NAME_VARIABLE] = name
    tree = layers.tree(sources.files, Scope(sources.folder, sources.environment))
    if not tree:
        report.check()
        file = display_name(sources.files[-1], options.cwd)
        raise report.fail("the stack file is empty", "begin with `services:`", file)
    advise(tree, report)
    set_defaults(tree)
    if options.resolve_paths:
        home = options.environment.get("HOME", "")
        Paths(sources.folder, home, files.real).resolve(tree)
    if options.normalize:
        _check_name(tree, report)
        tree.put("name", name, tree.marks.get("name"))
        normalize(tree, sources.environment.get)
    return Loaded(tree, name, sources, report, layers.values)


def _check_name(tree: Map, report: Report) -> None:
    if not isinstance(tree.get("name", ""), str):
        report.add(tree.marks.get("name"), "name", "must be a string")


def _project_name(layers: Layers, sources: Sources, options: LoadOptions) -> str:
    given = options.project_name or sources.environment.get(NAME_VARIABLE, "")
    if given:
        if not PROJECT_NAME.fullmatch(given):
            raise StackrError(
                f"invalid project name {given!r}",
                hint="use lower case letters, digits, - and _, beginning with a letter or digit",
            )
        return given
    written = [
        document.get("name") for path in sources.files for document in layers.documents(path)
    ]
    texts = [text for text in written if isinstance(text, str) and text]
    name = _name_of(texts[-1], options, sources) if texts else ""
    name = name or normalized_name(sources.folder.rpartition("/")[2])
    if not name:
        raise StackrError("the project has no name", hint="give one with -p or `name:`")
    return name


def _name_of(text: str, options: LoadOptions, sources: Sources) -> str:
    if options.interpolate:
        try:
            text = substitute(text, sources.environment.get, lambda _: None)
        except TemplateError:
            return ""
    return normalized_name(text)


def normalized_name(text: str) -> str:
    """Make a project name of any text."""
    return "".join(re.findall(r"[a-z0-9_-]", text.lower())).lstrip("_-")


def _project(stack: StackFile, loaded: Loaded, options: LoadOptions) -> Project:
    profiles = options.profiles or tuple(loaded.sources.environment.get(PROFILES, "").split(","))
    project = Project.model_construct(
        name=loaded.name,
        working_dir=loaded.sources.folder,
        files=loaded.sources.files,
        environment=loaded.sources.environment,
        services=stack.services,
        networks={k: v or Network() for k, v in stack.networks.items()},
        volumes={k: v or Volume() for k, v in stack.volumes.items()},
        secrets=stack.secrets,
        configs=stack.configs,
        models=stack.models,
        values=loaded.values,
        extensions=dict(stack.model_extra or {}),
    )
    tree = loaded.tree
    return project.located_by(lambda path: _locate(tree, path)).with_profiles(profiles)


def _locate(tree: Map, path: str) -> Where | None:
    return where(mark_at(tree, undotted(path)))

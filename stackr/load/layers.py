"""Files to one tree: each is interpolated, extended, completed by its includes, merged."""

from dataclasses import dataclass, field

from stackr.load.canonical import canonicalize
from stackr.load.discover import STDIN
from stackr.load.extends import Extender
from stackr.load.files import Files
from stackr.load.include import Inclusion, Scope, include_of
from stackr.load.interpolate import Interpolation
from stackr.load.merge import Unmergeable, merged
from stackr.load.options import LoadOptions
from stackr.load.parse import parse
from stackr.load.problem import Report, display_name
from stackr.load.tree import Map, Mark, Seq, dotted
from stackr.load.unique import enforce

SECTIONS = ("services", "volumes", "networks", "secrets", "configs", "models")


@dataclass
class Layers:
    """Reads and merges the files of one stack."""

    options: LoadOptions
    files: Files
    report: Report
    values: dict[str, str] = field(default_factory=dict)
    """The values of configs and secrets that come from variables, by `secrets.NAME`."""
    parsed: dict[str, list[Map]] = field(default_factory=dict)
    interpolation: Interpolation = field(init=False)

    def __post_init__(self) -> None:
        self.interpolation = Interpolation(None, self.report)

    def tree(self, paths: tuple[str, ...], scope: Scope) -> Map:
        """Merge files into one tree; problems go to the report, only fatal ones are raised."""
        tree = Map()
        for path in paths:
            for document in self.documents(path):
                layer = self._layer(document, path, scope)
                try:
                    tree = merged(tree, layer)
                except Unmergeable as error:
                    self.report.add(error.mark, dotted(error.path), str(error))
                enforce(tree)
        self._note_values(tree, scope)
        return tree

    def documents(self, path: str) -> list[Map]:
        """Parse a file, once."""
        if path not in self.parsed:
            text = self.options.stdin if path == STDIN else self.files.read(path)
            name = "<stdin>" if path == STDIN else display_name(path, self.options.cwd)
            self.parsed[path] = parse(text, name, self.report)
        return self.parsed[path]

    def interpolated(self, document: Map, scope: Scope) -> Map:
        """Copy a document with its variables replaced and its short forms made long."""
        lookup = scope.environment.get if self.options.interpolate else None
        self.interpolation.lookup = lookup
        tree: Map = self.interpolation.copy(document)
        canonicalize(tree, self.report)
        return tree

    def _layer(self, document: Map, path: str, scope: Scope) -> Map:
        tree = self.interpolated(document, scope)
        Extender(self, path, scope).extend(tree)
        if "version" in tree:
            name = display_name(path, self.options.cwd)
            self.report.warn(
                f"{name}: the attribute `version` is obsolete, it will be ignored, "
                "please remove it to avoid potential confusion"
            )
        if isinstance(tree.get("include"), Seq):
            self._include(tree, path, scope)
        return tree

    def _include(self, tree: Map, path: str, scope: Scope) -> None:
        includes = tree["include"]
        for item, mark in includes.placed():
            wanted = include_of(item)
            if wanted is None:
                continue
            inner = Inclusion(self, wanted, scope, path, mark).tree()
            if inner is not None:
                self._import(inner, tree, mark)
        if all(include_of(item) is not None for item in includes):
            tree.drop("include")

    def _import(self, inner: Map, tree: Map, mark: Mark | None) -> None:
        for section in SECTIONS:
            resources = inner.get(section)
            if not isinstance(resources, Map):
                continue
            if not isinstance(tree.get(section), Map):
                tree.put(section, Map(mark), mark)
            for name, resource in resources.items():
                if name not in tree[section]:
                    tree[section].put(name, resource, resources.marks[name])
                elif tree[section][name] != resource:
                    self.report.add(
                        tree[section].marks[name],
                        f"{section}.{name}",
                        "conflicts with an included one",
                        "to change that, include a list of paths: the file and an override",
                    )

    def _note_values(self, tree: Map, scope: Scope) -> None:
        _resolve_listed(tree, scope.environment)
        for section in ("secrets", "configs"):
            resources = tree.get(section)
            for name, resource in resources.items() if isinstance(resources, Map) else ():
                variable = resource.get("environment") if isinstance(resource, Map) else None
                if isinstance(variable, str) and variable in scope.environment:
                    self.values.setdefault(f"{section}.{name}", scope.environment[variable])


def _resolve_listed(tree: Map, environment: dict[str, str]) -> None:
    """Give `- NAME` entries of `environment` the value that holds where they are written."""
    services = tree.get("services")
    for service in services.values() if isinstance(services, Map) else ():
        listed = service.get("environment") if isinstance(service, Map) else None
        if isinstance(listed, Seq):
            listed[:] = [
                f"{item}={environment[item]}"
                if isinstance(item, str) and item in environment
                else item
                for item in listed
            ]

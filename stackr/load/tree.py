"""The tree of a stack file: ordinary mappings and lists that know where their items stand."""

from collections.abc import Iterable
from typing import Any, Protocol

from stackr_schemas.errors import Where

Path = tuple[str | int, ...]


class Mark(Protocol):
    """A place as the YAML parser gives it; lines and columns count from 0."""

    name: str
    line: int
    column: int


class Map(dict[str, Any]):
    """A mapping; `marks` has the places of its keys.

    `resets` are the keys that drop what an earlier file has, `overrides` those with a value.
    """

    __slots__ = ("mark", "marks", "overrides", "resets")

    def __init__(self, mark: Mark | None = None):
        super().__init__()
        self.mark = mark
        self.marks: dict[str, Mark | None] = {}
        self.resets: frozenset[str] = frozenset()
        self.overrides: frozenset[str] = frozenset()

    def put(self, key: str, value: Any, mark: Mark | None) -> None:
        """Set an item and its place."""
        self[key] = value
        self.marks[key] = mark

    def drop(self, key: str) -> None:
        """Remove an item, if there is one."""
        self.pop(key, None)
        self.marks.pop(key, None)


class Seq(list[Any]):
    """A list; `marks` has the places of its items."""

    __slots__ = ("mark", "marks")

    def __init__(self, mark: Mark | None = None):
        super().__init__()
        self.mark = mark
        self.marks: list[Mark | None] = []

    def add(self, value: Any, mark: Mark | None) -> None:
        """Append an item and its place."""
        self.append(value)
        self.marks.append(mark)

    def placed(self) -> list[tuple[Any, Mark | None]]:
        """Give the items with their places."""
        return list(zip(self, self.marks, strict=True))


def seq_of(items: Iterable[tuple[Any, Mark | None]], mark: Mark | None) -> Seq:
    """Make a list of items and their places."""
    found = Seq(mark)
    for value, place in items:
        found.add(value, place)
    return found


def adopt(value: Any, mark: Mark | None) -> Any:
    """Make a tree of plain data, all of it at one place."""
    if isinstance(value, dict) and not isinstance(value, Map):
        found = Map(mark)
        for key, item in value.items():
            found.put(key, adopt(item, mark), mark)
        return found
    if isinstance(value, list | tuple) and not isinstance(value, Seq):
        return seq_of(((adopt(item, mark), mark) for item in value), mark)
    return value


def copied(value: Any) -> Any:
    """Copy a tree: nothing in the copy is shared."""
    if isinstance(value, Map):
        found = Map(value.mark)
        found.resets, found.overrides = value.resets, value.overrides
        found.marks = dict(value.marks)
        for key, item in value.items():
            found[key] = copied(item)
        return found
    if isinstance(value, Seq):
        return seq_of(((copied(item), mark) for item, mark in value.placed()), value.mark)
    return value


def mark_at(tree: Any, path: Iterable[str | int]) -> Mark | None:
    """Find the place of a path, or of the nearest thing above it that has one."""
    mark: Mark | None = getattr(tree, "mark", None)
    for step in path:
        if isinstance(tree, Map) and step in tree:
            mark = tree.marks.get(str(step)) or mark
            tree = tree[str(step)]
        elif isinstance(tree, Seq) and isinstance(step, int) and step < len(tree):
            mark = tree.marks[step] or mark
            tree = tree[step]
        else:
            break
    return mark


def where(mark: Mark | None) -> Where | None:
    """Write a place as the user counts."""
    return Where(mark.name, mark.line + 1, mark.column + 1) if mark else None


def dotted(path: Iterable[str | int]) -> str:
    """Write a path as `services.web.ports[0]`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def undotted(path: str) -> Path:
    """Read what `dotted` wrote."""
    steps: list[str | int] = []
    for part in path.split("."):
        name, *indexes = part.split("[")
        steps += [name] if name else []
        steps += [int(i[:-1]) for i in indexes if i.endswith("]") and i[:-1].isdigit()]
    return tuple(steps)


def maps_in(tree: Any, key: str) -> list[Map]:
    """List the mappings that are items of a mapping's key: the services, the networks."""
    value = tree.get(key) if isinstance(tree, Map) else None
    items = value.values() if isinstance(value, Map) else ()
    return [item for item in items if isinstance(item, Map)]


def entries_in(tree: Any, key: str) -> list[Map]:
    """List the mappings in the list at a mapping's key."""
    value = tree.get(key) if isinstance(tree, Map) else None
    return [item for item in value if isinstance(item, Map)] if isinstance(value, Seq) else []


def plain(value: Any) -> Any:
    """Copy a tree without places."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value

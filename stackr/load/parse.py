"""YAML text to trees with places: no duplicate keys, no cycles, merge keys applied."""

from dataclasses import dataclass, field
from typing import Any

from yaml import (
    AliasEvent,
    DocumentEndEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    YAMLError,
)
from yaml._yaml import CParser  # libyaml: eight times as fast as the pure parser

from stackr.load.problem import Report
from stackr.load.scalar import resolve, tagged
from stackr.load.tree import Map, Mark, Seq

DEEPEST = 100
RESET, OVERRIDE = "!reset", "!override"
MERGE = "<<"


class _Named:
    """Text with the name that the parser's marks carry."""

    def __init__(self, text: str, name: str):
        self.name = name
        self._text = text
        self._position = 0

    def read(self, size: int = -1, /) -> str:
        """Give the next characters."""
        end = len(self._text) if size < 0 else self._position + size
        text = self._text[self._position : end]
        self._position = end
        return text


class Unreadable(Exception):
    """Stops the parser at a place."""

    def __init__(self, message: str, mark: Mark | None):
        super().__init__(message)
        self.mark = mark


@dataclass
class _Open:
    """A container whose end has not been seen."""

    value: Map | Seq
    anchor: str | None
    tag: str | None
    mark: Mark
    key: str | None = None
    key_mark: Mark | None = None
    is_merge: bool = False
    defined: dict[str, Mark] = field(default_factory=dict)
    merges: list[tuple[Any, Mark]] = field(default_factory=list)


_PENDING = object()


def parse(text: str, name: str, report: Report) -> list[Map]:
    """Read all documents of a file; problems go to the report."""
    report.texts[name] = text
    try:
        documents = _Builder(name).documents(text.removeprefix("\ufeff"))
    except Unreadable as error:
        report.add(error.mark, "", str(error))
        return []
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        report.add(mark or _start(name), "", _message(error), "check the indentation and quotes")
        return []
    return [tree for tree in documents if _is_mapping(tree, name, report)]


def _is_mapping(tree: Any, name: str, report: Report) -> bool:
    if isinstance(tree, Map):
        return True
    report.add(_start(name), "", "the top level must be a mapping", "begin with `services:`")
    return False


@dataclass
class _Start:
    name: str
    line: int = 0
    column: int = 0


def _start(name: str) -> Mark:
    return _Start(name)


def _message(error: YAMLError) -> str:
    context, problem = getattr(error, "context", None), getattr(error, "problem", None)
    text = ": ".join(part for part in (context, problem) if part) or str(error)
    return f"invalid YAML: {text}"


class _Builder:
    """Builds trees from the parser's events, without recursion."""

    def __init__(self, name: str):
        self.name = name
        self.stack: list[_Open] = []
        self.anchors: dict[str, Any] = {}
        self.tags: dict[str, str | None] = {}
        self.uses: dict[str, list[str]] = {}
        self.root: Any = None

    def documents(self, text: str) -> list[Any]:
        parser = CParser(_Named(text, self.name))
        found: list[Any] = []
        while (event := parser.get_event()) is not None:
            if isinstance(event, ScalarEvent):
                self._scalar(event)
            elif isinstance(event, MappingStartEvent):
                self._start(Map(event.start_mark), event)
            elif isinstance(event, SequenceStartEvent):
                self._start(Seq(event.start_mark), event)
            elif isinstance(event, MappingEndEvent | SequenceEndEvent):
                self._end()
            elif isinstance(event, AliasEvent):
                self._alias(event)
            elif isinstance(event, DocumentEndEvent):
                found.append(self.root)
                self.root, self.anchors, self.tags, self.uses = None, {}, {}, {}
        return found

    def _scalar(self, event: Any) -> None:
        tag = event.tag
        if event.implicit[0] and not tag:
            value = resolve(event.value)
        elif tag and tag not in (RESET, OVERRIDE, "!"):
            try:
                value = tagged(tag, event.value)
            except ValueError as error:
                raise Unreadable(str(error), event.start_mark) from None
        else:
            value = resolve(event.value) if tag in (RESET, OVERRIDE) else event.value
        if event.anchor:
            self.anchors[event.anchor], self.tags[event.anchor] = value, tag
        self._add(value, event.start_mark, tag, event)

    def _start(self, value: Map | Seq, event: Any) -> None:
        if len(self.stack) >= DEEPEST:
            raise Unreadable(f"nested more than {DEEPEST} levels deep", event.start_mark)
        top = self.stack[-1] if self.stack else None
        if top and isinstance(top.value, Map) and top.key is None:
            raise Unreadable("a key must be a string", event.start_mark)
        if event.anchor:
            self.anchors[event.anchor] = _PENDING
        self.stack.append(_Open(value, event.anchor, event.tag, event.start_mark))

    def _end(self) -> None:
        done = self.stack.pop()
        if isinstance(done.value, Map):
            _merge_keys(done.value, done.merges)
        if done.anchor:
            self.anchors[done.anchor], self.tags[done.anchor] = done.value, done.tag
        self._add(done.value, done.mark, done.tag)

    def _alias(self, event: Any) -> None:
        self._add(self._aliased(event), event.start_mark, self.tags.get(event.anchor))

    def _aliased(self, event: Any) -> Any:
        if event.anchor not in self.anchors:
            raise Unreadable(f"undefined alias *{event.anchor}", event.start_mark)
        value = self.anchors[event.anchor]
        if value is _PENDING:
            raise Unreadable(f"cycle: *{event.anchor} is inside &{event.anchor}", event.start_mark)
        self._check_use(event)
        return value

    def _check_use(self, event: Any) -> None:
        """Refuse an alias at `a.b` that is also used at `a`, as Docker Compose does.

        It compares paths as text, so that services named `a` and `a.b` are refused too.
        """
        path = ".".join(entry.key or "" for entry in self.stack)
        if path.endswith(MERGE):
            return
        for other in self.uses.get(event.anchor, ()):
            if path.startswith(f"{other}.") or other.startswith(f"{path}."):
                raise Unreadable(f"cycle: *{event.anchor} is used at {other} too", event.start_mark)
        self.uses.setdefault(event.anchor, []).append(path)

    def _add(self, value: Any, mark: Mark, tag: str | None, scalar: Any = None) -> None:
        if not self.stack:
            self.root = value
            return
        top = self.stack[-1]
        if isinstance(top.value, Seq):
            if tag != RESET:
                top.value.add(value, mark)
        elif top.key is None:
            _set_key(top, value, mark)
            top.is_merge = value == MERGE and (scalar is None or scalar.implicit[0])
        else:
            _set_item(top, value, tag)


def _set_key(top: _Open, key: Any, mark: Mark) -> None:
    if not isinstance(key, str):
        raise Unreadable(f"the key {key!r} is not a string; put it in quotes", mark)
    if key in top.defined:
        line = top.defined[key].line + 1
        raise Unreadable(f"duplicate key {key!r}, already defined in line {line}", mark)
    top.defined[key] = mark
    top.key, top.key_mark = key, mark


def _set_item(top: _Open, value: Any, tag: str | None) -> None:
    key, mark = top.key, top.key_mark
    assert isinstance(top.value, Map) and key is not None and mark is not None
    top.key = None
    if top.is_merge:
        top.merges += [(one, mark) for one in (value if isinstance(value, Seq) else [value])]
        return
    if tag in (RESET, OVERRIDE):
        top.value.resets |= {key}
    if tag == OVERRIDE:
        top.value.overrides |= {key}
    if tag != RESET:
        top.value.put(key, value, mark)


def _merge_keys(target: Map, merges: list[tuple[Any, Mark]]) -> None:
    own = set(target) | target.resets
    for source, mark in merges:
        if not isinstance(source, Map):
            raise Unreadable("<< needs a mapping or a list of mappings", mark)
        for key in source.keys() | source.resets:
            if key in own:
                continue
            own.add(key)
            if key in source:
                target.put(key, source[key], source.marks.get(key))
            target.resets |= source.resets & {key}
            target.overrides |= source.overrides & {key}

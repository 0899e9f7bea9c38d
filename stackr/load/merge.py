"""How a later file changes an earlier one: mappings merge, lists append, special keys differ."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stackr_schemas.types import text_of

from stackr.load.tree import Map, Mark, Path, Seq, adopt, dotted, seq_of


class Unmergeable(Exception):
    """The two files have different kinds of value at one path."""

    def __init__(self, path: Path, mark: Mark | None):
        super().__init__(f"cannot merge {dotted(path)}: one file has a mapping, the other a list")
        self.path = path
        self.mark = mark


Merger = Callable[[Any, Any, "Rule", Path], Any]


@dataclass
class Rule:
    """How the value at a path is merged, and the rules below it (`*` is any key)."""

    merge: Merger | None = None
    below: dict[str, "Rule"] = field(default_factory=dict)

    def step(self, key: str) -> "Rule":
        """Give the rule of an item."""
        return self.below.get(key) or self.below.get("*") or NO_RULE


NO_RULE = Rule()


def merged(base: Map, other: Map) -> Map:
    """Merge the tree of a later file into an earlier one, which is changed; raises Unmergeable."""
    apply_resets(base, other)
    return _merge_maps(base, other, RULES, ())


def merged_service(base: Map, other: Map, is_same_file: bool) -> Map:
    """Merge one service over the one that it extends.

    In one file, `!override` appends as if it were not there, which Docker Compose 2.40 does.
    """
    apply_resets(base, other, with_overrides=not is_same_file)
    return _merge_maps(base, other, RULES.step("services").step("*"), ("services", "*"))


def apply_resets(base: Any, other: Map, with_overrides: bool = True) -> None:
    """Drop from the earlier tree what the later one tags `!reset` or `!override`."""
    if not isinstance(base, Map):
        return
    for key in other.resets - (frozenset() if with_overrides else other.overrides):
        base.drop(key)
    for key, item in other.items():
        if isinstance(item, Map) and key in base:
            apply_resets(base[key], item, with_overrides)


def _merge(base: Any, other: Any, rule: Rule, path: Path) -> Any:
    if rule.merge is not None:
        return rule.merge(base, other, rule, path)
    if other is None:
        return base
    if isinstance(base, Map) and isinstance(other, Map):
        return _merge_maps(base, other, rule, path)
    if isinstance(base, Seq) and isinstance(other, Seq):
        return seq_of([*base.placed(), *other.placed()], base.mark)
    if isinstance(base, Map | Seq):
        raise Unmergeable(path, getattr(other, "mark", None))
    return other


def _merge_maps(base: Map, other: Map, rule: Rule, path: Path) -> Map:
    for key, item in other.items():
        if key in base and not key.startswith("x-"):
            try:
                item = _merge(base[key], item, rule.step(key), (*path, key))
            except Unmergeable as error:
                error.mark = error.mark or other.marks.get(key)
                raise
        base.put(key, item, other.marks.get(key))
    base.resets, base.overrides = other.resets, other.overrides
    return base


def _override(base: Any, other: Any, rule: Rule, path: Path) -> Any:
    return other


def _append_pairs(base: Any, other: Any, rule: Rule, path: Path) -> Any:
    return seq_of([*_as_pairs(base), *_as_pairs(other)], getattr(other, "mark", None))


def _append_new_pairs(base: Any, other: Any, rule: Rule, path: Path) -> Any:
    pairs = _as_pairs(base)
    known = [item for item, _ in pairs]
    pairs += [(item, mark) for item, mark in _as_pairs(other) if item not in known]
    return seq_of(pairs, getattr(other, "mark", None))


def _as_pairs(value: Any) -> list[tuple[Any, Mark | None]]:
    """Write `{K: v}` as `K=v` items, sorted."""
    if isinstance(value, Seq):
        return value.placed()
    if isinstance(value, str):
        return [(value, None)]
    found: list[tuple[Any, Mark | None]] = []
    for key, item in value.items() if isinstance(value, Map) else ():
        mark = value.marks.get(key)
        if item is None:
            found.append((key, mark))
        else:
            items = item if isinstance(item, Seq) else [item]
            found += [(_pair(key, one), mark) for one in items]
    return sorted(found, key=lambda pair: str(pair[0]))


def _pair(key: str, value: Any) -> Any:
    return value if isinstance(value, Map | Seq) else f"{key}={text_of(value)}"


def _same_driver(base: Any, other: Any, rule: Rule, path: Path) -> Any:
    if not isinstance(base, Map) or not isinstance(other, Map):
        return other if base is None or other is not None else base
    drivers = [one["driver"] for one in (base, other) if "driver" in one]
    if len(drivers) == 2 and drivers[0] != drivers[1]:
        return other
    return _merge_maps(base, other, rule, path)


def _pools(base: Any, other: Any, rule: Rule, path: Path) -> Any:
    """Merge address pools by their subnet, as Docker Compose does.

    Pools that the later file does not name are lost, and where it names several, one can take
    the fields of another.
    """
    if not isinstance(base, Seq) or not isinstance(other, Seq):
        return base if other is None else other
    found: dict[Any, tuple[Any, Mark | None]] = {}
    for earlier in base:
        for later, mark in other.placed():
            if not isinstance(earlier, Map) or not isinstance(later, Map):
                raise Unmergeable(path, mark)
            subnet = later.get("subnet")
            if subnet != earlier.get("subnet") and subnet not in found:
                found[subnet] = (later, mark)
            else:
                found[subnet] = (_merge_maps(earlier, later, rule, path), mark)
    return seq_of(found.values(), base.mark)


def _by_name(base: Any, other: Any, rule: Rule, path: Path) -> Any:
    return _merge(_named(base), _named(other), NO_RULE, path)


def _named(value: Any) -> Any:
    return adopt(dict.fromkeys(value), value.mark) if isinstance(value, Seq) else value


def _rules(patterns: dict[str, Merger]) -> Rule:
    root = Rule()
    for pattern, merge in patterns.items():
        rule = root
        for step in pattern.split("."):
            rule = rule.below.setdefault(step, Rule())
        rule.merge = merge
    return root


RULES = _rules(
    {
        "networks.*.ipam.config": _pools,
        "networks.*.labels": _append_pairs,
        "volumes.*.labels": _append_pairs,
        "services.*.annotations": _append_pairs,
        "services.*.build.args": _append_pairs,
        "services.*.build.additional_contexts": _append_pairs,
        "services.*.build.extra_hosts": _append_new_pairs,
        "services.*.build.labels": _append_pairs,
        "services.*.command": _override,
        "services.*.deploy.labels": _append_pairs,
        "services.*.dns": _append_pairs,
        "services.*.dns_opt": _append_pairs,
        "services.*.dns_search": _append_pairs,
        "services.*.entrypoint": _override,
        "services.*.env_file": _append_pairs,
        "services.*.label_file": _append_pairs,
        "services.*.environment": _append_pairs,
        "services.*.extra_hosts": _append_new_pairs,
        "services.*.healthcheck.test": _override,
        "services.*.labels": _append_pairs,
        "services.*.logging": _same_driver,
        "services.*.models": _by_name,
        "services.*.networks": _by_name,
        "services.*.sysctls": _append_pairs,
        "services.*.tmpfs": _append_pairs,
        "services.*.ulimits.*": _override,
    }
)

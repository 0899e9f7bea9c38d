"""Samples as a table and as JSON."""

import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from benchmarks.cases import Sample

AIMS = {
    "up -d again": 5,
    "up -d, 1 ": 0,
    "down, 1 ": 0,
    "up -d": 10,
    "down": 10,
    "exec": 4,
    "run": 4,
    "memory": 4,
}
"""How many times less than Docker Compose, by the beginning of the case; the first that fits."""


@dataclass(frozen=True)
class Row:
    """One case: a median a contender, and how many times less stackr needs."""

    case: str
    unit: str
    medians: dict[str, float]
    samples: dict[str, list[float]]
    ratio: float | None
    aim: int


def rows(samples: Iterable[Sample]) -> list[Row]:
    """Return one row a case, in the order in which they were measured."""
    cases: dict[tuple[str, str], dict[str, list[float]]] = {}
    for sample in samples:
        found = cases.setdefault((sample.case, sample.unit), {})
        found.setdefault(sample.contender, []).append(sample.value)
    return [_row(case, unit, found) for (case, unit), found in cases.items()]


def _row(case: str, unit: str, found: dict[str, list[float]]) -> Row:
    medians = {name: statistics.median(values) for name, values in found.items()}
    ratio = medians["docker"] / medians["stackr"] if len(medians) == 2 else None
    aim = next((aim for prefix, aim in AIMS.items() if case.startswith(prefix)), 0)
    return Row(case, unit, medians, found, ratio, aim)


def table(found: Sequence[Row]) -> str:
    """Return aligned lines: case, each contender's median (lowest-highest), ratio, aim."""
    names = list(dict.fromkeys(name for row in found for name in row.medians))
    lines = [["", *names, "ratio", "aim"], *(_cells(row, names) for row in found)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_line(line, widths) for line in lines)


def _line(cells: list[str], widths: list[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)])


def _cells(row: Row, names: list[str]) -> list[str]:
    figures = [_figure(row, name) for name in names]
    ratio = f"{row.ratio:.1f}" if row.ratio else "-"
    return [row.case, *figures, ratio, str(row.aim) if row.aim else ""]


def _figure(row: Row, name: str) -> str:
    if name not in row.samples:
        return "-"
    values = row.samples[name]
    return f"{row.medians[name]:.1f} {row.unit} ({min(values):.0f}-{max(values):.0f})"


def document(found: Sequence[Row], versions: dict[str, str]) -> dict[str, object]:
    """Return everything that was measured, and on what."""
    machine = {
        "kernel": platform.release(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
    }
    return {"machine": machine, "versions": versions, "cases": [asdict(row) for row in found]}

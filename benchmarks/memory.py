"""What an engine's own processes hold in memory."""

from pathlib import Path

from benchmarks.contender import BenchmarkError, Contender

WORKLOAD = b"sleep\x00"


def engine_pss(contender: Contender) -> float:
    """Return the MiB that all processes of an engine hold, its containers' workload left out.

    Proportional set size: a page that several processes share counts once in all. Raises
    BenchmarkError if nothing is found.
    """
    kib = [pss for folder in Path("/proc").glob("[0-9]*") if (pss := _pss(folder, contender))]
    if not kib:
        raise BenchmarkError(f"no process of {contender.name} found")
    return sum(kib) / 1024


def _pss(folder: Path, contender: Contender) -> int:
    try:
        if not _is_engine(folder, contender):
            return 0
        for line in (folder / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:  # it ended meanwhile
        pass
    return 0


def _is_engine(folder: Path, contender: Contender) -> bool:
    command = (folder / "cmdline").read_bytes()
    if command.startswith(WORKLOAD) or not command:
        return False
    if contender.programs:
        name = (folder / "comm").read_text().strip()
        return any(name.startswith(program[:15]) for program in contender.programs)
    place = contender.environment["STACKR_RUN_DIR"].encode()
    return place in command or place in (folder / "environ").read_bytes()

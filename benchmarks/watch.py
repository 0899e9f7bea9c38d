"""`python -m benchmarks.watch`: from a save on the host to the file in the container."""

import argparse
import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import contender
from benchmarks.contender import IMAGE, PROJECT, BenchmarkError, Contender

MARK = "7654321"
"""How long the container sleeps: by this its process is found."""
TARGET = "srv/watched"
MANY = 1000


def main() -> int:
    """Measure each contender and print medians in milliseconds."""
    options = parse()
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="stackr-watch-", dir=options.folder) as folder:
        contenders = [contender.stackr(Path(folder, "engine"))]
        other = contender.docker(options.docker)
        contenders += [other] if other is not None and options.docker != "none" else []
        for each in contenders:
            contender.import_image(each, options.busybox)
            found[each.name] = measure(each, Path(folder, each.name), options)
            if not each.programs:
                each.run("resident", "stop")
    for name, figures in found.items():
        text = ", ".join(f"{case} {value:.1f} ms" for case, value in figures.items())
        print(f"{name}: {text}")
    return 0


def parse() -> argparse.Namespace:
    """Read the arguments."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watch", description=__doc__)
    docker = os.environ.get("STACKR_BENCHMARK_DOCKER", "")
    parser.add_argument("--docker", default=docker, help="command prefix of Docker, or none")
    parser.add_argument("--busybox", type=Path, default=Path(shutil.which("busybox") or "busybox"))
    parser.add_argument("--folder", default="/var/tmp", help="a folder that both see as the same")
    parser.add_argument("--saves", type=int, default=15)
    return parser.parse_args()


def measure(each: Contender, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Save files under a watch; the stack is gone at the end."""
    source = folder / "source"
    source.mkdir(parents=True)
    entry = {"path": str(source), "action": "sync", "target": f"/{TARGET}", "initial_sync": True}
    service = {"image": IMAGE, "command": ["sleep", MARK], "stop_grace_period": "0s"}
    file = folder / "stack.yaml"
    file.write_text(json.dumps({"services": {"web": service | {"develop": {"watch": [entry]}}}}))
    named = (*each.compose, "-p", PROJECT, "-f", str(file))
    each.run("-p", PROJECT, "-f", str(file), "up", "-d")
    try:
        with watching([*named, "watch", "--no-up"], each):
            copy = target()
            await_true(lambda: saved(source / "ready", copy / "ready", "ready"), 30)
            return figures(source, copy, options.saves)
    finally:
        each.run("-p", PROJECT, "-f", str(file), "down")


def figures(source: Path, copy: Path, saves: int) -> dict[str, float]:
    """Save one file again and again, then many at once."""
    singles = []
    for number in range(saves):
        time.sleep(0.3)
        text, start = f"text {number}", time.perf_counter()
        (source / "one").write_text(text)
        await_true(lambda text=text: holds(copy / "one", text), 30)  # type: ignore[misc]
        singles.append((time.perf_counter() - start) * 1000)
    start = time.perf_counter()
    for number in range(MANY):
        (source / f"file{number}").write_text("many")
    names = [copy / f"file{number}" for number in range(MANY)]
    await_true(lambda: all(holds(name, "many") for name in reversed(names)), 60)
    many = (time.perf_counter() - start) * 1000
    return {"one file": statistics.median(singles), f"{MANY} files": many}


@contextlib.contextmanager
def watching(command: list[str], each: Contender) -> Iterator[None]:
    """Run a watch, and interrupt it at the end."""
    environment = {**os.environ, **each.environment}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def target() -> Path:
    """Find the watched folder inside the container, by its process."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if words[:2] == [b"sleep", MARK.encode()]:
                return folder / "root" / TARGET
    raise BenchmarkError("the container's process was not found")


def saved(source: Path, copy: Path, text: str) -> bool:
    """Save until the watch, which says nowhere when it has begun, has seen it."""
    if not holds(copy, text):
        source.write_text(text)
        time.sleep(0.2)
    return holds(copy, text)


def holds(file: Path, text: str) -> bool:
    """Tell whether a file is there and whole."""
    try:
        return file.read_text() == text
    except OSError:
        return False


def await_true(claim: Callable[[], bool], seconds: float) -> None:
    """Wait for a claim to hold; BenchmarkError when it does not in time."""
    end = time.monotonic() + seconds
    while not claim():
        if time.monotonic() > end:
            raise BenchmarkError("a saved file did not arrive")
        time.sleep(0.0005)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchmarkError as error:
        sys.exit(f"benchmarks.watch: {error}")

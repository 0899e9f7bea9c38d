"""Measures loading: `python -m benchmarks.load [--compose "docker compose"] [FOLDER …]`.

A file of 100 services in a warm process, and `config` of the folders' stacks as a whole process:
with a resident, without one, and by Docker Compose. Interleaved rounds, medians, ratios.
"""

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from stackr.load import LoadOptions, load_project

ROOT = Path(__file__).parent.parent
STACKR = [sys.executable, "-S", "-c", "from stackr.client import main; main()"]
SERVICE = """
  s{n}:
    image: registry.example.com/team/app-{n}:${{TAG:-1.{n}}}
    command: ["serve", "--port", "{port}"]
    environment:
      PORT: "{port}"
      DB_URL: postgres://user:${{PW:-pw}}@db:5432/app
    ports: ["{port}:80"]
    volumes: ["data{n}:/data", "./conf:/etc/app:ro"]
    networks: [front, back]
    depends_on:
      db: {{condition: service_healthy}}
    healthcheck: {{test: ["CMD", "true"], interval: 5s, retries: 3}}
    restart: unless-stopped
    mem_limit: 128m
    labels: {{team: a, tier: "{n}"}}
"""
DATABASE = '  db: {image: db, healthcheck: {test: ["CMD", "true"]}}\n'


def large_stack(services: int) -> str:
    """Write a stack file with many services."""
    found = "".join(SERVICE.format(n=n, port=20000 + n) for n in range(services - 1))
    volumes = "".join(f"  data{n}:\n" for n in range(services - 1))
    return f"services:\n{DATABASE}{found}\nnetworks: {{front: , back: }}\nvolumes:\n{volumes}"


def milliseconds(act: Callable[[], object]) -> float:
    """Time one call."""
    started = time.perf_counter()
    act()
    return (time.perf_counter() - started) * 1000


def warm_load(folder: Path, rounds: int) -> float:
    """Load a file of 100 services in this process, again and again; the median."""
    (folder / "compose.yaml").write_text(large_stack(100))
    options = LoadOptions(cwd=str(folder))
    load_project(options)
    return statistics.median(milliseconds(lambda: load_project(options)) for _ in range(rounds))


def runner(command: Sequence[str], folder: Path, environment: dict[str, str]) -> Callable[[], None]:
    """Make a call that runs `config` in a folder."""

    def run() -> None:
        subprocess.run(
            [*command, "config"], cwd=folder, env=environment, check=True, capture_output=True
        )

    return run


def environment(run: Path) -> dict[str, str]:
    """Give a resident of its own a place; its state is thrown away."""
    paths = os.pathsep.join([str(ROOT / name) for name in (".", "engine", "schemas")] + sys.path)
    return {
        **os.environ,
        "PYTHONPATH": paths,
        "STACKR_RUN_DIR": str(run / "run"),
        "STACKR_STATE_DIR": str(run / "state"),
    }


def contenders(arguments: argparse.Namespace, run: Path) -> dict[str, Callable[[Path], None]]:
    """Name what is compared; the resident is started here."""
    alone = environment(run / "alone")
    found = {"without resident": lambda folder: runner(STACKR, folder, alone)()}
    if os.geteuid() == 0:
        served = environment(run / "served")
        subprocess.run([*STACKR, "resident", "status"], env=served, check=True, capture_output=True)
        found["with resident"] = lambda folder: runner(STACKR, folder, served)()
    if arguments.compose:
        compose = shlex.split(arguments.compose)
        found["compose"] = lambda folder: runner(compose, folder, dict(os.environ))()
    return found


def measure(arguments: argparse.Namespace, run: Path) -> dict[str, float]:
    """Run all contenders in turns; medians over all folders."""
    samples: dict[str, list[float]] = {}
    found = contenders(arguments, run)
    try:
        for _ in range(arguments.rounds):
            for folder in arguments.folders:
                for name, act in found.items():
                    took = milliseconds(lambda act=act, folder=folder: act(folder))
                    samples.setdefault(name, []).append(took)
    finally:
        if "with resident" in found:
            served = environment(run / "served")
            subprocess.run([*STACKR, "resident", "stop"], env=served, check=False)
    return {name: statistics.median(took) for name, took in samples.items()}


def parse() -> argparse.Namespace:
    """Read the arguments; without folders, a small stack is made."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    default = "docker compose" if shutil.which("docker") else ""
    parser.add_argument("--compose", default=default, help="Docker Compose; empty: not compared")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("folders", nargs="*", type=Path)
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    arguments = parse()
    with tempfile.TemporaryDirectory(prefix="stackr-benchmark-", dir="/var/tmp") as name:
        folder = Path(name)
        if not arguments.folders:
            (folder / "small").mkdir()
            (folder / "small" / "compose.yaml").write_text(large_stack(4))
            arguments.folders = [folder / "small"]
        figures = {"100 services, warm": warm_load(folder, arguments.rounds)}
        figures |= measure(arguments, folder)
    compose = figures.get("compose")
    for key, took in figures.items():
        ratio = f"   {compose / took:5.1f} times as fast as compose" if compose else ""
        print(f"{key:<20} {took:8.1f} ms{ratio if key.startswith('with') else ''}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()

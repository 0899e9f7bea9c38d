"""The command: interleaved rounds, medians, ratios."""

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks import cases, contender, report


def main() -> int:
    """Measure, print the table, write the JSON."""
    options = parse()
    with tempfile.TemporaryDirectory(prefix="stackr-benchmark-", dir="/var/tmp") as folder:
        contenders = chosen(options, Path(folder))
        try:
            samples = measure(contenders, options)
        finally:
            clean_up(contenders)
    found = report.rows(samples)
    print(report.table(found))
    versions = {each.name: version(each) for each in contenders if each.programs}
    text = json.dumps(report.document(found, versions), indent=1)
    if options.json:
        options.json.write_text(text + "\n")
    return 0


def parse() -> argparse.Namespace:
    """Read the arguments."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    add = parser.add_argument
    docker = os.environ.get("STACKR_BENCHMARK_DOCKER", "")
    add("--docker", default=docker, help="command prefix of Docker: 'chroot /some/root docker'")
    add("--busybox", type=Path, help="a statically linked busybox to make the image of")
    add("--rounds", type=int, default=5)
    add("--sizes", type=sizes, default=(1, 10, 50, 100), help="numbers of services: 1,10,50,100")
    add("--only", choices=("stackr", "docker"), help="measure one contender alone")
    add("--json", type=Path, help="write all samples to this file")
    options = parser.parse_args()
    options.busybox = options.busybox or shutil.which("busybox")
    if not options.busybox:
        parser.error("no busybox found: install busybox-static, or say --busybox FILE")
    options.busybox = Path(options.busybox)
    return options


def sizes(text: str) -> tuple[int, ...]:
    """Read `1,10,50`."""
    return tuple(int(word) for word in text.split(","))


def chosen(options: argparse.Namespace, folder: Path) -> list[contender.Contender]:
    """Return who is measured; says so where there is no Docker to compare with."""
    found = [contender.stackr(folder)] if options.only != "docker" else []
    if options.only != "stackr":
        docker = contender.docker(options.docker)
        if docker is None:
            print("no Docker with Compose answers: measuring stackr alone", file=sys.stderr)
        else:
            found.append(docker)
    return found


def measure(
    contenders: list[contender.Contender], options: argparse.Namespace
) -> list[cases.Sample]:
    """Measure all in turn, round by round; a short round first warms everything up."""
    samples: list[cases.Sample] = []
    for each in contenders:
        contender.import_image(each, options.busybox)
        list(cases.walk(each, (1, 2)))
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
        for each in contenders if number % 2 == 0 else contenders[::-1]:
            samples += cases.walk(each, options.sizes)
    return samples


def clean_up(contenders: list[contender.Contender]) -> None:
    """Take down what a failed round left, and end our own engine."""
    for each in contenders:
        each.stack(cases.stack_file(1), "down", "--remove-orphans")
        if not each.programs:
            each.run("resident", "stop")


def version(each: contender.Contender) -> str:
    """Return what the contender calls itself."""
    return each.run("version", "--short").strip()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except contender.BenchmarkError as error:
        sys.exit(f"benchmarks: {error}")

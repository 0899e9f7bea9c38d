"""Stack files that no one would write: changed bytes of files that someone would.

`python -m tests.stackr.load.fuzz --count 200000 --seed 1` prints each input that does anything
but load or be refused in one message, in time and in memory.
"""

import argparse
import random
import resource
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from stackr_schemas.compose.render import rendered
from stackr_schemas.errors import StackrError

from stackr.load import LoadOptions, load_project, refuse_unserved
from stackr.load.loader import load_model
from tests.stackr.load.memory import FOLDER, MemoryFiles

SLOWEST = 2.0
MOST_MEMORY = 500 << 20
SEEDS = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("seeds/*.yaml"))]
TOKENS = [
    b"&a ", b"*a", b"<<: ", b"!reset ", b"!override ", b"!!int ", b"---\n", b"...\n", b"? ", b"- ",
    b": ", b"{", b"}", b"[", b"]", b"|\n", b">\n", b"'", b'"', b"#", b"%", b"\t", b"\n", b"\r",
    b"\x00", b"\xff", b"\xc3\xa9", b"\xef\xbb\xbf", b"${", b"}", b"$", b"$$", b":-", b":?", b"${A",
    b"null", b"~", b"true", b"yes", b"0x", b"1e999", b"-1", b"9" * 30, b".inf", b"2001-01-01",
    b"services:", b"include:", b"extends:", b"x-a:", b"image:", b"ports:", b"volumes:", b"build:",
    b"80-1:1-80", b"::1:", b"c:\\a:/b", b"../..", b"/dev/null", b"a.yaml", b"compose.yaml",
    b"depends_on:", b"networks:", b"environment:", b"env_file:", b"deploy:", b"healthcheck:",
    b"ulimits:", b"secrets:", b"configs:", b"external:", b"name:", b"command:", b"gpus:", b"all",
]  # fmt: skip
OTHERS = {
    "a.yaml": "services: {base: {image: a, extends: more}, more: {user: me, ports: [80]}}",
    "inc.yaml": "services: {inc: {image: c, command: x}}\nvolumes: {more: }",
    "b.env": "A=1\nB='x'\nC=$A\n",
    "sub/key": "",
    "c.env": 'A=${B:-${C}}\nD="\\n"\nA_ALONE\n',
}


VALUES = [
    b"{}", b"[]", b"", b"null", b"5", b"-1", b"1.5", b"yes", b"true", b"x", b"'$A'", b"'${A:-b}'",
    b"[a, b]", b"{a: b}", b"[{a: b}]", b"80:80", b"1m", b"./a:/b", b"service:web", b"[web, web]",
    b"!reset", b"!override [a]", b"'${A'", b"[[a]]", b"{a: {b: c}}", b"0x10", b"0777", b"*env",
]  # fmt: skip


def reworded(data: bytes, chance: random.Random) -> bytes:
    """Give keys other values, or other places: what is still YAML gets far."""
    lines = data.split(b"\n")
    for _ in range(chance.choice((1, 1, 2, 4))):
        index = chance.randrange(len(lines))
        key, colon, _ = lines[index].partition(b":")
        match chance.randrange(5):
            case 0 | 1 if colon:
                lines[index] = key + b": " + chance.choice(VALUES)
            case 2:
                lines[index] = b""
            case 3:
                lines.insert(chance.randrange(len(lines)), lines[index])
            case _:
                found = [word for word in lines[index].split(b" ") if word]
                word = chance.choice(found) if found else b" "
                lines[index] = lines[index].replace(word, chance.choice(VALUES), 1)
    return b"\n".join(lines)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Change a few places."""
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.choice((0, 1, 2, 5, 40)))
        match chance.randrange(6):
            case 0:
                middle = chance.choice(TOKENS)
            case 1:
                middle = bytes([chance.randrange(256)])
            case 2:
                middle = b""
            case 3:
                middle = data[start:end] * chance.choice((2, 3, 50))
            case 4:
                other = chance.choice(SEEDS)
                cut = chance.randrange(len(other))
                middle = other[cut : cut + chance.choice((5, 30, 200))]
            case _:
                middle = data[start:end][::-1]
        data = data[:start] + middle + data[end:]
    return data


def inputs(count: int, seed: int) -> Iterator[bytes]:
    """Give as many inputs as are asked for, the same for the same seed."""
    chance = random.Random(seed)
    for _ in range(count):
        change = chance.choice((mutated, reworded))
        yield change(chance.choice(SEEDS), chance)


def fault(data: bytes) -> str:
    """Load, and say what is wrong with how that went; empty if nothing is."""
    text = data.decode(errors="replace")
    files = MemoryFiles(OTHERS | {"compose.yaml": text})
    options = LoadOptions(cwd=FOLDER, environment={"A": "a"})
    started = time.monotonic()
    try:
        project = load_project(options, files)
        rendered(project)
        refuse_unserved(project)
        load_model(LoadOptions(cwd=FOLDER, interpolate=False), files=files)
    except StackrError as error:
        if not str(error):
            return "an empty message"
    except Exception:
        return traceback.format_exc()
    took = time.monotonic() - started
    return f"took {took:.1f} s" if took > SLOWEST else ""


def main() -> int:
    """Run and report; the exit status is 1 when something was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (2 * MOST_MEMORY, 2 * MOST_MEMORY))
    found = 0
    slowest = 0.0
    for data in inputs(given.count, given.seed):
        started = time.monotonic()
        wrong = fault(data)
        slowest = max(slowest, time.monotonic() - started)
        if wrong:
            found += 1
            print(f"{data!r}\n{wrong}\n", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{given.count} inputs, {found} faults, slowest {slowest:.2f} s, {peak} MiB")
    return 1 if found or peak > MOST_MEMORY >> 20 else 0


if __name__ == "__main__":
    sys.exit(main())

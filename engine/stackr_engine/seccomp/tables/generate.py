"""Write the tables of system call numbers from the headers of a linux-libc-dev package.

Run `python generate.py FOLDER`, where FOLDER holds x86/, arm64/ and arm/, as
/usr/lib/linux/uapi does on Debian 13 and newer.
"""

import re
import sys
import textwrap
from pathlib import Path

HEADERS = {
    "x86_64": ("x86/asm/unistd_64.h",),
    "x32": ("x86/asm/unistd_x32.h",),
    "x86": ("x86/asm/unistd_32.h",),
    "aarch64": ("arm64/asm/unistd_64.h",),
    "arm": ("arm/asm/unistd-eabi.h", "arm/asm/unistd.h"),
}
BASES = {"__X32_SYSCALL_BIT": 0x40000000, "__NR_SYSCALL_BASE": 0, "__ARM_NR_BASE": 0x0F0000}
NOT_CALLS = {"syscalls", "SYSCALL_MASK", "OABI_SYSCALL_BASE", "SYSCALL_BASE", "BASE"}
DEFINITION = re.compile(r"#define\s+__(?:ARM_)?NR_(\w+)\s+\(?(?:(\w+)\s*\+\s*)?(\d+)\)?\s*$", re.M)
ALIASES = {"arm": {"sync_file_range2": "arm_sync_file_range"}}


def numbers_in(text: str) -> dict[str, int]:
    """Return the numbers that one header defines."""
    return {
        name: BASES[base] + int(number) if base else int(number)
        for name, base, number in DEFINITION.findall(text)
        if name not in NOT_CALLS
    }


def table_text(numbers: dict[str, int]) -> str:
    """Return names in the order of their numbers; a number stands where they do not follow on."""
    words: list[str] = []
    following = None
    for name, number in sorted(numbers.items(), key=lambda item: (item[1], item[0])):
        if number != following:
            words.append(str(number))
        words.append(name)
        following = number + 1
    return textwrap.fill(" ".join(words), 98, break_long_words=False, break_on_hyphens=False)


def main(folder: Path) -> None:
    """Write one module an architecture beside this file."""
    for arch, headers in HEADERS.items():
        numbers: dict[str, int] = {}
        for header in headers:
            numbers |= numbers_in((folder / header).read_text())
        numbers |= {new: numbers[old] for new, old in ALIASES.get(arch, {}).items()}
        text = f'"""System calls of {arch}; written by generate.py."""\n\n'
        text += f'TEXT = """\n{table_text(numbers)}\n"""\n'
        Path(__file__).with_name(f"{arch}.py").write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Write the table of system call numbers from the kernel's exported headers.

    python -m pause.syscall_table X86 ARM64 ARM > pypod/runtime/seccomp/data/syscalls.tsv

Each argument is an include directory as ``make headers_install ARCH=...`` leaves it (Linux 6.11 or newer, the first
with a flat ``asm/unistd_64.h`` for arm64). Run it to update the table; pypod needs it neither to build nor to run.
"""

from __future__ import annotations

import os
import re
import sys

# Column, index of the argument, headers below it. Names and numbers are the kernel's; x32 numbers come without
# __X32_SYSCALL_BIT, and arm is EABI, whose __NR_SYSCALL_BASE is 0.
COLUMNS = (
    ("x86_64", 0, ("asm/unistd_64.h",)),
    ("i386", 0, ("asm/unistd_32.h",)),
    ("x32", 0, ("asm/unistd_x32.h",)),
    ("aarch64", 1, ("asm/unistd_64.h",)),
    ("arm", 2, ("asm/unistd-eabi.h", "asm/unistd.h")),
)
BASES = {"__X32_SYSCALL_BIT": 0, "__NR_SYSCALL_BASE": 0, "__ARM_NR_BASE": 0x0F0000}
NOT_CALLS = {"SYSCALL_BASE", "OABI_SYSCALL_BASE", "SYSCALL_MASK", "BASE"}

DEFINE = re.compile(r"^#define\s+__(?:ARM_)?NR_(\w+)\s+(.+?)\s*$", re.MULTILINE)
NUMBER = re.compile(r"\(?(?:(\w+)\s*\+\s*)?(\d+)\)?")


def numbers(headers: list[str]) -> dict[str, int]:
    """Return {system call: number} from the text of the headers.

    Raises:
        ValueError: a definition has an unknown form; a guess could be wrong.
    """
    found: dict[str, int] = {}
    for name, value in (match for text in headers for match in DEFINE.findall(text)):
        if name in NOT_CALLS:
            continue
        if value.startswith("__NR_") and value[5:] in found:
            found[name] = found[value[5:]]
        elif (match := NUMBER.fullmatch(value)) and match[1] in {None, *BASES}:
            found[name] = int(match[2]) + BASES.get(match[1], 0)
        else:
            raise ValueError(f"cannot read: #define __NR_{name} {value}")
    return found


def read(directory: str, header: str) -> str:
    with open(os.path.join(directory, header), encoding="utf-8") as file:
        return file.read()


def kernel_version(directory: str) -> str:
    text = read(directory, "linux/version.h")
    return ".".join(re.findall(r"LINUX_VERSION_(?:MAJOR|PATCHLEVEL|SUBLEVEL) (\d+)", text))


def main(directories: list[str]) -> None:
    if len(directories) != 3:
        raise SystemExit(__doc__)
    tables = [numbers([read(directories[which], header) for header in headers]) for _, which, headers in COLUMNS]
    print("# System call numbers of Linux", kernel_version(directories[0]), "(made by pause/syscall_table.py)")
    print("name", *(name for name, _, _ in COLUMNS), sep="\t")
    for name in sorted(set().union(*tables)):
        print(name, *(table.get(name, "-") for table in tables), sep="\t")


if __name__ == "__main__":
    main(sys.argv[1:])

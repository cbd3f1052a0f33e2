"""The build hook: compile the C programs, write the manual pages, and give the wheel a platform."""

from __future__ import annotations

import os
import struct
import subprocess
import sys

from setuptools.command.build_py import build_py
from setuptools.errors import ExecError

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # setuptools before 70.1 leaves this command to the package wheel
    from wheel.bdist_wheel import bdist_wheel

HERE = os.path.dirname(os.path.abspath(__file__))
PT_DYNAMIC, PT_INTERP = 2, 3  # linux/elf.h


class BuildPause(build_py):
    """Run build_py and make."""

    def run(self) -> None:
        """Compile into the source tree for an editable install, otherwise into the build tree from scratch."""
        super().run()
        base = os.path.dirname(HERE) if self.editable_mode else os.path.abspath(self.build_lib)
        self.programs = os.path.join(base, "pypod", "_libexec")
        jobs = f"-j{len(os.sched_getaffinity(0))}"
        anew = [] if self.editable_mode else ["--always-make"]  # the flags may have changed since the last build
        try:
            subprocess.run(["make", "-s", jobs, *anew, "-C", HERE, f"OUT={self.programs}"], check=True)
        except (FileNotFoundError, subprocess.CalledProcessError) as error:
            raise ExecError(
                f"the C programs could not be built: {error}; that needs make, a C compiler and a static C library "
                "(Debian: apt-get install make gcc libc6-dev; Fedora: dnf install make gcc glibc-static)"
            ) from error
        if not self.editable_mode:
            self._write_manual()

    def _write_manual(self) -> None:
        """Write a manual page for each command, and let the wheel install them."""
        source = os.path.dirname(HERE)
        pages = os.path.join(os.path.abspath(self.get_finalized_command("build").build_temp), "man1")
        try:
            subprocess.run(
                [sys.executable, "-m", "pypod.cli.manual", pages],
                cwd=source,
                env={**os.environ, "PYTHONPATH": source, "PYTHONDONTWRITEBYTECODE": "1"},
                check=True,
            )
        except subprocess.CalledProcessError as error:
            raise ExecError(f"the manual pages could not be written: {error}") from error
        paths = [os.path.join(pages, name) for name in sorted(os.listdir(pages))]
        self.distribution.data_files = [*(self.distribution.data_files or []), ("share/man/man1", paths)]


class PlatformWheel(bdist_wheel):
    """A wheel with compiled programs: for one architecture and any Python; if they are static, for any C library."""

    def finalize_options(self) -> None:
        """Mark the wheel as platform-specific."""
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self) -> tuple[str, str, str]:
        """Return py3-none-PLATFORM; for static programs PLATFORM is two tags, pip accepts either (PEP 600, PEP 656)."""
        platform = super().get_tag()[2]
        directory = getattr(self.get_finalized_command("build_py"), "programs", "")  # unset for an editable install
        system, _, machine = platform.partition("_")
        if system == "linux" and directory and all(is_static(one.path) for one in os.scandir(directory)):
            platform = f"manylinux_2_17_{machine}.musllinux_1_1_{machine}"
        return "py3", "none", platform


def is_static(program: str) -> bool:
    """Return whether an ELF file runs without a dynamic linker: it has no interpreter and no dynamic section."""
    with open(program, "rb") as file:
        header = file.read(64)
        wide, order = header[4] == 2, "<" if header[5] == 1 else ">"
        (offset,) = struct.unpack_from(f"{order}Q" if wide else f"{order}I", header, 32 if wide else 28)
        size, count = struct.unpack_from(f"{order}HH", header, 54 if wide else 42)
        file.seek(offset)
        table = file.read(size * count)
    kinds = {struct.unpack_from(f"{order}I", table, at)[0] for at in range(0, len(table), size)}
    return kinds.isdisjoint((PT_DYNAMIC, PT_INTERP))

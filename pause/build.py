"""The build hook: compile the C programs into the package, and give the wheel a platform."""

from __future__ import annotations

import os
import subprocess

from setuptools.command.build_py import build_py
from setuptools.errors import ExecError

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # setuptools before 70.1 leaves this command to the package wheel
    from wheel.bdist_wheel import bdist_wheel

HERE = os.path.dirname(os.path.abspath(__file__))


class BuildPause(build_py):
    """build_py, and make."""

    def run(self) -> None:
        """Compile beside the sources for an editable install, into the build tree for any other."""
        super().run()
        base = os.path.dirname(HERE) if self.editable_mode else os.path.abspath(self.build_lib)
        out = os.path.join(base, "pypod", "_libexec")
        try:
            subprocess.run(["make", "-s", "-C", HERE, f"OUT={out}"], check=True)
        except (FileNotFoundError, subprocess.CalledProcessError) as error:
            raise ExecError(
                f"the C programs could not be built: {error}; that needs make, a C compiler and a static C library "
                "(Debian: apt-get install make gcc libc6-dev; Fedora: dnf install make gcc glibc-static)"
            ) from error


class PlatformWheel(bdist_wheel):
    """A wheel with programs in it is of one architecture, though of any Python."""

    def finalize_options(self) -> None:
        """Claim a platform."""
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self) -> tuple[str, str, str]:
        """Return py3-none-PLATFORM."""
        return "py3", "none", super().get_tag()[2]

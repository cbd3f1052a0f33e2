"""The stand-in images, built once per machine from Debian packages: build-images.sh."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_BUILD = Path(__file__).parent / "build-images.sh"


def archives(*names: str) -> dict[str, Path]:
    """Return OCI archives by name. Skips the test if one is missing and cannot be built (under a minute each)."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pypod-test-images"
    paths = {name: cache / f"{name}.oci.tar" for name in names}
    if not all(path.exists() and path.stat().st_mtime > _BUILD.stat().st_mtime for path in paths.values()):
        for tool in ("buildah", "debootstrap"):
            if shutil.which(tool) is None:
                pytest.skip(f"{tool} is not installed: it builds the stand-in images")
        subprocess.run([_BUILD, cache, *names], check=True, stdout=sys.stderr)
    return paths

"""Layers merged by umoci: a second opinion."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pypod.model.images.image import OCI_MANIFEST
from tests.images import forms
from tests.images.layers import snapshot
from tests.images.made import Made
from tests.images.stored import write


def layout(layers: list[bytes], target: Path) -> Path:
    """Lay an image of these layers out as a directory (image-spec: image-layout.md)."""
    made = Made(*layers)
    body = made.manifest_body()
    entry = forms.descriptor(body, OCI_MANIFEST, name="latest")
    return write(target, forms.layout([entry], (body, made.config_body, *made.layers)))


def unpacked(layout: Path, tag: str, bundle: Path) -> dict[str, tuple]:
    """Unpack an image with umoci and return a snapshot. Skips the test if umoci is not installed."""
    umoci = shutil.which("umoci")
    if umoci is None:
        pytest.skip("umoci is not installed")
    command = [umoci, "unpack", "--image", f"{layout}:{tag}", str(bundle)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return snapshot(bundle / "rootfs")

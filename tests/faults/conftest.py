"""What the tests of the engine's API have: containers with the probe in them, and a canary."""

from __future__ import annotations

from tests.integration.conftest import box, canary, own_rootfs, probe, rootfs

__all__ = ["box", "canary", "own_rootfs", "probe", "rootfs"]

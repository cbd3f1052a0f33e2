"""What the tests of the engine's API have: containers with the probe in them, a canary, and faults to inject."""

from __future__ import annotations

from tests.injection import injector
from tests.integration.conftest import box, canary, own_rootfs, plain, probe, rootfs
from tests.lab import lab

__all__ = ["box", "canary", "injector", "lab", "own_rootfs", "plain", "probe", "rootfs"]

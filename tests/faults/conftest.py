"""Fixtures shared with the tests of the engine's API: containers with the probe in them, a canary, fault injection."""

from __future__ import annotations

from tests.injection import injector
from tests.integration.conftest import box, canary, own_rootfs, plain, probe, rootfs
from tests.lab import lab

__all__ = ["box", "canary", "injector", "lab", "own_rootfs", "plain", "probe", "rootfs"]

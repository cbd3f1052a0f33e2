"""Start the same containers as the integration tests, with the sanitized programs."""

from __future__ import annotations

from tests.integration.conftest import probe, rootfs

__all__ = ["probe", "rootfs"]

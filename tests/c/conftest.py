"""The sanitized programs start the same containers as the integration tests do."""

from __future__ import annotations

from tests.integration.conftest import probe, rootfs

__all__ = ["probe", "rootfs"]

"""Provide the fixture of a place to unpack layers into."""

from __future__ import annotations

from tests.images.place import place

__all__ = ["place"]

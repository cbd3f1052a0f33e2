"""The configuration of an image: what to run and how, and the layers it is made of.

OCI's image-spec (config.md) and docker's schema 2 configuration agree in everything parsed here. The bytes are
untrusted: malformed ones are InvalidImage. Labels and annotations are stored but not obeyed (CVE-2026-94603).
"""

from __future__ import annotations

from pypod.errors import InvalidImage
from pypod.model.health import Healthcheck
from pypod.model.images.image import CONFIG_BYTES_LIMIT, Platform, check_digest, load, strings, text, values
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class HistoryEntry(Value):
    """The step that created a layer, or one that created none (``empty_layer``)."""

    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class ImageStep(Value):
    """One step of an image's history. ``id`` is that of the local image that ends with it, or empty."""

    id: str
    created: str
    created_by: str
    comment: str
    size_bytes: int


class LayerUse(Value):
    """A layer, and the names of the images whose top layer it is."""

    chain: str
    size_bytes: int
    names: tuple[str, ...] = ()


class ImageConfig(Value):
    """An image's configuration. ``body`` is the bytes it was parsed from, ``diff_ids`` has the lowest layer first.

    ``comment`` is of the image as a whole; only docker's form has it.

    >>> parse_config(b'{"rootfs": {"type": "layers", "diff_ids": []}, "config": {"Cmd": ["sh"]}}').command
    ('sh',)
    """

    body: bytes
    platform: Platform
    created: str = ""
    author: str = ""
    comment: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    working_directory: str = ""
    user: str = ""
    volumes: tuple[str, ...] = ()
    exposed_ports: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    stop_signal: str = ""
    healthcheck: Healthcheck | None = None
    diff_ids: tuple[str, ...] = ()
    history: tuple[HistoryEntry, ...] = ()


def parse_config(body: bytes, what: str = "image configuration") -> ImageConfig:
    """Parse a configuration. Raises InvalidImage."""
    found = _object(load(body, CONFIG_BYTES_LIMIT, what), what)
    rootfs = _object(found.get("rootfs"), f"{what}: rootfs")
    if rootfs.get("type", "layers") != "layers":
        raise InvalidImage(what, "its root file system does not consist of layers")
    config = _object(found.get("config") or {}, f"{what}: config")
    history = values(found.get("history") or [], f"{what}: history")
    return ImageConfig(
        body=body,
        platform=Platform(
            os=_text(found, "os", what) or "linux",
            architecture=_text(found, "architecture", what),
            variant=_text(found, "variant", what),
            os_version=_text(found, "os.version", what),
        ),
        created=_text(found, "created", what),
        author=_text(found, "author", what),
        comment=_text(found, "comment", what),
        environment=_environment(_words(config, "Env", what)),
        entrypoint=_words(config, "Entrypoint", what),
        command=_words(config, "Cmd", what),
        working_directory=_text(config, "WorkingDir", what),
        user=_text(config, "User", what),
        volumes=_names(config, "Volumes", what),
        exposed_ports=_names(config, "ExposedPorts", what),
        labels=strings(config.get("Labels"), f"{what}: Labels"),
        stop_signal=_text(config, "StopSignal", what),
        healthcheck=_healthcheck(config.get("Healthcheck"), f"{what}: Healthcheck"),
        diff_ids=tuple(
            check_digest(one, f"{what}: diff_ids") for one in values(rootfs.get("diff_ids") or [], f"{what}: diff_ids")
        ),
        history=tuple(_history_entry(_object(one, f"{what}: history"), f"{what}: history") for one in history),
    )


def _environment(entries: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return NAME=VALUE entries, without those that lack a value, which the caller would provide (CVE-2026-57231)."""
    found = {}
    for entry in entries:
        name, separator, value = entry.partition("=")
        if separator and name:
            found[name] = value
    return tuple(found.items())


def _healthcheck(value: object, what: str) -> Healthcheck | None:
    if not value:
        return None
    found = _object(value, what)
    given = {
        "interval_ns": _number(found, "Interval", what),
        "timeout_ns": _number(found, "Timeout", what),
        "start_period_ns": _number(found, "StartPeriod", what),
        "retries": _number(found, "Retries", what),
    }
    return Healthcheck(test=_words(found, "Test", what), **{key: number for key, number in given.items() if number})


def _history_entry(found: dict[str, Any], what: str) -> HistoryEntry:
    names = ("created", "created_by", "author", "comment")
    return HistoryEntry(
        **{name: _text(found, name, what) for name in names}, empty_layer=bool(found.get("empty_layer"))
    )


def _object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidImage(what, "expected an object")
    return value


def _text(found: dict[str, Any], key: str, what: str) -> str:
    return text(found.get(key) or "", f"{what}: {key}")


def _number(found: dict[str, Any], key: str, what: str) -> int:
    value = found.get(key) or 0
    if not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise InvalidImage(f"{what}: {key}", "expected a number")
    return value


def _words(found: dict[str, Any], key: str, what: str) -> tuple[str, ...]:
    value = found.get(key)
    if isinstance(value, str):  # old builders wrote an entrypoint as a string
        value = [value]
    return tuple(text(one, f"{what}: {key}") for one in values(value or [], f"{what}: {key}"))


def _names(found: dict[str, Any], key: str, what: str) -> tuple[str, ...]:
    return tuple(text(one, f"{what}: {key}") for one in _object(found.get(key) or {}, f"{what}: {key}"))

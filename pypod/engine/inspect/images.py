"""``podman image inspect``."""

from __future__ import annotations

from pypod.engine.inspect import form
from pypod.engine.storage import drivers
from pypod.model.images.image import DOCKER_MANIFEST, Manifest
from pypod.model.moment import Timestamp, created_ns
from pypod.store.images import given_names, with_past_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.engine.images.stored import StoredImage
    from pypod.model.images.config import HistoryEntry, ImageConfig


def inspect_image(image: StoredImage) -> dict[str, Any]:
    """Return what podman-image-inspect(1) shows. Raises NoSuchImage, InvalidImage."""
    named = image.named()
    config, manifest = image.config, image.manifest()
    given = given_names(image.context.database, image.id)
    labels = dict(config.labels) or None
    return form.fill(
        form.IMAGE,
        {
            "Id": image.id,
            "Digest": manifest.digest,
            "RepoTags": list(named.tags),
            "RepoDigests": list(named.repo_digests),
            "Comment": _comment(config, manifest),
            "Created": Timestamp(named.record.created_ns, config.created),
            "Config": _config(config),
            "Author": config.author,
            "Architecture": config.platform.architecture,
            "Os": config.platform.os,
            "Size": named.record.size_bytes,
            "VirtualSize": named.record.size_bytes,
            "GraphDriver": {"Name": drivers.shown(image.context).name, "Data": _layers(image)},
            "RootFS": {"Type": "layers", "Layers": list(config.diff_ids)},
            "Labels": labels,
            "Annotations": dict(manifest.annotations),
            "ManifestType": manifest.media_type,
            "User": config.user,
            "History": [_entry(one) for one in config.history],
            "NamesHistory": list(with_past_names(named.names, given.get(image.id, ()))),
            "HealthCheck": _healthcheck(config),
        },
    )


def _comment(config: ImageConfig, manifest: Manifest) -> str:
    """Return podman's comment of an image (containers/common: libimage, Image.Inspect)."""
    if manifest.media_type == DOCKER_MANIFEST:
        return config.comment
    return config.history[0].comment if config.history else ""


def _config(config: ImageConfig) -> dict[str, Any]:
    return form.fill(
        form.IMAGE_CONFIG,
        {
            "User": config.user,
            "ExposedPorts": {port: {} for port in config.exposed_ports} or None,
            "Env": [f"{name}={value}" for name, value in config.environment] or None,
            "Entrypoint": list(config.entrypoint) or None,
            "Cmd": list(config.command) or None,
            "Volumes": {path: {} for path in config.volumes} or None,
            "WorkingDir": config.working_directory,
            "Labels": dict(config.labels) or None,
            "StopSignal": config.stop_signal,
        },
    )


def _entry(entry: HistoryEntry) -> dict[str, Any]:
    return form.fill(
        form.HISTORY_ENTRY,
        {
            "created": Timestamp(created_ns(entry.created), entry.created) if entry.created else None,
            "created_by": entry.created_by,
            "author": entry.author,
            "comment": entry.comment,
            "empty_layer": entry.empty_layer,
        },
    )


def _healthcheck(config: ImageConfig) -> dict[str, Any] | None:
    found = config.healthcheck
    if found is None:
        return None
    fields = {
        "Test": list(found.test),
        "StartPeriod": found.start_period_ns,
        "Interval": found.interval_ns,
        "Timeout": found.timeout_ns,
        "Retries": found.retries,
    }
    return {name: value for name, value in fields.items() if value}


def _layers(image: StoredImage) -> dict[str, str]:
    """Return the directories of the layers: UpperDir is the topmost, as podman shows it."""
    top, *lower = [f"{image.context.layout.image_layers}/{name}" for name in image.layer_directories()] or [""]
    found = {"LowerDir": ":".join(lower)} if lower else {}
    return {**found, "UpperDir": top} if top else found

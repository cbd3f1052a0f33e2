"""Specifications in the store: JSON, and columns for what is queried for many at once."""

from __future__ import annotations

from pypod.errors import Unsupported
from pypod.model import plain_json
from pypod.model.value import Value
from pypod.store.records import INFRA
from pypod.store.rows import damaged, parse_value, to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.model.container import ContainerSpec
    from pypod.model.pod import PodSpec
    from pypod.store.records import ContainerRecord, PodRecord

NO_SPEC = "{}"  # of an infra that was created without an image: its pod has the rest


def columns(spec: ContainerSpec | PodSpec) -> dict[str, Any]:
    """Return the fields of a record that hold a specification."""
    from pypod.model.container import ContainerSpec

    fields: dict[str, Any] = {
        "spec_json": to_json(spec),
        "labels": plain_json.dumps(spec.labels),
        "publishes_ports": int(bool(spec.ports)),
        "has_auto_ids": int(spec.user_namespace.mode == "auto"),
    }
    if isinstance(spec, ContainerSpec) and spec.health_command():
        fields["has_healthcheck"] = 1
    return fields


def labels(record: ContainerRecord | PodRecord) -> dict[str, str]:
    """Return the labels of a container or pod. Raises StoreError when the row is damaged."""
    try:
        return dict(plain_json.loads(record.labels))
    except (ValueError, TypeError) as error:
        raise damaged(record.id, error) from error


def pod_spec(record: PodRecord) -> PodSpec:
    """Return the specification of a pod. Raises StoreError when the row is damaged."""
    from pypod.model.limits import Limits
    from pypod.model.mount import Mount
    from pypod.model.namespace import Mode
    from pypod.model.pod import PodSpec
    from pypod.model.port import Port

    classes: dict[str, type[Value]] = dict.fromkeys(("pid", "uts", "user_namespace"), Mode)
    classes |= {"ports": Port, "limits": Limits, "mounts": Mount}
    _add_device(classes, record.spec_json)
    return parse_value(PodSpec, record.id, record.spec_json, classes)


def container_spec(record: ContainerRecord) -> ContainerSpec:
    """Return the specification of a container.

    Raises StoreError when the row is damaged, Unsupported for a pod's infra, which has no specification of its own.
    """
    if record.kind == INFRA and record.spec_json == NO_SPEC:
        raise Unsupported(
            "infra container",
            f"container {record.name} is the infra of pod {record.pod_id[:12]}: it has neither a command nor files",
            hint="name a member of the pod, or create the pod with --infra-image",
        )
    from pypod.model.container import ContainerSpec, Ulimit
    from pypod.model.health import Healthcheck
    from pypod.model.limits import Limits
    from pypod.model.mount import Mount
    from pypod.model.namespace import Mode
    from pypod.model.port import Port

    classes: dict[str, type[Value]] = dict.fromkeys(("net", "pid", "ipc", "uts", "cgroup", "user_namespace"), Mode)
    classes |= {"mounts": Mount, "ulimits": Ulimit, "healthcheck": Healthcheck, "ports": Port, "limits": Limits}
    if '"secret_id"' in record.spec_json:
        from pypod.model.secret import SecretUse

        classes["secrets"] = SecretUse
    _add_device(classes, record.spec_json)
    return parse_value(ContainerSpec, record.id, record.spec_json, classes)


def _add_device(classes: dict[str, type[Value]], text: str) -> None:
    if '"devices"' in text:  # otherwise its module is not loaded
        from pypod.model.device import Device

        classes["devices"] = Device

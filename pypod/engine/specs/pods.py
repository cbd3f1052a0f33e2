"""What a pod's options say about its members' processes."""

from __future__ import annotations

import os

from pypod.engine.specs.security import security_options
from pypod.errors import InvalidSpec
from pypod.model import restart
from pypod.model.namespace import PRIVATE, parse_mode
from pypod.model.pod import CONTINUE, STOP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.model.namespace import Mode
    from pypod.model.options.pod import PodOptions


def member_fields(options: PodOptions) -> dict[str, Any]:
    """Return fields of a ``PodSpec``, those that are asked for. Raises InvalidSpec naming the flag."""
    found: dict[str, Any] = {kind: _mode(kind, given) for kind in ("pid", "uts") if (given := getattr(options, kind))}
    if options.security_opt:
        security_options(options.security_opt)
        found["security_opt"] = tuple(options.security_opt)
    if options.exit_policy not in ("", CONTINUE, STOP):
        message = f'running pod create option: invalid pod exit policy: "{options.exit_policy}"'
        raise InvalidSpec("--exit-policy", message)
    if options.exit_policy:
        found["exit_policy"] = options.exit_policy
    if options.restart:
        restart.parse(options.restart)
        found["restart"] = options.restart
    if options.devices:
        from pypod.engine.specs import devices

        found["devices"] = devices.devices(options.devices)
    if options.infra_conmon_pidfile:
        if not options.infra:
            message = "cannot set infra-conmon-pidfile without infra container: invalid configuration"
            raise InvalidSpec("--infra-conmon-pidfile", message)
        found["infra_conmon_pidfile"] = os.path.abspath(options.infra_conmon_pidfile)
    return found


def _mode(kind: str, text: str) -> Mode:
    if text == "private":
        return PRIVATE
    mode = parse_mode(kind, text)
    if mode.mode not in ("host", "ns"):
        raise InvalidSpec(f"--{kind}", f"pods presently do not support {kind} namespace mode {text}")
    if mode.mode == "ns":
        try:
            os.stat(mode.target)
        except OSError as error:
            why = os.strerror(error.errno or 0).lower()
            message = f"cannot find specified {kind.upper()} namespace path: stat {mode.target}: {why}"
            raise InvalidSpec(f"--{kind}", message) from error
    return mode

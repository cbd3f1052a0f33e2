"""The flags that define a health check."""

from __future__ import annotations

from pypod.cli.flags.parser import Flag
from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.cli.flags.parser import Parsed
    from pypod.model.health import Healthcheck

_AT_LEAST = {"health-start-period": "0 seconds or greater", "health-timeout": "at least 1 second"}
HEALTH_FLAGS: tuple[Flag, ...] = (
    Flag(
        name="health-cmd",
        aliases=("healthcheck-command",),
        help="Set a healthcheck command for the container, 'none' disables the existing one",
    ),
    Flag(
        name="health-interval",
        aliases=("healthcheck-interval",),
        default="30s",
        help="Set an interval for the healthcheck; it is not run by itself",
    ),
    Flag(
        name="health-retries",
        aliases=("healthcheck-retries",),
        kind="uint",
        default=3,
        help="Number of failures before the container is unhealthy",
    ),
    Flag(
        name="health-start-period",
        aliases=("healthcheck-start-period",),
        default="0s",
        help="Time to bootstrap, during which failures do not count",
    ),
    Flag(
        name="health-timeout",
        aliases=("healthcheck-timeout",),
        default="30s",
        help="Maximum time allowed to complete the healthcheck",
    ),
    Flag(name="no-healthcheck", kind="bool", help="Disable healthchecks on container"),
)


def healthcheck_option(options: Parsed) -> Healthcheck | None:
    """Return the health check that the flags describe, or None without such flags. Raises InvalidSpec."""
    from pypod.model.health import Healthcheck

    command: str = options["health-cmd"]
    if options["no-healthcheck"]:
        if command:
            raise InvalidSpec("--no-healthcheck", "cannot specify both --no-healthcheck and --health-cmd")
        return Healthcheck(test=("NONE",), interval_ns=0, timeout_ns=0, retries=0)
    if not command:
        return None
    if command == "[]":
        raise InvalidSpec("--health-cmd", "must define a healthcheck command for all healthchecks")
    if not options["health-retries"]:
        raise InvalidSpec("--health-retries", "healthcheck-retries must be greater than 0")
    return Healthcheck(
        test=_test(command),
        interval_ns=0 if options["health-interval"] == "disable" else _duration_ns(options, "health-interval"),
        timeout_ns=_duration_ns(options, "health-timeout"),
        start_period_ns=_duration_ns(options, "health-start-period"),
        retries=options["health-retries"],
    )


def _test(command: str) -> tuple[str, ...]:
    """Return the test of a command, of a JSON list, or of either with Docker's word for its kind first."""
    words = _listed(command)
    first, *rest = words or command.split(maxsplit=1) or ("",)
    kind = first.upper()
    if kind == "NONE":
        return ("NONE",)
    if kind == "CMD" and rest:
        return ("CMD", *(rest if words else rest[0].split()))
    if kind == "CMD-SHELL" and rest:
        return ("CMD-SHELL", " ".join(rest))
    return ("CMD", *words) if rest and words else ("CMD-SHELL", first if words else command)


def _listed(command: str) -> list[str]:
    """Return the words of a JSON list of words; empty when it is none."""
    if not command.startswith("["):
        return []
    import json

    try:
        words = json.loads(command)
    except ValueError:
        return []
    return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else []


def _duration_ns(options: Parsed, name: str) -> int:
    from pypod.cli.flags.times import parse_duration_ns

    try:
        found = parse_duration_ns(options[name])
    except ValueError as error:
        raise InvalidSpec(f"--{name}", f"invalid {name.replace('health', 'healthcheck')}: {error}") from error
    least = _AT_LEAST.get(name, "")
    if (name == "health-timeout" and not found) or (least and found < 0):
        raise InvalidSpec(f"--{name}", f"{name.replace('health', 'healthcheck')} must be {least}")
    if found < 0:
        raise InvalidSpec(f"--{name}", f"invalid {name.replace('health', 'healthcheck')}: it is negative")
    return found

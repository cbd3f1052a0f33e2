"""Restart policies: whether a container is started again after its end (podman-run(1), --restart)."""

from __future__ import annotations

from pypod.errors import InvalidSpec

NO, ON_FAILURE, ALWAYS, UNLESS_STOPPED = "no", "on-failure", "always", "unless-stopped"
POLICIES = (ALWAYS, NO, ON_FAILURE, UNLESS_STOPPED)
_MOST = 2**31 - 1


def parse(text: str) -> tuple[str, int]:
    """Return the policy, and the number of restarts that it allows; 0 for any number. Raises InvalidSpec.

    >>> parse("on-failure:3")
    ('on-failure', 3)
    """
    policy, separator, count = text.partition(":")
    if separator:
        if policy != ON_FAILURE:
            raise _invalid("restart policy retries can only be specified with on-failure restart policy")
        digits = count.removeprefix("-")
        if not (digits.isascii() and digits.isdecimal()):
            raise _invalid(f'parsing restart policy retry count: strconv.Atoi: parsing "{count}": invalid syntax')
        if not 0 <= int(count) <= _MOST:
            raise _invalid("must specify restart policy retry count as a number greater than 0")
    if policy and policy not in POLICIES:
        raise _invalid(f'running container create option: "{policy}" is not a valid restart policy: invalid argument')
    return policy, int(count or 0)


def is_active(policy: str) -> bool:
    """Return whether a policy restarts anything."""
    return policy not in ("", NO)


def require_kept(policy: str, *, remove: bool) -> None:
    """Raise InvalidSpec for a policy that restarts a container which is to be removed at its end."""
    if remove and is_active(policy):
        message = 'the --rm option conflicts with --restart, when the restartPolicy is not "" and "no"'
        raise InvalidSpec("--rm", message)


def _invalid(message: str) -> InvalidSpec:
    return InvalidSpec("--restart", message)

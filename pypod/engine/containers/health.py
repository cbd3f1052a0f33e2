"""Run a container's health check, and keep its results in a file beside the log."""

from __future__ import annotations

import json
import os
import time

from pypod.engine.core import observe
from pypod.engine.core.locks import Lock
from pypod.engine.lifecycle import process
from pypod.engine.lifecycle.exec import ExecSpec
from pypod.errors import CommandNotExecutable, CommandNotFound, DeadlineExceeded, InvalidSpec, WrongState
from pypod.model.health import Check, Health

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.model.container import ContainerState
    from pypod.store.records import ContainerRecord

_OUTPUT_BYTES_LIMIT = 500  # podman's


def check(context: Context, record: ContainerRecord) -> bool:
    """Run the health check; return whether it succeeded. Raises InvalidSpec without one, WrongState."""
    spec = context.container_spec(record)
    command = spec.health_command()
    directory = context.layout.container(record.id)
    state = observe.container_state(directory, context.boot_id)
    if state.status != "running":
        raise WrongState(record.name, state.status, f"container {record.id} is not running")
    if spec.healthcheck is None or not command:
        raise InvalidSpec("CONTAINER", f"container {record.id} has no defined healthcheck")
    done = _run(context, record, command, spec.healthcheck.timeout_ns / 1e9 or None)
    with Lock(directory) as lock, lock:
        in_start_period = _age_ns(state) < spec.healthcheck.start_period_ns
        health = of(directory, state).after(done, spec.healthcheck.retries or 1, in_start_period=in_start_period)
        _write(directory, state, health)
    return done.exit_code == 0


def _age_ns(state: ContainerState) -> int:
    """Return how long a container has run, by a clock that cannot be set: start times are in ticks since boot."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - state.start_time * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def _run(context: Context, record: ContainerRecord, command: tuple[str, ...], timeout_s: float | None) -> Check:
    started_ns = time.time_ns()
    try:
        spec = ExecSpec(command=command)
        result = process.run(context, record, spec, None, timeout_s, keep_bytes=_OUTPUT_BYTES_LIMIT)
        code, output = result.exit_code, result.stdout + result.stderr
    except DeadlineExceeded as error:
        code, output = -1, str(error).encode()
    except (CommandNotFound, CommandNotExecutable) as error:
        code, output = error.exit_code, str(error).encode()
    text = output[:_OUTPUT_BYTES_LIMIT].decode("utf-8", "replace")
    return Check(started_ns=started_ns, ended_ns=time.time_ns(), exit_code=-1 if code is None else code, output=text)


def of(directory: str, state: ContainerState) -> Health:
    """Return the health of a container; results of an earlier run do not count."""
    try:
        with open(f"{directory}/health.json", encoding="utf-8") as file:
            found = json.load(file)
        if found.pop("run_ns") != state.started_ns:
            return Health()
        return Health(**{**found, "log": tuple(Check(**one) for one in found["log"])})
    except (OSError, ValueError, TypeError, KeyError, AttributeError):  # not written yet, or truncated by a crash
        return Health()


def _write(directory: str, state: ContainerState, health: Health) -> None:
    text = json.dumps(
        {"run_ns": state.started_ns, **dict(health.items()), "log": [dict(one.items()) for one in health.log]}
    )
    temporary = f"{directory}/health.json.new"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(temporary, f"{directory}/health.json")

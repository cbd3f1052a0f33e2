"""A client: runs random operations on a few names, so that clients collide, until its standard input ends."""

from __future__ import annotations

import faulthandler
import json
import os
import random
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable

from pypod import (
    AlreadyExists,
    AmbiguousName,
    Container,
    DeadlineExceeded,
    Engine,
    InUse,
    LaunchFailed,
    NotFound,
    Pod,
    SystemFailure,
    Unsupported,
    WrongState,
)

EXPECTED = (AlreadyExists, AmbiguousName, DeadlineExceeded, InUse, LaunchFailed, NotFound, Unsupported, WrongState)
NETWORKS = ("chaos0", "chaos1")
IMAGE = "localhost/chaos:latest"
COMMANDS = (["sleep", "1000"], ["sleep", "1000"], ["sleep", "0.05"], ["sh", "-c", "echo x; exit 3"])
EXEC_TIMEOUT_S = 20


class Client:
    """The state of the operations: an engine and a random generator."""

    def __init__(self, root: str, rootfs: str, archive: str, seed: str) -> None:
        self.engine = Engine(root)
        self.chance = random.Random(seed)  # noqa: S311  # no secret
        self.rootfs = rootfs
        self.archive = archive

    def name(self) -> str:
        return f"c{self.chance.randrange(6)}"

    def container(self) -> Container:
        return self.engine.containers.get(self.name())

    def pod(self) -> Pod:
        return self.engine.pods.get(f"p{self.chance.randrange(3)}")

    def make(self, maker: Callable[..., Container], command: list[str], **options: object) -> Container:
        """Create or run a container from the image or the root file system."""
        if self.chance.random() < 0.3:
            return maker(IMAGE, command, pull="never", **options)
        return maker(command, rootfs=self.rootfs, **options)

    def patience(self) -> int:
        return self.chance.choice((0, 0, 1))

    def new_pod(self, **options: object) -> Pod:
        number = self.chance.randrange(3)
        port = f"{9000 + number}:80"
        network = self.chance.choice((*NETWORKS, "none"))
        return self.engine.pods.create(
            f"p{number}", network=network, ports=[port] if network != "none" else [], **options
        )


def run(client: Client, **options: object) -> None:
    command = client.chance.choice(COMMANDS)
    client.make(client.engine.containers.run, command, name=client.name(), network="none", **options)


def create(client: Client) -> None:
    client.make(client.engine.containers.create, ["sleep", "1000"], name=client.name(), network="none")


def execute(client: Client) -> None:
    client.container().exec(["true"], timeout=EXEC_TIMEOUT_S)


def pause(client: Client) -> None:
    one = client.container()
    one.pause()
    one.unpause()


def look(client: Client) -> None:
    for one in client.engine.containers.list(all=True):
        one.state()
    for pod in client.engine.pods.list():
        pod.state()


def member(client: Client) -> None:
    client.make(client.pod().run, client.chance.choice(COMMANDS))


def pod_block(client: Client) -> None:
    with client.new_pod() as pod:
        pod.run(["sleep", "1000"], rootfs=client.rootfs).exec(["true"], timeout=EXEC_TIMEOUT_S)


OPERATIONS: dict[str, Callable[[Client], object]] = {
    "run": run,
    "run --rm": lambda client: run(client, remove=True),
    "create": create,
    "start": lambda client: client.container().start(),
    "stop": lambda client: client.container().stop(client.patience()),
    "restart": lambda client: client.container().restart(client.patience()),
    "kill": lambda client: client.container().kill(),
    "exec": execute,
    "pause": pause,
    "rename": lambda client: client.container().rename(client.name()),
    "rm": lambda client: client.container().remove(force=True, timeout=client.patience()),
    "ps": look,
    "inspect": lambda client: client.container().inspect(),
    "pod create": lambda client: client.new_pod(),
    "pod start": lambda client: client.pod().start(),
    "pod run": member,
    "pod block": pod_block,
    "pod stop": lambda client: client.pod().stop(client.patience()),
    "pod rm": lambda client: client.pod().remove(force=True, timeout=0),
    "pod inspect": lambda client: client.pod().inspect(),
    "pull": lambda client: client.engine.images.pull(f"oci-archive:{client.archive}"),
    "rmi": lambda client: client.engine.images.get(IMAGE).remove(force=client.chance.random() < 0.5),
    "network create": lambda client: client.engine.networks.create(client.chance.choice(NETWORKS)),
    "network rm": lambda client: client.engine.networks.get(client.chance.choice(NETWORKS)).remove(),
}


# prerequisites of the other operations
FREQUENT = (
    "run",
    "run",
    "create",
    "start",
    "pod create",
    "pod create",
    "pod start",
    "pod run",
    "pull",
    "network create",
)


def is_expected(error: BaseException) -> bool:
    """Return whether an error comes from two clients on one name, or from a killed program of pypod."""
    return isinstance(error, EXPECTED) or (isinstance(error, SystemFailure) and "by signal 9" in error.message)


def tell(**words: object) -> None:
    os.write(1, json.dumps(words).encode() + b"\n")


def main() -> None:
    faulthandler.register(signal.SIGUSR1)  # sent when it hangs
    client = Client(*sys.argv[1:5])
    verbs = [*OPERATIONS, *FREQUENT]
    while not select.select([0], [], [], 0)[0]:
        verb = client.chance.choice(verbs)
        tell(begun=verb, at=time.monotonic())
        try:
            OPERATIONS[verb](client)
            outcome = "done"
        except BaseException as error:
            outcome = type(error).__name__
            if isinstance(error, LaunchFailed):
                outcome += f" ({error.call}: {os.strerror(error.errno)})"
            if not is_expected(error):
                trace = "".join(traceback.format_exception(error, limit=-4, chain=False))
                tell(finding=f"{verb}: {outcome}", trace=trace)
        tell(verb=verb, outcome=outcome)


if __name__ == "__main__":
    main()

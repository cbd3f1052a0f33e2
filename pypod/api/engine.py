"""The engine, which every handle refers to."""

from __future__ import annotations

from _collections_abc import Iterable, Iterator, Mapping, Sequence

from pypod.api import types
from pypod.engine.core.context import Context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


class Engine(Context):
    """An engine on one storage directory. Cheap to create, safe to use from any thread, and without any state of pods.

    ``root`` is the directory that everything is kept in (default: $PYPOD_ROOT, /var/lib/pypod for root). Close the
    engine, or use it as a context manager, to release its descriptors early.

    ``warn`` is called with a message where something succeeds, but not as asked: a container did not end in time after
    its stop signal and had to be killed.

    Raises PermissionDenied when the directory belongs to another user or is writable by others.

    >>> engine = Engine()                                   # doctest: +SKIP
    >>> pod = engine.pods.create(name="mipod")              # doctest: +SKIP
    """

    def _chosen_events_backend(self) -> str:
        from pypod.engine.configuration import current

        return current.events_backend(self)

    @property
    def pods(self) -> types.Pods:
        """The pods: create, get, list, exists, prune."""
        from pypod.api.pods import Pods

        return Pods(self)

    @property
    def containers(self) -> types.Containers:
        """The containers: create, run, get, list, exists, prune."""
        from pypod.api.containers import Containers

        return Containers(self)

    @property
    def images(self) -> types.Images:
        """The images: pull, push, load, save, get, list, exists, prune."""
        return types.Images(self)

    @property
    def manifests(self) -> types.ManifestLists:
        """The manifest lists: create, get, exists."""
        return types.ManifestLists(self)

    @property
    def networks(self) -> types.Networks:
        """The networks: create, get, list, exists, prune."""
        return types.Networks(self)

    @property
    def secrets(self) -> types.Secrets:
        """The secrets: create, get, list, exists."""
        return types.Secrets(self)

    @property
    def volumes(self) -> types.Volumes:
        """The volumes: create, get, list, exists, prune."""
        return types.Volumes(self)

    def events(
        self,
        since: int | None = None,
        until: int | None = None,
        *,
        filters: Mapping[str, str | Sequence[str]] | None = None,
        follow: bool = False,
    ) -> Iterator[types.Event]:
        """Yield past events of pods and containers, and with ``follow`` new ones; see ``pypod.events``.

        >>> for event in engine.events(filters={"type": "pod"}):       # doctest: +SKIP
        ...     print(event.action, event.name)
        create mipod
        """
        from pypod.engine.inspect.events import events

        return events(self, since, until, filters=filters, follow=follow)

    def watch_namespaces(self, pods: Iterable[types.Pod | str] = ()) -> types.NamespaceWatcher:
        """Return a watcher that takes snapshots of the namespaces of some pods (default: all).

        Raises NoSuchPod, AmbiguousName.

        >>> with engine.watch_namespaces() as watcher:                 # doctest: +SKIP
        ...     before = watcher.look()
        ...     watcher.wait(1.0)
        ...     print(changes(before, watcher.look()))
        """
        from pypod.engine.inspect.watching import NamespaceWatcher

        names = [self.pods.get(one).name if isinstance(one, str) else one.name for one in pods]
        return NamespaceWatcher(self, names)

    def info(self) -> dict[str, types.Any]:
        """Return information about the host and the storage, in podman's form.

        >>> engine.info()["store"]["containerStore"]["running"]        # doctest: +SKIP
        3
        """
        from pypod.engine.inspect.info import information

        return information(self)

    def disk_usage(self, *, volumes: bool = True) -> types.DiskUsage:
        """Return what images, containers and volumes take of the disk; ``volumes`` whether to count their files.

        >>> engine.disk_usage().image_bytes                              # doctest: +SKIP
        4495360
        """
        from pypod.engine.inspect.disk_usage import disk_usage

        return disk_usage(self, with_volumes=volumes)

    def unshare(self, command: Sequence[str], *, rootless_netns: bool = False) -> types.Invocation:
        """Return the invocation of a command as root of the user namespace that the caller's containers run in.

        Files that belong to users of containers are accessible there: the ids of /etc/subuid and /etc/subgid are mapped
        from 1 on. The caller's session is created if there is none. With ``rootless_netns`` the command runs in the
        network namespace of the user's bridges, where containers can be reached; ``end_idle_networks`` ends it.
        Raises WrongState for root, who has no session.
        """
        if rootless_netns:
            from pypod.engine.networks.user_bridges import unshared
        else:
            from pypod.engine.session.session import unshared

        return unshared(self, command)

    def end_idle_networks(self) -> None:
        """End the network namespace of a user's bridges unless a container is attached to one; root has none."""
        from pypod.engine.networks.user_bridges import end_unless_needed

        end_unless_needed(self)

    def end_session(self) -> bool:
        """End the caller's session, so that the next start creates one with the ids that apply then.

        Everything that runs in it must be stopped first. Returns whether there was a session; root has none.
        """
        from pypod.engine.networks.user_bridges import end_session

        return end_session(self)

    def reset(self) -> None:
        """Remove every pod, container, image, network, volume and secret, and the storage directory; close the engine.

        Running containers are stopped first. What is not pypod's in the directory stays there.
        """
        from pypod.engine.inspect.reset import remove_storage
        from pypod.engine.lifecycle.stopping import end_all
        from pypod.model.network import DEFAULT_ID
        from pypod.store.records import all_containers

        end_all(self, all_containers(self.database))
        for container in reversed(self.containers.list(all=True)):
            container.remove(force=True)
        for pod in self.pods.list():
            pod.remove(force=True)
        for image in self.images.list(with_lists=True):
            image.remove(force=True)
        for volume in self.volumes.list():
            volume.remove(force=True)
        for network in self.networks.list():
            if network.id != DEFAULT_ID:
                network.remove(force=True)
        remove_storage(self)

    def __repr__(self) -> str:
        return f"Engine({self.layout.root!r})"

"""The pods of an engine: create, find, list."""

from __future__ import annotations

from _collections_abc import Callable, Mapping, Sequence

from pypod.api import types
from pypod.api.signatures import takes
from pypod.errors import NoSuchPod
from pypod.store import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pypod.api.options.pod import CreatePodOptions


class Pods:
    """The pods of an engine."""

    __slots__ = ("_engine",)

    def __init__(self, engine: types.Engine) -> None:
        self._engine = engine

    @takes(lambda: types.CreatePodOptions)
    def create(self, asked: types.CreatePodOptions) -> types.Pod:
        """Create a pod without starting it.

        ``share`` names the kinds of namespaces that members share (podman's --share, or a sequence); ``shm_size`` is in
        bytes; an ``ephemeral`` pod ends with this process. With ``infra_image``, pulled if it does not exist locally,
        the infra runs that image's command, which must keep running: the pod's namespaces are those of that process.

        ``network`` is none, host, or names of networks with options in podman's notation (``front:ip=10.89.0.9``);
        ``ip``, ``ip6`` and ``mac_address`` are for a single network, ``network_aliases`` are more names in all of them.
        ``dns``, ``dns_options`` and ``dns_search`` are for /etc/resolv.conf; ``no_hosts`` leaves /etc/hosts as it is.

        ``ports`` are published on the host for the pod's members, as for a container (``Containers.create``).
        ``userns`` (host, auto, keep-id, nomap, with podman's options) or maps (``uidmap=["0:100000:65536"]``, or names
        in /etc/subuid and /etc/subgid: ``subuidname``, ``subgidname``) give the pod a user namespace that all members
        share.

        ``memory``, ``cpus`` and the other limits are those of a container, applied to the pod as a whole: they are set
        on the pod's cgroup, which contains those of its infra and members. Without ``share_parent`` the members'
        cgroups are outside it, and there can be no limits.

        Raises InvalidSpec, Unsupported for a limit that this host does not support, AlreadyExists, NoSuchImage,
        NoSuchNetwork, RegistryError; then nothing was created.
        """
        return self._create(asked)

    def _create(self, asked: CreatePodOptions) -> types.Pod:
        from pypod.api.pod_creation import Creation

        return Creation(self._engine).create(asked)

    def _clone(self, record: records.PodRecord, asked: types.ClonePodOptions) -> types.Pod:
        from pypod.api.pod_cloning import Cloning

        return Cloning(self._engine).clone(record, asked)

    def unsaved(
        self, name: str, options: Mapping[str, types.Any]
    ) -> tuple[types.PodRecord, types.ContainerRecord | None, tuple[types.Connection, ...]]:
        """Return the records that creating a pod with this name and only these network options would write.

        Raises what ``create`` raises.
        """
        from pypod.api.pod_creation import Creation

        return Creation(self._engine).unsaved(name, options)

    def create_for_container(self, name: str, options: dict[str, types.Any]) -> types.Pod:
        """Create the pod of ``pypod run --pod new:NAME``.

        It gets those of the container's ``options`` that concern the network, the ports and the hostname; they are
        removed from ``options``. Raises what ``create`` raises.
        """
        from pypod.engine.networks.options import of_new_pod

        return self.create(name, **of_new_pod(options))

    def explain_creation(self, *, infra: bool = True) -> types.Explanation:
        """Return the steps of ``create`` after the checks of its arguments: it writes the records and nothing else."""
        from pypod.engine.lifecycle.explain import of_creation

        return of_creation(self._engine, "pod", 4 if infra else 2)

    def get(self, ref: str) -> types.Pod:
        """Return the pod with this name, id or id prefix. Raises NoSuchPod, AmbiguousName."""
        from pypod.api.pod import Pod

        record = records.find_pod(self._engine.database, ref)
        return Pod(self._engine, record.id, record.name)

    def exists(self, ref: str) -> bool:
        """Return whether ``get`` would find a pod."""
        try:
            self.get(ref)
        except NoSuchPod:
            return False
        return True

    def list(self) -> list[types.Pod]:
        """Return all pods, oldest first."""
        from pypod.api.pod import Pod
        from pypod.engine.containers.listing import listed_pods

        return [Pod(self._engine, record.id, record.name) for record in listed_pods(self._engine)]

    def summaries(self) -> Sequence[types.PodSummary]:
        """Return a summary of every pod, with its containers, as ``pypod pod ps`` shows it, oldest first.

        >>> [(one.name, one.status, len(one.members)) for one in engine.pods.summaries()]      # doctest: +SKIP
        [('mipod', 'Running', 3)]
        """
        from pypod.api.summaries import pods

        return pods(self._engine)

    def prune(self, only: Callable[[types.PodSummary], bool] | None = None) -> Sequence[str]:
        """Remove the pods of which nothing runs any more, and their members; return the ids of the pods.

        ``only`` returns for each whether to remove it. Pods that were never started stay.
        """
        from pypod.errors import InUse, WrongState
        from pypod.model.pod import EXITED, STOPPED

        removed = []
        for one in self.summaries():
            if one.status not in (EXITED, STOPPED) or (only is not None and not only(one)):
                continue
            try:
                self.get(one.id).remove()
            except (NoSuchPod, InUse, WrongState):  # removed or started just now
                continue
            removed.append(one.id)
        return removed

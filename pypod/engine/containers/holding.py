"""A process of ours that holds the root and the binds of a container that does not run, mounted where no one sees them.

It is in a mount namespace of its own, and waits for the end of a pipe: it ends when we do, however we end.
"""

from __future__ import annotations

import os

from pypod.engine.core import effects
from pypod.engine.core.effects import Undoing
from pypod.engine.lifecycle import files
from pypod.engine.lifecycle.steps import Program
from pypod.engine.session import id_maps, session
from pypod.engine.storage import mapped_layers, overlay
from pypod.kernel import idmap
from pypod.kernel.children import move_up
from pypod.kernel.programs import LAUNCHER
from pypod.kernel.programs import path as program_path
from pypod.model.mount import BIND, VOLUME, plain_path
from pypod.runtime import launcher
from pypod.runtime.compiler.plans import holding_ops
from pypod.runtime.compiler.surroundings import WHOLE_MAPS, Surroundings
from pypod.runtime.oci import bound_mounts
from pypod.runtime.ops import plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.engine.core.context import Context
    from pypod.model.container import ContainerSpec
    from pypod.model.mount import Mount
    from pypod.runtime.launcher import Launched
    from pypod.runtime.ops import Plan
    from pypod.store.records import ContainerRecord

    Taken = dict[str, tuple[str, tuple[str | int, ...]]]

_NAME = "pypod-hold"


class Held:
    """The process that holds a container's root, with its ``binds``. The caller has the container's lock.

    Raises what a start raises.
    """

    def __init__(self, context: Context, record: ContainerRecord, *, binds: bool = True) -> None:
        program = Program(name=LAUNCHER)
        effects.perform(program.preparations(context))
        self._undoing = Undoing()
        reads, end = map(move_up, os.pipe2(os.O_CLOEXEC))
        try:
            with program.start(context, (reads, -1, -1)) as launching:
                launched = launching.run(_plan(context, record, self._undoing, binds=binds))
        except BaseException:
            os.close(end)
            self._undoing.__exit__()
            raise
        finally:
            os.close(reads)
        self._undoing.add(lambda: _end(end, launched))
        self.pid, self.start_time = launched.process_pid, launched.start_time

    def end(self) -> None:
        """Have it end, and wait for that."""
        self._undoing.__exit__()


def _plan(context: Context, record: ContainerRecord, undoing: Undoing, *, binds: bool) -> Plan:
    """Prepare the storage of a container for a mount of its root, and return the plan that mounts it."""
    spec, directory = context.container_spec(record), context.layout.container(record.id)
    driver = overlay.driver_of(context, spec, directory, asking=True)
    maps = id_maps.maps_for(context, spec)
    mapped = mapped_layers.with_mapped(context, spec, maps)
    status = overlay.root_status(context.layout, spec)
    effects.perform(mapped_layers.preparations(context, mapped, maps))
    without = files.of_root(context, record)
    effects.perform(overlay.preparations(context, driver, mapped, directory, status, maps, without=without))
    sourced, taken = _sourced(context, spec if binds else spec.replace(mounts=()), undoing)
    root, ids = overlay.container_root(context, driver, mapped, directory, maps, without), id_maps.root_of(maps)
    around = Surroundings(
        root=root,
        target=context.layout.merged,
        taken=taken,
        maps=(idmap.lines(maps[0]), idmap.lines(maps[1])) if maps else WHOLE_MAPS,
        ids_outside=(idmap.outside(maps[0], ids[0]), idmap.outside(maps[1], ids[1])) if maps else ids,
        mapped=mapped_layers.mapped_trees(context, spec, maps),
    )
    hold = (program_path("pause"), _NAME, "0", _NAME)
    settings = [*session.ops(context, session.of(context)), *root.settings]
    return plan(settings, holding_ops(spec.rootfs, bound_mounts(sourced), around, hold))


def _sourced(context: Context, spec: ContainerSpec, undoing: Undoing) -> tuple[ContainerSpec, Taken]:
    """Return the specification with the binds and volumes that exist, and how those are opened that are in others."""
    kept = [one for one in spec.mounts if one.type == BIND and not one.overlay and os.path.lexists(one.source)]
    volumes = [one for one in spec.mounts if one.type == VOLUME and not one.overlay]
    if volumes:
        kept += _of_volumes(context, volumes, undoing)
    taken: Taken = {
        plain_path(one.target): ("open_subtree", (one.source, one.subpath, int(one.recursive)))
        for one in kept
        if one.subpath
    }
    return spec.replace(mounts=tuple(kept)), taken


def _of_volumes(context: Context, mounts: list[Mount], undoing: Undoing) -> list[Mount]:
    from pypod.engine.storage import volume_files, volume_mounts
    from pypod.store.volumes import of_names

    records = {one.name: one for one in of_names(context.database, sorted({mount.source for mount in mounts}))}
    for record in records.values():
        volume_files.ensure(context, record)
        if context.rootless:
            volume_mounts.require_directory(record)
    attachments = volume_mounts.Attachments(context, records.values())
    for effect in attachments.preparations():
        undoing.add(effect.undo)
        effect.perform()
    return [
        one.replace(source=volume_files.place(context.layout, records[one.source]), options=())
        for one in mounts
        if one.source in records
    ]


def _end(end: int, launched: Launched) -> None:
    os.close(end)
    launcher.wait_for_exit(launched)

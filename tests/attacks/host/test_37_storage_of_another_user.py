"""A storage that another user created first, a link in its place, or files in it writable by others (GO-2025-3961)."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from pypod import Engine, PermissionDenied, PypodError
from tests.facts import created_nothing

pytestmark = pytest.mark.root


@pytest.mark.parametrize("how", ["owner", "mode", "group", "link", "file"])
def test_somebody_else_s_is_refused(tmp_path, how: str) -> None:
    root = tmp_path / "storage"
    if how == "link":
        (tmp_path / "elsewhere").mkdir(mode=0o711)
        root.symlink_to(tmp_path / "elsewhere")
        os.chown(root, 1000, 1000, follow_symlinks=False)
    elif how == "file":
        root.write_bytes(b"")
    else:
        root.mkdir(mode=0o711)
        if how == "owner":
            os.chown(root, 1000, 1000)
        else:
            root.chmod(0o777 if how == "mode" else 0o771)
    told = {"owner": "belongs to uid 1000, not to uid 0", "link": "is a symbolic link of uid 1000, not of uid 0"}
    told |= {"mode": "by others .mode 0777", "group": "mode 0771"}
    with pytest.raises(PermissionDenied, match=told.get(how, "is not a directory")) as caught:
        Engine(str(root))
    assert caught.value.hint
    assert [path.name for path in tmp_path.iterdir() if path.name == "elsewhere" and any(path.iterdir())] == []
    assert root.is_file() or not any(root.iterdir())


def test_a_link_of_one_s_own_is_followed(tmp_path) -> None:
    target, link = tmp_path / "target", tmp_path / "storage"
    link.symlink_to(target)
    for _ in range(2):  # the target is created, and then found
        with Engine(str(link)) as engine:
            assert engine.layout.root == str(target)
    os.chown(target, 1000, 1000)
    with pytest.raises(PermissionDenied, match="belongs to uid 1000"):
        Engine(str(link))


def test_below_a_file_or_nowhere(tmp_path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for root in (tmp_path / "file" / "storage", Path("/proc/storage")):
        with pytest.raises(PypodError):
            Engine(str(root))


def test_begun_and_never_finished_is_finished(tmp_path, busybox) -> None:
    """Its creator was killed in between."""
    for made in ((), ("containers",), ("containers", "pods", "trash")):
        root = tmp_path / f"storage-{len(made)}"
        root.mkdir()
        for name in made:
            (root / name).mkdir()
        with Engine(str(root)) as engine:
            container = engine.containers.run(["true"], rootfs=busybox)
            container.wait()
            container.remove()
            assert created_nothing(engine)


@pytest.mark.parametrize(("owner", "mode", "told"), [(1000, 0o600, "belongs to uid 1000"), (0, 0o602, "by others")])
def test_a_database_that_others_could_write_is_not_read(
    engine: Engine, busybox: str, owner: int, mode: int, told: str
) -> None:
    """Its content would be acted on as root: directories deleted, processes killed, programs of its choice started."""
    container = engine.containers.create(["true"], rootfs=busybox)
    engine.database.close()
    path = Path(engine.layout.database)
    os.chown(path, owner, 0)
    path.chmod(mode)
    for action in (engine.containers.list, lambda: engine.pods.create("p")):
        with pytest.raises(PermissionDenied, match=told) as caught:
            action()
        assert caught.value.hint
    assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (owner, mode)
    os.chown(path, 0, 0)
    path.chmod(0o600)
    assert engine.containers.list(all=True) == [container]


@pytest.mark.parametrize("name", ["pypod.db", "pypod.db-wal", "pypod.db.reserve", "events.log", "containers", "names"])
def test_a_link_that_leads_out_is_not_followed(tmp_path: Path, busybox: str, name: str) -> None:
    """The link was planted while the directory was open to others, which has been corrected since."""
    root, canary = tmp_path / "storage", tmp_path / "canary"
    canary.mkdir()
    (canary / "file").write_bytes(b"untouched")
    (canary / "d").mkdir()
    with Engine(str(root)):
        pass
    is_directory = name in ("containers", "names")
    if name == "containers":
        (root / name).rmdir()
    (root / name).symlink_to(canary / ("d" if is_directory else "file"))
    with Engine(str(root)) as engine, contextlib.suppress(PypodError):
        engine.containers.create(["true"], rootfs=busybox).remove()
        engine.pods.create("p").remove()
    assert (canary / "file").read_bytes() == b"untouched"
    assert not list((canary / "d").iterdir())

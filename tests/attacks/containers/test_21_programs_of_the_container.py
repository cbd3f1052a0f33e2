"""Programs and libraries of a container that the host might run: tar, xz, gzip, NSS, ld.so (CVE-2019-14271).

``cp``, where this was first exploited, is one of the commands that read a container's files.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.images.made import Made, tree
from tests.integration.images.test_images import bring
from tests.integration.inside import Report, execute

pytestmark = pytest.mark.root

NAMES = "tar xz gzip gunzip zstd unpigz pigz ps cat id getent mount umount newuidmap nft ip cp ldconfig sh.bak".split()
LIBRARIES = (
    "libnss_files.so.2 libnss_compat.so.2 libnss_systemd.so.2 libnss_dns.so.2 libc.so.6 libresolv.so.2 libcrypt.so.1 "
    "libgcc_s.so.1 libselinux.so.1 libz.so.1 libzstd.so.1"
).split()
DIRECTORIES = "lib lib64 usr/lib lib/x86_64-linux-gnu usr/lib/x86_64-linux-gnu lib/aarch64-linux-gnu".split()
LIBRARY = """
#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void loaded(void)
{
	close(open("%s", O_WRONLY | O_CREAT, 0666));
	close(open("/ran-library", O_WRONLY | O_CREAT, 0666));
}
"""


@pytest.fixture
def hostile(own_rootfs: Path, canary: Path) -> Path:
    """Return a root whose programs and libraries leave a mark wherever they run: in the canary, or in their own /."""
    if shutil.which("gcc") is None:
        pytest.skip("no C compiler is installed (Debian: gcc)")
    library = own_rootfs / "evil.so"
    source = LIBRARY % (canary / "loaded")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, "-xc", "-"], input=source, text=True, check=True)
    for directory in DIRECTORIES:
        (own_rootfs / directory).mkdir(parents=True, exist_ok=True)
        for name in LIBRARIES:
            shutil.copy(library, own_rootfs / directory / name)
    (own_rootfs / "etc/ld.so.preload").write_text("/evil.so\n")
    (own_rootfs / "etc/nsswitch.conf").write_text("passwd: files evil\ngroup: files evil\nhosts: files evil\n")
    for directory in ("bin", "sbin", "usr/bin", "usr/local/bin", "usr/local/sbin"):
        (own_rootfs / directory).mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            program = own_rootfs / directory / name
            program.unlink(missing_ok=True)
            program.write_text(f"#!/bin/sh\n(: > {canary}/ran-{name}) 2>/dev/null\n: > /ran-{name}\n")
            program.chmod(0o755)
    return own_rootfs


def marks(*roots: Path | str) -> list[str]:
    return [path.name for root in roots for path in Path(root).iterdir() if path.name.startswith(("ran-", "loaded"))]


def test_nothing_of_it_runs(engine, hostile: Path, canary: Path, tmp_path: Path) -> None:
    image = bring(engine, Made(tree(str(hostile)), config={"Cmd": ["/probe", "stay"], "User": "alice:extra"}))
    container = engine.containers.run(image, name="c")
    for user in ("", "alice", "1001:2000", "4000"):
        assert "Uid" in Report(execute(container, "/probe", user=user)).status
    program = Program(engine.layout.root)
    data = b"".join(container.export())
    container.commit("localhost/mine")
    container.commit("localhost/flat", squash=True)
    assert len(container.changes()) < 5
    program.ok("ps", "-a")
    program.ok("inspect", "c")
    program("stats", "--no-stream", "c")
    program.ok("exec", "c", "/probe")
    program("save", "-q", "-o", str(tmp_path / "saved.tar"), "mine")
    engine.images.import_tree([data], "flat:2")
    where = Path(program.ok("image", "mount", "mine").strip())
    try:
        assert marks(where) == []
    finally:
        program.ok("image", "umount", "mine")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert [name for name in archive.getnames() if "ran-" in name] == []
    assert marks(canary, f"/proc/{container.state().pid}/root", "/") == []


def test_they_leave_their_mark_where_they_are_run(hostile: Path) -> None:
    """Sanity check: they leave a mark when run in the container's root, as by a process that looks up a name there."""
    subprocess.run(["chroot", hostile, "/bin/tar"], check=False, stderr=subprocess.DEVNULL)
    assert marks(hostile) == ["ran-tar"]
    code = "import ctypes, os, sys; lib = os.open(sys.argv[1] + '/evil.so', 0); os.chroot(sys.argv[1]); "
    code += "ctypes.CDLL(f'/proc/self/fd/{lib}') if os.path.exists('/proc/self') else ctypes.CDLL('/evil.so')"
    subprocess.run(["python3", "-c", code, hostile], check=True)
    assert sorted(marks(hostile)) == ["ran-library", "ran-tar"]

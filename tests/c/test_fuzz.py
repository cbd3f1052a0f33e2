"""The readers of plans, netlink messages and archives, with sanitizers, on randomly damaged inputs."""

from __future__ import annotations

import os
import secrets
import subprocess
from pathlib import Path

import pytest

from pypod.kernel.netlink import message, number
from pypod.network import rtnetlink
from pypod.runtime.operations import OPERATIONS, REPEATED, kinds_of
from pypod.runtime.ops import Op, Plan
from tests.attacks.images.test_06_kinds_of_files import REPLACING
from tests.c.test_c import PAUSE, gcc
from tests.images.layers import Layer, header, pax
from tests.kernel.test_unpack import MALFORMED, old_gnu_sparse, pax_sparse

__all__ = ["gcc"]
FULL_S, SHORT_S = 300, 5
NLMSG_ERROR, ENOENT = 2, 2  # linux/netlink.h, errno.h


def _plans() -> list[bytes]:
    """Return plans of one operation, and one of all, with arguments of every kind, repeated ones few or many."""
    values: dict[str, tuple[str | int | bytes, ...]] = {
        "s": ("", "/a/path", "V=\udcff", "x" * 300),
        "b": (b"\x06\0\0\0\0\0\xff\x7f" * 40, b""),
        "n": (0, 0x20000, 2**64 - 1),
        "i": (-1, 1000),
        "o": ("0755", "0"),
        "x": ("ffffffffffffffff", "0"),
    }
    ops = []
    for at, (name, (_, kinds, *_)) in enumerate(OPERATIONS.items()):
        count = len(kinds) + 10 * (at % 3) if kinds[-1:] in REPEATED else len(kinds)
        ops.append(Op(name, *(values[kind][at % len(values[kind])] for kind in kinds_of(name, count))))
    chosen = [
        op for op in ops if op.name in ("status", "join", "mount", "seccomp", "capabilities", "oom_score", "umask")
    ]
    return [Plan(ops).encode(), *(Plan([op]).encode() for op in chosen)]


def _netlink() -> list[bytes]:
    """Return plans like those of a container on a bridge, and answers of the kernel: the fuzzer reads each as both."""
    packed = [
        rtnetlink.veth("pypod0", 7, "eth0", "0a:58:0a:59:00:02", 1500),
        rtnetlink.configure(["10.89.0.2/24", "fd00::2/64"], ["10.89.0.1", "fd00::1"], [], 100),
    ]
    plans = [Plan([Op("netlink", "words", 0, messages, *offsets)]) for messages, offsets in packed]
    answers = [message(NLMSG_ERROR, number(error, 4) + bytes(16)) for error in (0, 2**32 - ENOENT, 2**31)]
    return [*(plan.encode() for plan in plans), *answers, b"".join(answers), answers[0] * 20]


def _archives() -> list[bytes]:
    plain = [Layer(format).directory("d/").add("d/f" * 50, b"x" * 700) for format in (0, 1, 2)]
    whole = Layer()
    for add in REPLACING.values():
        add(whole)
    records = pax((b"path", b"a/b" * 90), (b"mtime", b"-1.5"), (b"SCHILY.xattr.user.k", bytes(300)), (b"size", b"3"))
    made = [layer.bytes() for layer in [*plain, whole]] + [records + header() + bytes(512) + header(b"after")]
    made += [old_gnu_sparse(), old_gnu_sparse(many=True), *(pax_sparse(version) for version in ("0.0", "0.1", "1.0"))]
    return made + [layer for layer, _ in MALFORMED.values()]


READERS = {"plan": _plans, "netlink": _netlink, "tar": _archives}


@pytest.mark.parametrize("reader", READERS)
def test_reader(gcc: str, tmp_path: Path, full: bool, reader: str) -> None:
    program = tmp_path / f"{reader}_fuzz"
    subprocess.run(["make", "-s", "-C", PAUSE, "SANITIZE=1", f"OUT={tmp_path}", program], check=True)
    files = []
    for at, data in enumerate(READERS[reader]()):
        files.append(tmp_path / f"{at}.whole")
        files[-1].write_bytes(data)
    seed = int(os.environ.get("PYPOD_TEST_SEED") or secrets.token_hex(4), 16)
    seconds = FULL_S if full else SHORT_S
    words = [program, str(seconds), str(seed), "0", *files]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=seconds + 60)
    assert (done.returncode, done.stderr) == (0, ""), f"PYPOD_TEST_SEED={seed:x}"
    read, refused = (int(part.split()[0]) for part in done.stdout.split(", "))
    print(f"{reader}: {read} read, {refused} refused")
    assert min(read, refused) * 20 > read + refused > 1000  # both outcomes are common enough

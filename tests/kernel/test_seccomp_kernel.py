"""Compiled filters in the kernel: loaded into a small static program that then makes system calls."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess

import pytest

from pypod.kernel.capabilities import DEFAULT_CAPABILITIES
from pypod.runtime.seccomp.abi import read_numbers
from pypod.runtime.seccomp.filter import BUNDLED_PROFILE, compile_profile, filter_and_flags, load_profile
from tests.facts import IS_UML

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")

# probe FLAGS CALL...: load the filter on stdin, make the calls, print the result of each (-errno on failure).
# CALL is ABI:NUMBER:ARG,ARG,...; without a filter on stdin the calls show the kernel's own results.
PROBE = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static long
int80 (long number, const unsigned long *a)
{
#ifdef __x86_64__
  long result;
  __asm__ volatile ("int $0x80" : "=a"(result)
                    : "a"(number), "b"(a[0]), "c"(a[1]), "d"(a[2]), "S"(a[3]), "D"(a[4])
                    : "memory", "r8", "r9", "r10", "r11");
  return (int) result;
#else
  return -ENOSYS;
#endif
}

int
main (int argc, char **argv)
{
  static struct sock_filter filter[4096];
  size_t size = 0;
  ssize_t count;
  while ((count = read (0, (char *)filter + size, sizeof filter - size)) > 0)
    size += count;
  struct sock_fprog program = { .len = size / sizeof *filter, .filter = filter };

  if (size > 0)
    {
      if (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return 10;
      if (syscall (SYS_seccomp, SECCOMP_SET_MODE_FILTER, strtoul (argv[1], NULL, 0), &program) < 0)
        {
          perror ("seccomp");
          return 11;
        }
    }
  for (int i = 2; i < argc; i++)
    {
      char abi[8], text[32];
      long number, result;
      unsigned long a[6] = { 0 };
      if (sscanf (argv[i], "%7[a-z0-9_]:%ld:%lu,%lu,%lu,%lu,%lu,%lu", abi, &number, a, a + 1, a + 2, a + 3, a + 4,
                  a + 5) < 2)
        return 12;
      if (strcmp (abi, "i386") == 0)
        result = int80 (number, a);
      else
        {
          result = syscall (number, a[0], a[1], a[2], a[3], a[4], a[5]);
          if (result == 0 && number == SYS_clone)
            _exit (0);
          if (result < 0)
            result = -errno;
        }
      int length = snprintf (text, sizeof text, "%ld\n", result);
      if (write (1, text, length) != length)
        return 13;
    }
  return 0;
}
"""

MACHINE = os.uname().machine
CAPS = frozenset(DEFAULT_CAPABILITIES)
NATIVE = read_numbers(MACHINE)
SPEC_ALLOW = 4

CLONE_NEWUSER = 0x10000000
AF_INET, AF_NETLINK, AF_ALG, AF_VSOCK = 2, 16, 38, 40
SOCK_STREAM, SOCK_RAW, SOCK_SEQPACKET, NETLINK_AUDIT = 1, 3, 5, 9

# Rules of docker's default profile that podman's lacks: namespaces need CAP_SYS_ADMIN, no vsock.
DOCKER_STYLE = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "archMap": [
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
    ],
    "syscalls": [
        {
            "names": ["unshare", "setns", "mount"],
            "action": "SCMP_ACT_ERRNO",
            "excludes": {"caps": ["CAP_SYS_ADMIN"]},
        },
        # Any of the namespace flags. Several rules for one argument are alternatives.
        *(
            {
                "names": ["clone"],
                "action": "SCMP_ACT_ERRNO",
                "args": [{"index": 0, "value": 1 << bit, "valueTwo": 1 << bit, "op": "SCMP_CMP_MASKED_EQ"}],
                "excludes": {"caps": ["CAP_SYS_ADMIN"]},
            }
            for bit in (17, 25, 26, 27, 28, 29, 30)
        ),
        {
            "names": ["clone3"],
            "action": "SCMP_ACT_ERRNO",
            "errnoRet": errno.ENOSYS,
            "excludes": {"caps": ["CAP_SYS_ADMIN"]},
        },
        {
            "names": ["socket"],
            "action": "SCMP_ACT_ERRNO",
            "args": [{"index": 0, "value": AF_VSOCK, "op": "SCMP_CMP_EQ"}],
        },
    ],
}


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("probe")
    (directory / "probe.c").write_text(PROBE)
    binary = str(directory / "probe")
    subprocess.run(["gcc", "-O1", "-static", "-o", binary, str(directory / "probe.c")], check=True)
    return binary


def call(name: str, *args: int, abi: str = MACHINE) -> str:
    number = read_numbers(abi)[name] + (0x40000000 if abi == "x32" else 0)
    return f"{abi}:{number}:{','.join(map(str, args)) or 0}"


def outcome(probe: str, program: bytes, *calls: str, flags: int = SPEC_ALLOW) -> tuple[int, list[int]]:
    """Return the exit status and the results of the calls."""
    done = run(probe, program, *calls, flags=flags)
    return done.returncode, [int(line) for line in done.stdout.split()]


def run(probe: str, program: bytes, *calls: str, flags: int = SPEC_ALLOW) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([probe, str(flags), *calls], input=program, capture_output=True, timeout=20, check=False)


def results(probe: str, program: bytes, *calls: str) -> list[int]:
    done = run(probe, program, *calls)
    assert (done.returncode, done.stderr) == (0, b"")
    return [int(line) for line in done.stdout.split()]


def bundled(caps: frozenset[str] = CAPS) -> bytes:
    return compile_profile(load_profile(BUNDLED_PROFILE), caps, MACHINE)


def docker_style(caps: frozenset[str] = CAPS) -> bytes:
    return compile_profile(DOCKER_STYLE, caps, MACHINE)


def kind(result: int) -> int:
    """Reduce a result to what a filter can change: success, or the error."""
    return min(result, 0)


def test_bundled_profile_forbids_what_it_says(probe: str) -> None:
    calls = [
        call("bpf", 99),
        call("perf_event_open"),
        call("kexec_load"),
        call("init_module"),
        call("personality", 0x40000),
        call("uselib") if "uselib" in NATIVE else call("bpf", 99),
        call("add_key"),
        call("lsm_list_modules"),
    ]
    unfiltered = results(probe, b"", *calls)
    assert results(probe, bundled(), *calls) == [
        -errno.EPERM,
        -errno.EPERM,
        -errno.EPERM,
        -errno.EPERM,
        -errno.ENOSYS,
        -errno.EPERM,
        -errno.ENOSYS,
        -errno.ENOSYS,
    ]
    # Not the kernel's own results.
    assert unfiltered[4] == 0
    if os.geteuid() == 0:
        assert unfiltered[0] == -errno.EINVAL


def test_bundled_profile_lets_through_what_podman_lets_through(probe: str) -> None:
    calls = [
        call("getpid"),
        call("personality", 0xFFFFFFFF),
        call("personality", 8),
        call("socket", AF_INET, SOCK_STREAM),
        call("socket", AF_NETLINK, SOCK_RAW),
        # podman leaves these to capabilities and to the host.
        call("socket", AF_VSOCK, SOCK_STREAM),
        call("socket", AF_ALG, SOCK_SEQPACKET),
        call("clone3"),
        call("clone", CLONE_NEWUSER | signal.SIGCHLD),
        call("unshare", CLONE_NEWUSER),
    ]
    unfiltered = results(probe, b"", *calls)
    assert list(map(kind, results(probe, bundled(), *calls))) == list(map(kind, unfiltered))


def test_netlink_audit_needs_its_capability(probe: str) -> None:
    audit = call("socket", AF_NETLINK, SOCK_RAW, NETLINK_AUDIT)
    unfiltered = list(map(kind, results(probe, b"", audit)))
    assert results(probe, bundled(), audit) == [-errno.EINVAL]
    assert list(map(kind, results(probe, bundled(CAPS | {"CAP_AUDIT_WRITE"}), audit))) == unfiltered


def test_docker_style_profile_keeps_namespaces_for_sys_admin(probe: str) -> None:
    calls = [
        call("clone", signal.SIGCHLD),
        call("clone", CLONE_NEWUSER | signal.SIGCHLD),
        call("clone3"),
        call("socket", AF_INET, SOCK_STREAM),
        call("socket", AF_VSOCK, SOCK_STREAM),
        call("socket", AF_ALG, SOCK_SEQPACKET),
        call("unshare", CLONE_NEWUSER),
    ]
    unfiltered = list(map(kind, results(probe, b"", *calls)))
    forbidden = [0, -errno.EPERM, -errno.ENOSYS, 0, -errno.EPERM, unfiltered[5], -errno.EPERM]
    assert list(map(kind, results(probe, docker_style(), *calls))) == forbidden
    allowed = [*unfiltered[:4], -errno.EPERM, *unfiltered[5:]]
    assert list(map(kind, results(probe, docker_style(CAPS | {"CAP_SYS_ADMIN"}), *calls))) == allowed


@pytest.mark.skipif(MACHINE != "x86_64", reason="only x86_64 has a second ABI within reach of one program")
@pytest.mark.skipif(IS_UML, reason="the guest's kernel takes system calls of 32 bits for its own of 64")
def test_i386_calls_of_a_64_bit_program(probe: str) -> None:
    calls = [call("getuid", abi="i386"), call("bpf", 99, abi="i386"), call("personality", 0x40000, abi="i386")]
    status, unfiltered = outcome(probe, b"", *calls)
    if status == -signal.SIGSEGV:
        pytest.skip("the kernel has no IA32 emulation")
    assert unfiltered[2] == 0
    assert results(probe, bundled(), *calls) == [unfiltered[0], -errno.EPERM, -errno.ENOSYS]
    native_only = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}
    filtered = outcome(probe, compile_profile(native_only, CAPS, MACHINE), call("getpid"), calls[0])
    assert filtered[0] == -signal.SIGSYS
    assert len(filtered[1]) == 1


@pytest.mark.skipif(MACHINE != "x86_64", reason="only x86_64 has x32")
def test_x32_calls_need_to_be_in_the_profile(probe: str) -> None:
    calls = call("getpid"), call("getpid", abi="x32")
    unfiltered = list(map(kind, results(probe, b"", *calls)))
    assert list(map(kind, results(probe, bundled(), *calls))) == unfiltered
    native_only = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}
    status, values = outcome(probe, compile_profile(native_only, CAPS, MACHINE), *calls)
    assert (status, len(values)) == (-signal.SIGSYS, 1)
    # A call number of -1 is not a system call and gets the default action.
    assert results(probe, compile_profile(native_only, CAPS, MACHINE), f"{MACHINE}:-1:0") == [-errno.ENOSYS]


def test_arguments_are_compared_with_all_their_bits(probe: str) -> None:
    rule = {"names": ["getppid"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EDOM}
    for operator, value, second, hits, misses in (
        ("EQ", 1 << 40, 0, (1 << 40,), (0, 1 << 40 | 1, 1 << 41)),
        ("GT", 1 << 32, 0, (1 << 32 | 1, 1 << 33, 2**64 - 1), (0, 0xFFFFFFFF, 1 << 32)),
        ("LE", 1 << 32, 0, (0, 0xFFFFFFFF, 1 << 32), (1 << 32 | 1, 2**64 - 1)),
        ("MASKED_EQ", 0xF << 36, 1 << 36, (1 << 36, 1 << 36 | 7), (2 << 36, 0)),
    ):
        test = {"index": 3, "op": f"SCMP_CMP_{operator}", "value": value, "valueTwo": second}
        program = compile_profile(
            {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{**rule, "args": [test]}]}, CAPS, MACHINE
        )
        values = results(probe, program, *(call("getppid", 0, 0, 0, x) for x in (*hits, *misses)))
        assert [value == -errno.EDOM for value in values] == [True] * len(hits) + [False] * len(misses)


def test_the_kernel_takes_a_filter_of_thousands_of_instructions(probe: str) -> None:
    names = [name for name in sorted(NATIVE) if name not in ("write", "exit_group")]
    rules = [
        {
            "names": [name],
            "action": "SCMP_ACT_ERRNO",
            "errnoRet": index + 2,
            "args": [{"index": 5, "op": "SCMP_CMP_EQ", "value": index}],
        }
        for index, name in enumerate(names)
    ]
    program = compile_profile({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}, CAPS, MACHINE)
    assert len(program) > 2000 * 8
    chosen = ("getpid", "add_key", "clone", "writev", "umask")
    values = results(probe, program, *(call(name, 0, 0, 0, 0, 0, names.index(name)) for name in chosen))
    assert values == [-names.index(name) - 2 for name in chosen]


def test_the_flags_of_a_profile_are_the_kernels(probe: str, tmp_path) -> None:
    path = tmp_path / "flags.json"
    wanted = ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC"]
    path.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "flags": wanted}))
    program, flags = filter_and_flags(str(path), CAPS, str(tmp_path))
    assert outcome(probe, program, call("getppid"), flags=flags)[0] == 0
    assert outcome(probe, program, call("getppid"), flags=1 << 30)[0] == 11

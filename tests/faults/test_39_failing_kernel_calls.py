"""Every kernel call of a start can fail: the error then names the step and the call, and nothing is left behind.

strace injects the failure into the C programs, at the Nth call of a kind in each process. A call that may fail without
harm is in ``TOLERATED``; for every other one the start fails with exactly that errno.
"""

from __future__ import annotations

import errno
import os
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from pypod import Engine
from pypod.engine.storage import drivers
from pypod.errors import LaunchFailed, PypodError, SystemFailure
from tests import tracing
from tests.facts import HAS_GLIBC
from tests.injection import Injector
from tests.integration.inside import execute
from tests.killing import look_and_clean

pytestmark = pytest.mark.root

SLEEP = ("sleep", "1000")

# strace's name of the call, and the names that the error may report.
CALLS = {
    "setns": {"setns"},
    "unshare": {"unshare"},
    "clone3": {"clone3"},
    "pidfd_open": {"pidfd_open"},
    "mount": {"mount"},
    "fsopen": {"fsopen"},
    "fsconfig": {"fsconfig"},
    "fsmount": {"fsmount"},
    "open_tree": {"open_tree"},
    "move_mount": {"move_mount"},
    "mount_setattr": {"mount_setattr"},
    "openat2": {"openat2"},
    "mknodat": {"mknodat"},
    "symlinkat": {"symlinkat"},
    "mkdirat": {"mkdirat"},
    "pivot_root": {"pivot_root"},
    "umount2": {"umount2"},
    "fchdir": {"fchdir", "chroot"},
    "chdir": {"chdir", "bind"},
    "getcwd": {"getcwd"},
    "sethostname": {"sethostname"},
    "prlimit64": {"setrlimit"},
    "setgroups": {"setgroups"},
    "setresgid": {"setresgid"},
    "setresuid": {"setresuid"},
    "capset": {"capset"},
    "seccomp": {"seccomp"},
    "socketpair": {"socketpair"},
    "socket": {"socket", "bind"},
    "bind": {"bind"},
    "listen": {"bind"},
    "pipe2": {"pipe2"},
    "rename": {"write"},
    "pwrite64": {"write"},
    "mmap": {"mmap", "calloc", "strdup", "fdopendir"},
    "open": {"open", "write", "pidfd_open", "openat"},
    "read": {"read", "write", "pidfd_open"},
    "fstat": {"fstat", "openat2", "mmap", "fdopendir"},
    "fstatfs": {"fstatfs"},
    "ioctl": {"ioctl"},
    "prctl": {"prctl"},
    "write": {"write"},
    "dup2": {"dup2"},
    "sendto": {"read"},
    "execveat": {"execveat"},
    "fchmodat": {"bind"},
    "setsockopt": set(),
    "signalfd4": {"signalfd"},
    "keyctl": set(),
    "close_range": set(),
    "setsid": {"ioctl"},
    "fchown": {"fchown"},
}
# Failures that do no harm: the start continues.
TOLERATED = {
    "write": "the log, and cgroup.kill has a fallback",
    "dup2": "a launcher that keeps the streams does so until its process has ended",
    "keyctl": "a quota of keys that is used up must not stop a container",
    "close_range": "all that we open is close-on-exec",
    "setsid": "fails for a group leader only",
    "prctl": "names, and what the kernel may not know",
    "open": "optional files: the container's passwd and group, /proc/PID/stat",
    "fstat": "of standard streams",
    "fchown": "of standard streams, where the file system cannot",
    "mmap": "the allocator has other ways",
    "clone3": "a monitor's own cgroup may be gone",
    "read": "of optional files",
    "ioctl": "window sizes, is this a terminal",
    "openat2": "what is not there needs no mask",
}
# Failures that surface in a later call.
CONSEQUENCES = {
    ("setsid", "ioctl"): errno.EPERM,  # only a session leader gets a terminal
    ("sendto", "read"): errno.EPIPE,  # the process could not be told to continue
    ("read", "read"): errno.EPIPE,  # the supervisor could not be notified that its plan had arrived
    ("open", "pidfd_open"): errno.ESRCH,  # a process whose start time cannot be read counts as exited
    ("read", "pidfd_open"): errno.ESRCH,
    ("read", "write"): errno.ESRCH,
}
ERRORS = ("EPERM", "ENOMEM", "EAGAIN", "EINTR")
USER_NAMESPACE = ("mknodat", "EPERM")  # device nodes cannot be created there, so the host's are bind-mounted


def member(box) -> Callable[[], None]:
    pod = box.engine.pods.create(name="pod")
    pod.start_infra()
    return lambda: _brief(box, pod=pod, working_directory="/tmp", ulimits=["core=0"], user="alice")


def alone(box) -> Callable[[], None]:
    options = {"sysctls": {"net.core.somaxconn": "9"}, "tmpfs": ["/new/place"], "read_only": True, "network": "none"}
    options |= {"hostname": "own", "volumes": [f"{box.rootfs}/etc:/v:ro"], "interactive": True}
    return lambda: _brief(box, **options)


def terminal(box) -> Callable[[], None]:
    return lambda: _brief(box, terminal=True)


def user_namespace(box) -> Callable[[], None]:
    pod = box.engine.pods.create(name="pod", share="ipc,net,uts,pid,user")
    pod.start_infra()
    return lambda: _brief(box, pod=pod)


def _brief(box, **options) -> None:
    container = box.engine.containers.run(["true"], rootfs=box.rootfs, **options)
    try:
        code = container.wait(10)
        if code is None:
            raise SystemFailure("wait", 0, "nobody saw how it ended")
        assert code == 0
    finally:
        container.remove(force=True, timeout=0)


def command(box) -> Callable[[], None]:
    container = box.stay(name="running")
    return lambda: _no_output(container)


def _no_output(container) -> None:
    assert execute(container, "true", user="alice") == ""


def infra(box) -> Callable[[], None]:
    # in a user namespace, older kernels hide the sysctls of net.core
    sysctls = {"net.ipv4.ip_default_ttl": "9"}
    pod = box.engine.pods.create(name="pod", share="ipc,net,uts,pid,user", sysctls=sysctls)

    def start() -> None:
        pod.start_infra()
        pod.stop(timeout=0)

    return start


STARTS = {start.__name__: start for start in (member, alone, terminal, user_namespace, command, infra)}


def check(what: str, error: BaseException | None) -> None:
    """Check the error of an injected failure."""
    kind, _, rest = what.partition(":error=")
    name = rest.partition(":")[0]
    if error is None:
        if HAS_GLIBC and kind == "prlimit64" and what.endswith(":when=1"):
            return  # glibc asks for the stack limit first of all, and copes without it
        assert kind in TOLERATED or name in ("EINTR", "EAGAIN") or (kind, name) == USER_NAMESPACE, (
            f"{what} was not noticed"
        )
        return
    if isinstance(error, SystemFailure):
        assert (kind, error.errno) == ("pwrite64", 0), f"{what}: {error!r}"  # the exit could not be recorded
        return
    assert isinstance(error, LaunchFailed), f"{what}: {error!r}"
    assert error.call in CALLS[kind], f"{what}: {error}"
    assert error.operation, what
    if (kind, error.call) in CONSEQUENCES:
        assert error.errno in (CONSEQUENCES[kind, error.call], getattr(errno, name)), f"{what}: {error}"
        return
    assert os.strerror(error.errno) in str(error) or error.call in ("getcwd", "openat2"), f"{what}: {error}"
    assert error.errno == getattr(errno, name), f"{what}: {error}"


def sweep(injector: Injector, action: Callable[[], None], cases: list[tuple[str, str]], *, every: bool) -> set[str]:
    """Inject each case at the first call of its kind, or at every one; return the kinds that were hit."""
    seen = set()
    for kind, name in cases:
        # mmap and others also happen before main, in the dynamic loader, which is not under test
        for count in range(1, 200 if every else 2):
            what = f"{kind}:error={name}:when={count}"
            hit, error = injector.run(what, action)
            if not hit:
                assert error is None, f"{what}: {error!r}"
                break
            seen.add(kind)
            check(what, error)
    return seen


NEEDS_USER_NAMESPACES = ("user_namespace", "infra")
CHOICES = [
    pytest.param(name, marks=pytest.mark.not_in_chroot if name in NEEDS_USER_NAMESPACES else ()) for name in STARTS
]


@pytest.mark.parametrize("start", CHOICES)
def test_failing_calls(box, injector: Injector, full: bool, start: str) -> None:
    action = STARTS[start](box)
    action()
    errors = ERRORS if full else ("EPERM",)
    # the infra creates a signalfd after its start: it then exits, and the pod is as after any death of an infra
    kinds = [kind for kind in CALLS if (kind, start) != ("signalfd4", "infra")]
    # musl turns an EPERM of mmap(2) into ENOMEM
    cases = [(kind, "ENOMEM" if kind == "mmap" else name) for kind in kinds for name in errors]
    seen = sweep(injector, action, cases, every=full)
    assert len(seen) > 15, seen
    expected = (
        {"clone3", "setns", "mount", "prctl"} if start == "infra" else {"capset", "setgroups", "seccomp", "setresuid"}
    )
    assert expected <= seen | ({"setns"} if start == "infra" else set())
    action()
    left = {container.name for container in box.engine.containers.list(all=True)}
    assert left <= {"running"}


@pytest.mark.parametrize("name", [name for name in ERRORS if name != "EPERM"])
def test_other_errors_come_back_as_they_are(box, injector: Injector, name: str) -> None:
    action = STARTS["member"](box)
    cases = [(kind, name) for kind in ("setns", "clone3", "fsopen", "move_mount", "pivot_root", "capset", "seccomp")]
    assert sweep(injector, action, cases, every=False) == {kind for kind, _ in cases}


# Retried where appropriate: an interruption by a signal or a race elsewhere is not a failure.
@pytest.mark.parametrize(
    "what",
    [
        "openat2:error=EAGAIN:when=1..20",
        "read:error=EINTR:when=2",
        "recvmsg:error=EINTR:when=1",
        "sendmsg:error=EINTR:when=1",
    ],
)
def test_calls_that_are_tried_again(box, injector: Injector, what: str) -> None:
    for start in ("alone", "command"):
        hit, error = injector.run(what, STARTS[start](box))
        assert (hit, error) == (True, None)


def test_a_race_that_never_ends_is_given_up(box, injector: Injector) -> None:
    hit, error = injector.run("openat2:error=EAGAIN", STARTS["alone"](box))
    assert hit
    assert isinstance(error, LaunchFailed)
    assert (error.call, error.errno) == ("openat2", errno.EAGAIN)


@pytest.mark.parametrize("kind", ["clone3", "open_tree", "fsconfig", "pivot_root", "capset"])
@pytest.mark.parametrize("start", [CHOICES[0], CHOICES[4], CHOICES[5]])
def test_programs_that_are_killed_half_way(box, injector: Injector, start: str, kind: str, full: bool) -> None:
    """SIGKILL of the supervisor or of the process it creates: a typed error, nothing left, the next start works."""
    action = STARTS[start](box)
    for count in range(1, 40 if full else 2):
        hit, error = injector.run(f"{kind}:signal=KILL:when={count}", action)
        if not hit and error is None:
            break
        assert error is None or isinstance(error, LaunchFailed), repr(error)
    action()


def test_a_process_that_is_killed_before_its_exec_is_no_success(box, injector: Injector) -> None:
    for kind in ("seccomp", "capset", "setresuid", "pivot_root"):
        _, error = injector.run(f"{kind}:signal=KILL", STARTS["alone"](box))
        assert isinstance(error, LaunchFailed), kind
        assert error.call in ("exit", "recvmsg"), error


def test_what_cannot_be_executed_is_told_with_its_exit_code(box, own_rootfs: Path) -> None:
    container = box.stay(rootfs=str(own_rootfs))
    for how in (lambda *words: box.run(*words, rootfs=str(own_rootfs)), lambda *words: execute(container, *words)):
        for words, code in (
            (["nosuch"], 127),
            (["/nosuch"], 127),
            (["/etc/passwd"], 126),
            (["/etc"], 126),
            (["./etc/x"], 127),
        ):
            with pytest.raises(LaunchFailed) as caught:
                how(*words)
            assert (caught.value.exit_code, caught.value.call) == (code, "execve"), words


# The caller's own system calls: those that Python makes in each operation.
Act = Callable[[Engine, str], object]
WAYS: dict[str, tuple[Act, Act]] = {
    "create": (lambda *_: None, lambda engine, root: engine.containers.create(SLEEP, rootfs=root, name="c")),
    "create pod": (lambda *_: None, lambda engine, _: engine.pods.create("p")),
    "start": (
        lambda engine, root: engine.containers.create(SLEEP, rootfs=root, name="c"),
        lambda engine, _: engine.containers.get("c").start(),
    ),
    "start pod": (
        lambda engine, root: engine.pods.create("p").create_container(SLEEP, rootfs=root),
        lambda engine, _: engine.pods.get("p").start(),
    ),
    "stop": (
        lambda engine, root: engine.containers.run(SLEEP, rootfs=root, name="c"),
        lambda engine, _: engine.containers.get("c").stop(timeout=0),
    ),
    "remove": (
        lambda engine, root: engine.pods.create("p").run(SLEEP, rootfs=root),
        lambda engine, _: engine.pods.get("p").remove(force=True, timeout=0),
    ),
    "exec": (
        lambda engine, root: engine.containers.run(SLEEP, rootfs=root, name="c"),
        lambda engine, _: engine.containers.get("c").exec(["true"]),
    ),
    "list": (
        lambda engine, root: engine.containers.run(SLEEP, rootfs=root, name="c"),
        lambda engine, _: [one.state() for one in engine.containers.list(all=True)],
    ),
}


# not EAGAIN: Python takes it as end of file when reading
CALLER_ERRORS = ("EPERM", "ENOMEM", "EINTR")


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_failing_calls_of_the_caller(tmp_path: Path, busybox: str, points, full: bool, way: str) -> None:
    """At each call it succeeds anyway or raises a PypodError; the remains are listed correctly and can be removed."""
    if os.uname().machine != "x86_64":
        pytest.skip("ptrace: the registers of this processor are not known here")
    tmp_path.chmod(0o755)
    prepare, act = WAYS[way]
    said = tmp_path / "said"

    def once(number: int) -> tuple[int, str]:
        """Fail call ``number``; return the number of calls and the exception raised."""
        said.write_text("")
        root = str(tmp_path / f"storage-{number}")
        with Engine(root) as engine:
            drivers.of(engine)
            prepare(engine, busybox)

        def traced() -> None:
            try:
                act(Engine(root), busybox)
            except BaseException as caught:
                kind = "ours" if isinstance(caught, PypodError) else "raw"
                said.write_text(f"{kind} {''.join(traceback.format_exception(caught))}")

        name = CALLER_ERRORS[number % len(CALLER_ERRORS)]
        if number < 0:  # import all modules needed, so that the traced run does not
            traced()
            assert said.read_text() == ""
            total = 0
        else:
            (total,) = tracing.run(traced, (0, number), error=getattr(errno, name))
        with Engine(root) as engine:
            look_and_clean(engine, f"{way}, {name} at call {number}")
        return total, f"{name} at call {number}: {said.read_text()}" if said.read_text() else ""

    once(-1)
    total, error = once(0)
    assert (total > 20, error) == (True, "")
    raised = [error for number in points(total, 8) if (error := once(number)[1])]
    assert raised or not full
    raw = [one for one in raised if ": ours " not in one.partition("\n")[0]]
    assert not raw, "\n".join(raw)

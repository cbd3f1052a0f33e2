"""podman and pypod do the same with containers that run: the same output, the same words, the same exit codes."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.oracle.podman import words_of_4
from tests.oracle.test_events_oracle import able_podman

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed"),
    words_of_4,
]

Run = Callable[..., subprocess.CompletedProcess[str]]

# Every line is a command; "!" before it: only its exit code is compared, "-": nothing of it is.
SCRIPTS: dict[str, str] = {
    "root of an image": """
        run --rm --network none IMAGE stat -c '%a %u' /
        run --rm --network none --read-only IMAGE stat -c %a /
    """,
    "files in etc": """
        run --rm --network none IMAGE ls /etc
        run --rm --network none --read-only IMAGE readlink /etc/mtab
        run --rm --network none --no-hosts IMAGE ls /etc
        run --rm --network host --no-hosts --dns none IMAGE ls /etc
        - run -d --name it --network none IMAGE sleep 1000
        run --rm --network container:it IMAGE ls /etc
        inspect -f '{{.ResolvConfPath}}' it
        - pod create --name pod --network none
        run --rm --pod pod IMAGE ls /etc
        rm -f -t 0 it
    """,
    "variables": """
        create --name it --network none -e A=b IMAGE sleep 1000
        ! create --name other --network none -u alice --systemd always -e HOSTNAME=h IMAGE sleep 1000
        inspect -f '{{len .Config.Env}}' it other
        - start it other
        exec it sh -c 'env | grep -v ^container= | sort'
        exec other sh -c 'env | grep -v ^container= | sort'
        exec -e HOSTNAME=x it sh -c 'env | grep -v ^container= | sort'
        inspect -f '{{len .Config.Env}}' it other
        - rm -f -t 0 it other
    """,
    "what inspect says of capabilities and cgroups": """
        create --name drop --network none --cap-drop all --cap-add chown --cap-add net_admin IMAGE true
        create --name all --network none --cap-add all --cap-drop net_raw IMAGE true
        create --name strong --network none --privileged IMAGE true
        create --name user --network none -u alice --cap-drop all IMAGE true
        create --name below --network none --cgroup-parent /some/parent IMAGE true
        inspect -f '{{json .HostConfig.CapAdd}} {{json .HostConfig.CapDrop}} {{.EffectiveCaps}}' drop all strong user
        inspect -f '{{json .EffectiveCaps}} {{json .BoundingCaps}}' drop all strong
        inspect -f '{{json .EffectiveCaps}}' user
        inspect -f '{{.HostConfig.CgroupParent}} {{.Config.SdNotifyMode}}' drop below
        - pod create --name pod --network none --cgroup-parent /some/parent
        create --name member --pod pod IMAGE true
        inspect -f '{{.HostConfig.CgroupParent}}' member
        - rm -f drop all strong user below member
        - pod rm -f pod
    """,
    "a member cloned into another pod": """
        - pod create --name pod --network none --device /dev/zero:/dev/other --security-opt seccomp=unconfined
        create --name it --network none IMAGE true
        container clone --pod pod it member
        inspect -f '{{json .HostConfig.Devices}}' member
        - pod rm -f pod
        rm -f it
    """,
    "what run and reset refuse": """
        run --rm --network none --mount type=image,src=nosuch,dst=/x IMAGE true
        run --rm --network none --rootfs /nosuch true
        ! system reset
    """,
    "a failed run stays": """
        run --name one --network none IMAGE nosuch
        run -d --name two --network none IMAGE nosuch
        ! run --name three --network none -u nosuch IMAGE true
        run --name four --network none -w /nosuch IMAGE true
        run --rm --name five --network none IMAGE nosuch
        ps -a --format '{{.Names}} {{.Status}}'
        start one
        start --attach one
        rm one
        rm four
    """,
    "a read-only root": """
        run --rm --network none --read-only IMAGE sh -c 'echo x >> /etc/hosts'
        run --rm --network none --read-only IMAGE sh -c 'echo x >> /etc/hostname'
        run --rm --network none IMAGE sh -c 'echo x >> /etc/hosts && echo x >> /etc/hostname'
    """,
    "a file as the working directory": """
        run --rm --network none -w /bin/busybox IMAGE pwd
    """,
    "flags of ps that exclude each other": """
        ps --watch 1 --latest
    """,
    "exec in no running container": """
        create --name it --network none IMAGE sleep 1000
        exec it true
        exec -d it true
        - start it
        pause it
        exec it true
        unpause it
        stop -t 0 it
        exec it true
        exec nosuch true
        rm it
    """,
    "exec that cannot start": """
        - run -d --name it --network none IMAGE sleep 1000
        exec it
        exec -d it
        exec it nosuch
        exec -d it nosuch
        exec -w /nosuch it true
        exec -d -w /nosuch it true
        exec -u nosuch it true
        exec -u nosuch:nosuch it true
        exec -u 0:nosuch it true
        exec -d -u nosuch it true
        exec it sh -c 'exit 7'
        rm -f -t 0 it
    """,
    "twice the same": """
        create --name it --network none IMAGE sleep 1000
        - start it
        start it
        pause it it
        unpause it it
        stop -t 0 it it
        wait it it
        inspect -f '{{.Name}}' it it
        rm it it
        wait it
        rm it
        rm -f it
    """,
    "mounted roots": """
        create --name it --network none IMAGE sleep 1000
        mount
        mount --format json
        ! mount it
        ! mount -l
        mount -a it
        mount it nosuch
        mount --format x
        ! mount --format x it
        ! mount --no-trunc
        - start it
        umount it
        umount it
        container umount -f it
        mount
        ! container mount it
        umount -l it
        umount it nosuch
        umount
        umount -al
        umount nosuch
        - rm -f -t 0 it
        mount
        mount -l
        umount -l
        mount -a
        umount -a
    """,
    "clone": """
        create --name it --network none -m 64m --label a=b --hostname h -e X=y --read-only IMAGE sleep 1000
        container clone it
        container clone it
        container clone it named
        container clone --name flagged it named2
        container clone it it
        container clone nosuch
        container clone --force it
        container clone it 'a b'
        ! container clone it other nosuch:1
        container clone --pod nosuch it other
        container clone --cpus 0.5 it half
        container clone -m 32m named less
        ! container clone it sleeper IMAGE
        ps -a --format '{{.Names}} {{.Image}} {{.Status}} {{.Labels}}'
        inspect -f '{{.HostConfig.NanoCpus}} {{.HostConfig.Memory}} {{.HostConfig.CpuQuota}}' it half less
        inspect -f '{{.Config.Cmd}}' named sleeper
        - start it
        container clone --destroy it gone
        ! container exists it
        - rm -f gone
        container clone --destroy --force it born
        ! container exists it
        inspect -f '{{.State.Status}}' born
        - pod create --name group --network none
        - container clone --pod group born member
        inspect -f '{{eq .Pod ""}} {{.HostConfig.IpcMode}}' born
        ! inspect -f '{{.Pod}}' member
        container clone member member2
        ps -a --filter pod=group --format '{{.Names}}'
    """,
    "cleanup": """
        create --name it --network none IMAGE sleep 1000
        container cleanup it
        - start it
        container cleanup it
        container cleanup --rm it
        container cleanup -a
        container cleanup --exec x it
        - stop -t 0 it
        container cleanup it
        container cleanup nosuch it
        container cleanup --rm it
        ps -a -q
        container cleanup
        container cleanup -a x
        container cleanup -al
        container cleanup -l
        container cleanup --exec x --rmi it
        container cleanup --exec x -a
        container cleanup --exec x it him
        tag IMAGE other
        create --name it --network none other true
        ! container cleanup --rm --rmi it
        ! image exists other
    """,
    "dependents": """
        create --name one --network none IMAGE true
        create --name two --network container:one IMAGE true
        ! rm one
        ! rm --depend one
        ps -a -q
    """,
    "a pod goes with its infra": """
        pod create --name group --infra-name holder --network none
        create --name one --pod group IMAGE true
        rm holder
        rm -f holder
        ! rm --depend holder
        ps -a -q
        pod ps -q
    """,
    "private IPC": """
        create --name it --network none --ipc private IMAGE sleep 1000
        create --name shares --network none --ipc shareable IMAGE sleep 1000
        create --name joins --network none --ipc container:it IMAGE true
        ! create --name joined --network none --ipc container:shares IMAGE true
        inspect -f '{{.HostConfig.IpcMode}}' it shares
    """,
    "committed entrypoints": """
        create --name one --entrypoint '["/bin/echo","x"]' --expose 81-82 --expose 9/udp IMAGE
        - commit -q one made
        image inspect -f '{{.Config.Entrypoint}} {{.Config.Cmd}} {{json .Config.ExposedPorts}}' made
        - rm one
        create --name one --network none --entrypoint /bin/echo IMAGE a b
        - commit -q one made
        image inspect -f '{{.Config.Entrypoint}} {{.Config.Cmd}}' made
    """,
    "sizes": r"""
        create --name never --network none IMAGE true
        - run --name one --network none IMAGE dd if=/dev/zero of=/big bs=1234567 count=1
        ps -a -s --format '{{.Names}} {{.Size}}'
        inspect -s -f '{{.SizeRw}} {{.SizeRootFs}}' never
        container inspect -s -f '{{.SizeRootFs}}' one
    """,
    "conditions of wait": """
        create --name it --network none IMAGE true
        wait --condition configured it
        wait --condition running,exited it
        wait --condition exited it
        - start -a it
        wait --condition running,stopped it
    """,
    "arguments of attach": """
        - run -d --name it --network none IMAGE sleep 1000
        attach
        attach it it
        attach --latest it
    """,
    "other names of flags": """
        create --name it --network none --healthcheck-command true --healthcheck-interval 5s IMAGE true
        inspect -f '{{json .Config.Healthcheck}}' it
        create --network none --healthcheck-retries 2 --healthcheck-timeout 2s --healthcheck-start-period 1s IMAGE true
        run --purge --name gone --network none --override-os linux IMAGE true
        container exists gone
        ps -a --notruncate --format '{{len .ID}}'
        ps --storage -q
        pod ps --notruncate
        history --notruncate --format '{{len .ID}}' IMAGE
        logs --details it
    """,
    "an empty command": """
        run --rm --network none IMAGE ''
        - run -d --name it --network none IMAGE sleep 1000
        exec it ''
        - rm -f -t 0 it
    """,
    "an export to nowhere, a name that it has": """
        create --name it --network none IMAGE true
        export -o /nosuch/x it
        export -o /nosuch/x nosuch
        export -o / it
        rename it it
        inspect -f '{{.Name}}' it
        rm it
    """,
    "a message of a commit": """
        create --name it --network none IMAGE true
        commit -q -m why it made
        commit -q -m why -f oci it made
        commit -q -m why nosuch made
        - commit -q -m why -f docker it made
        image inspect -f '{{.Comment}}' made
        rm it
    """,
    "untag": """
        tag IMAGE one
        untag IMAGE one@sha256:1111111111111111111111111111111111111111111111111111111111111111
        untag IMAGE quay.io/a/one:2@sha256:1111111111111111111111111111111111111111111111111111111111111111
        untag IMAGE sha256:1111111111111111111111111111111111111111111111111111111111111111
        untag IMAGE two
        untag IMAGE one
    """,
    "a pod with unshared networks": """
        pod create --name group --share ipc --network private
        pod inspect -f '{{.SharedNamespaces}}' group
    """,
    "names for updates": """
        create --label io.containers.autoupdate=registry box true
        create --label io.containers.autoupdate=image box:latest true
        create --label io.containers.autoupdate=registry IMAGE true
        create --label io.containers.autoupdate=local box true
    """,
    "what inspect shows": """
        create --name it --network none --health-cmd 'exit 0' --health-retries 5 --rm IMAGE sleep 1000
        inspect -f '{{json .Config.Healthcheck}} {{json .State.Health}} {{.State.Healthcheck.Status}}' it
        - start it
        ! healthcheck run it
        inspect -f '{{.State.Healthcheck.Status}} {{len .State.Health.Log}} {{.Config.Passwd}}' it
        inspect -f '{{index .Config.Annotations "io.podman.annotations.autoremove"}} {{len .ExecIDs}}' it
        inspect -f '{{index .Config.Annotations "io.container.manager"}}' it
        - exec -d it sleep 1000
        inspect -f '{{len .ExecIDs}} {{eq .ImageDigest ""}} {{eq .NetworkSettings.SandboxKey ""}}' it
        inspect -f '{{.HostConfig.IDMappings}}' it
    """,
}


# Options and words of `create` that are refused; pypod's message begins with podman's, and may add a hint.
REFUSED = """
    --name taken IMAGE
    --name 'a b' IMAGE
    --pull bogus IMAGE
    --uts host --hostname x IMAGE
    --cap-add bogus IMAGE
    -e =x IMAGE
    --env-file /nosuch IMAGE
    --env-file /etc IMAGE
    --label =x IMAGE
    --label-file /nosuch IMAGE
    --label-file /proc/version IMAGE
    --tmpfs rel IMAGE
    --tmpfs /x:bogus IMAGE
    --mount type=bogus IMAGE
    --mount type=bind,src=/nosuch,dst=/x IMAGE
    -v /nosuch:/x IMAGE
    -v /tmp:rel IMAGE
    --ulimit nofile IMAGE
    --ulimit nofile= IMAGE
    --ulimit nope=1 IMAGE
    --ulimit nofile=1:x IMAGE
    --ulimit nofile=5:3 IMAGE
    --ulimit nofile=1:2:3 IMAGE
    --sysctl bogus IMAGE
    --sysctl kernel.foo=1 IMAGE
    --memory 1x IMAGE
    --shm-size x IMAGE
    --shm-size -1 IMAGE
    --expose x/tcp IMAGE
    --expose 5-3 IMAGE
    --expose 99999 IMAGE
    -p x IMAGE
    -p 99999:80 IMAGE
    -p 1.2.3:80:80 IMAGE
    --network bridge --ip 1.2.3 IMAGE
    --network bridge --mac-address x IMAGE
    --network bridge --dns x IMAGE
    --add-host x IMAGE
    --network bogus IMAGE
    --network container:nosuch IMAGE
    --pid container:nosuch IMAGE
    --ipc container:nosuch IMAGE
    --uts container:nosuch IMAGE
    --pid bogus IMAGE
    --ipc bogus IMAGE
    --uts bogus IMAGE
    --cgroupns bogus IMAGE
    --pid container: IMAGE
    --pid ns: IMAGE
    --pod nosuch IMAGE
    --pod-id-file /nosuch IMAGE
    --cidfile /nosuch/x IMAGE
    --health-interval x --health-cmd x IMAGE
    --health-retries 0 --health-cmd x IMAGE
    --umask x IMAGE
    --umask 999 IMAGE
    --stop-signal BOGUS IMAGE
    --security-opt bogus IMAGE
    --security-opt seccomp=/nosuch IMAGE
    --bogus IMAGE
    --ulimit =1 IMAGE
    --ulimit nofile=:1 IMAGE
    --ulimit nofile=1: IMAGE
    --umask 0o22 IMAGE
    --umask 00022 IMAGE
    --shm-size 1x IMAGE
    --shm-size 1.5.2m IMAGE
    --sysctl =1 IMAGE
    --sysctl net.foo.bar=1 --network host IMAGE
    --sysctl fs.mqueue.msg_max=1 --ipc host IMAGE
    --sysctl vm.swappiness=1 IMAGE
    --expose 0 IMAGE
    --expose 80/bogus IMAGE
    --expose 80-/tcp IMAGE
    --expose 80/tcp/udp IMAGE
    --label-file /etc IMAGE
    --cidfile /etc/passwd IMAGE
    --cidfile /etc/passwd/x IMAGE
    --pid host:x IMAGE
    --pid pod IMAGE
    --pid container IMAGE
    --pid ns:/nosuch IMAGE
    --uts pod IMAGE
    --uts ns:/nosuch IMAGE
    --ipc pod IMAGE
    --ipc none:x IMAGE
    --cgroupns pod IMAGE
    --cgroupns container:nosuch IMAGE
    --network container: IMAGE
    --network ns:/nosuch IMAGE
    --network none:x IMAGE
    --network host:x IMAGE
    --network pod IMAGE
    --network none,none IMAGE
    --network bridge:bogus=1 IMAGE
    --network bridge:mac=x IMAGE
    --network bridge --network none IMAGE
    --userns bogus IMAGE
    --userns container: IMAGE
    --userns container:nosuch IMAGE
    --userns ns:/nosuch IMAGE
    --userns pod IMAGE
    --userns keep-id IMAGE
    --userns auto:bogus=1 IMAGE
    --userns auto:size=x IMAGE
    --subuidname nosuch IMAGE
    --userns host --uidmap 0:0:1 IMAGE
    --memory-swap x IMAGE
    --memory-swap 1m IMAGE
    --memory 4m --memory-swap 1m IMAGE
    --memory 4m --memory-reservation 8m IMAGE
    --memory-swappiness 101 IMAGE
    --cpus x IMAGE
    --cpus 1 --cpu-quota 1000 IMAGE
    --cpu-shares=-1 IMAGE
    --blkio-weight x IMAGE
    --blkio-weight-device x IMAGE
    --device-read-bps /dev/null:x IMAGE
    --device-write-iops /dev/null IMAGE
    --stop-signal 99 IMAGE
    --stop-timeout=-1 IMAGE
    --tmpfs '' IMAGE
    --tmpfs /x:ro,rw IMAGE
    --tmpfs /x:suid,nosuid IMAGE
    --tmpfs /x:bind IMAGE
    --tmpfs /x:z IMAGE
    -v x IMAGE
    -v :/x IMAGE
    -v a/b:/x IMAGE
    -v /tmp:/x:bogus IMAGE
    -v /tmp:/x:ro,rw IMAGE
    -v /tmp:/x:shared,private IMAGE
    -v /tmp:/x:O,upperdir=/tmp IMAGE
    -v /tmp:/x -v /var:/x IMAGE
    -v /tmp:/x --tmpfs /x IMAGE
    --rootfs /nosuch true
    --mount '' IMAGE
    --mount type= IMAGE
    --mount src=/tmp IMAGE
    --mount type=bind,dst=/x IMAGE
    --mount type=bind,src=/tmp,dst=x IMAGE
    --mount type=bind,src=/tmp,dst=/x,bogus=1 IMAGE
    --mount type=bind,src=/tmp,dst=/x,ro,rw IMAGE
    --mount type=bind,src=/tmp,dst=/x,bind-propagation=bogus IMAGE
    --mount type=bind,src=/tmp,dst=/x,relabel=bogus IMAGE
    --mount type=bind,src=/tmp,dst=/x,U=x IMAGE
    --mount 'type=volume,src=a b,dst=/x' IMAGE
    --mount type=volume,dst=/x,bogus IMAGE
    --mount type=tmpfs,src=/tmp,dst=/x IMAGE
    --mount type=tmpfs,dst=/x,tmpfs-size IMAGE
    --mount type=image,src=localhost/box,dst=/x,rw=x IMAGE
    --mount type=bind,src=/tmp,dst=/x --mount type=tmpfs,dst=/x IMAGE
    -p 80/bogus IMAGE
    -p 0:80 IMAGE
    -p 80: IMAGE
    -p 80-90:80 IMAGE
    -p '[::1]:80:80:80' IMAGE
    -p 1:2:3:4 IMAGE
    --add-host x: IMAGE
    --add-host :1.2.3.4 IMAGE
    --add-host x:1.2.3 IMAGE
    --add-host x:1.2.3.4 --no-hosts IMAGE
    --network bridge --dns none --dns 1.2.3.4 IMAGE
    --network bridge --dns none --dns-search x IMAGE
    --network bridge --dns none --dns-option x IMAGE
    --dns 1.2.3.4 --network none IMAGE
    --network bridge --dns-search . --dns-search x IMAGE
    --ip 1.2.3.4 --network none IMAGE
    --network bridge --ip6 x IMAGE
    --mac-address 92:d0:c6:0a:29:33 --network host IMAGE
    --network-alias x --network none IMAGE
    --device /nosuch IMAGE
    --device x IMAGE
    --device /etc/passwd IMAGE
    --device /dev/null:/x:bogus IMAGE
    --device /dev/null:/x:r:w IMAGE
    --device-cgroup-rule 'c x:y rwm' IMAGE
    --cap-drop bogus IMAGE
    --cap-add chown --cap-drop chown IMAGE
    --security-opt label IMAGE
    --security-opt seccomp IMAGE
    --security-opt unmask IMAGE
    --security-opt systempaths=x IMAGE
    --security-opt no-new-privileges=x IMAGE
    --health-cmd '[]' IMAGE
    --health-timeout 0 --health-cmd x IMAGE
    --health-start-period=-1s --health-cmd x IMAGE
    --health-cmd x --no-healthcheck IMAGE
    --tz nosuch IMAGE
    --tz /etc IMAGE
    --cgroups bogus IMAGE
    --cgroup-conf x IMAGE
    --cgroup-parent x.slice IMAGE
    --image-volume bogus IMAGE
    --volumes-from nosuch IMAGE
    --volumes-from taken:bogus IMAGE
    --secret nosuch IMAGE
    --annotation x IMAGE
    --pod nosuch --network host IMAGE
"""
REFUSED_PODS = """
    taken
    --name taken
    'a b'
    --share foo
    --infra=false --share net
    -p bogus
    --add-host x
    --network bogus
    --pod-id-file /etc/passwd x
    --label-file /proc/version
"""


class Both:
    """podman and pypod, with an image of busybox as IMAGE."""

    def __init__(self, podman: Run, pypod: Run, image: str) -> None:
        self._runs = {"podman": podman, "pypod": pypod}
        self._image = image

    def __call__(self, line: str) -> None:
        """Run a line of a script with both, and compare."""
        mark, text = (line[0], line[2:]) if line[:2] in ("! ", "- ") else ("", line)
        words = [self._image if word == "IMAGE" else word for word in shlex.split(text)]
        shown = {name: self._shown(name, run(*words), mark) for name, run in self._runs.items()}
        assert shown["pypod"] == shown["podman"], text

    def refused(self, command: str, lines: str) -> None:
        """Run a command with the words of each line, which both refuse with the same code and beginning."""
        wrong = []
        for line in lines.strip().splitlines():
            words = shlex.split(f"{command} {line}".replace("IMAGE", f"{self._image} true"))
            theirs, ours = (self._shown(name, self._runs[name](*words), "") for name in ("podman", "pypod"))
            beginning = theirs[2].replace("Error: invalid config provided: ", "Error: ")
            if theirs[0] == 0 or ours[:2] != theirs[:2] or not ours[2].startswith(beginning):
                wrong.append((line.strip(), ours, theirs))
        assert wrong == []

    def _shown(self, name: str, done: subprocess.CompletedProcess[str], mark: str) -> tuple[int, str, str]:
        if mark:
            return (done.returncode if mark == "!" else 0, "", "")
        errors = re.sub(r"\b(crun|runc): ", "", done.stderr.replace(name, "PROGRAM"))
        ids = re.compile(r"\b([0-9a-f]{64}|[0-9a-f]{12})\b")
        # podman without systemd, its log beside the error, and crun when the process that it is to kill has just ended
        noise = ("healthcheck", "open pidfd", "level=error msg=")
        lines = [line for line in errors.splitlines() if not any(word in line for word in noise)]
        return done.returncode, ids.sub("ID", done.stdout.replace(name, "PROGRAM")), ids.sub("ID", "\n".join(lines))


@pytest.fixture(scope="module")
def archive(busybox: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A root file system as a tar without an entry for its root, as most images are."""
    path = tmp_path_factory.mktemp("behaviour") / "busybox.tar"
    with tarfile.open(path, "w") as tar:
        for name in sorted(os.listdir(busybox)):
            tar.add(f"{busybox}/{name}", name)
    return str(path)


@pytest.fixture(scope="module")
def podman(busybox: str, archive: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    made = able_podman(tmp_path_factory.mktemp("podman"), busybox)
    made("rm", "-a", "-f")
    assert made("import", archive, "localhost/box").returncode == 0
    yield made
    made.remove()


@pytest.fixture
def both(engine, podman: Run, archive: str) -> Iterator[Both]:
    pypod = Program(engine.layout.root)
    assert pypod("import", archive, "localhost/box").returncode == 0
    yield Both(podman, pypod, "localhost/box")
    for words in (("pod", "rm", "-a", "-f", "-t", "0"), ("rm", "-a", "-f", "-t", "0", "--depend")):
        podman(*words)


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=[name.replace(" ", "_") for name in SCRIPTS])
def test_the_same_happens(both: Both, script: str) -> None:
    for line in script.strip().splitlines():
        both(line.strip())


def test_sizes_in_json(both: Both, podman: Run, engine) -> None:
    both("create --name it --network none IMAGE true")
    line = ["ps", "-a", "-s", "--filter", "name=^it$", "--format", "json"]
    ours, theirs = (json.loads(run(*line).stdout)[0]["Size"] for run in (Program(engine.layout.root), podman))
    assert ours == theirs
    assert ours["rootFsSize"] > 0


def test_inspect_knows_the_command_line(engine, archive: str) -> None:
    pypod = Program(engine.layout.root)
    pypod.ok("create", "--name", "it", "--network", "none", "--rootfs", str(Path("/")), "true")
    shown = pypod.ok("inspect", "-f", "{{json .Config.CreateCommand}}", "it")
    assert shown.startswith(f'["pypod","--root","{engine.layout.root}","create","--name","it",')


def test_what_create_refuses(both: Both, engine) -> None:
    both("create --name taken IMAGE true")
    both.refused("create", REFUSED)
    assert [one.name for one in engine.containers.list(all=True)] == ["taken"]  # podman keeps one without its cidfile


def test_what_pod_create_refuses(both: Both) -> None:
    both("- pod create --name taken --network none")
    both.refused("pod create", REFUSED_PODS)

"""Options of a container's process and files, resolved on this host: podman's choices, errors that name the flag."""

from __future__ import annotations

import os
import pwd
from types import SimpleNamespace
from typing import Any

import pytest

from pypod.engine.specs.running import running_fields, timezone_file
from pypod.engine.specs.variables import with_variables
from pypod.errors import InvalidSpec
from pypod.model.mount import Mount
from pypod.model.options.container import ContainerOptions


def fields(*words: str, image: Any = None, **options: Any) -> dict[str, Any]:
    return running_fields(ContainerOptions(**options), words or ("sh",), image)


def refused(**options: Any) -> InvalidSpec:
    with pytest.raises(InvalidSpec) as caught:
        fields(**options)
    return caught.value


@pytest.mark.parametrize(
    ("words", "systemd", "expected"),
    [
        (("/sbin/init",), "true", True),
        (("/usr/sbin/init", "3"), "true", True),
        (("/lib/systemd/systemd",), "true", True),
        (("systemd",), "true", True),
        (("/bin/sh", "-c", "/sbin/init"), "true", True),
        (("/bin/sh", "-c"), "true", False),
        (("/sbin/initd",), "true", False),
        (("sh", "/sbin/init"), "true", False),
        (("/sbin/init",), "false", False),
        (("/sbin/init",), False, False),
        (("sh",), "always", True),
        (("/sbin/init",), True, True),
    ],
)
def test_what_is_set_up_for_systemd(words: tuple[str, ...], systemd: Any, *, expected: bool) -> None:
    assert fields(*words, systemd=systemd)["systemd"] is expected


def test_systemd_has_three_values() -> None:
    with pytest.raises(InvalidSpec, match=r"must be one of \"true, false, always\"") as caught:
        ContainerOptions(systemd="maybe")
    assert caught.value.argument == "--systemd"


@pytest.mark.parametrize("zone", ["../../../etc/passwd", "/etc/passwd", "no/such", "Europe", ".", "Europe/\0"])
def test_time_zones_are_in_the_database(zone: str) -> None:
    assert refused(timezone=zone).argument == "--tz"


@pytest.mark.skipif(not os.path.isfile("/usr/share/zoneinfo/UTC"), reason="tzdata is not installed")
def test_a_time_zone() -> None:
    assert fields(timezone="UTC")["timezone"] == "UTC"
    assert os.path.samefile(timezone_file("UTC"), "/usr/share/zoneinfo/UTC")


def test_personalities() -> None:
    assert fields(personality="linux32")["personality"] == "LINUX32"
    assert refused(personality="BSD").argument == "--personality"


def test_users_of_the_host() -> None:
    root = pwd.getpwuid(0)
    name = root.pw_gecos.partition(",")[0]
    assert fields(host_users=("root", 0), working_directory="/srv")["host_users"] == (
        (f"root:*:0:{root.pw_gid}:{name}:/srv:/bin/sh",) * 2
    )
    mounts = (Mount(type="tmpfs", target=root.pw_dir),)
    assert fields(host_users=("root",), mounts=mounts)["host_users"] == (
        f"root:*:0:{root.pw_gid}:{name}:{root.pw_dir}:/bin/sh",
    )
    for unknown in ("no-such-user", "4294967294", "9" * 40):
        assert refused(host_users=(unknown,)).argument == "--hostuser"


def test_an_entry_is_a_line() -> None:
    assert refused(group_entry="a\nroot::0:").argument == "--group-entry"


def test_annotations_are_the_user_s() -> None:
    assert fields(annotations={"b": "2", "a": "="})["annotations"] == (("a", "="), ("b", "2"))
    assert refused(annotations={"io.pypod.account": "x"}).argument == "--annotation"


def test_an_init_program_exists(tmp_path) -> None:
    assert refused(init=True, init_path=tmp_path).argument == "--init-path"
    assert fields(init_path="/no/such")["init_path"] == ""
    (tmp_path / "init").touch()
    assert fields(init=True, init_path=tmp_path / "init")["init_path"] == f"{tmp_path}/init"


def test_the_seccomp_policy() -> None:
    labels = (("io.containers.seccomp.profile", "{}"),)
    image: Any = SimpleNamespace(config=SimpleNamespace(labels=labels))
    without: Any = SimpleNamespace(config=SimpleNamespace(labels=()))
    assert fields(seccomp_policy="image", image=image)["seccomp_profile"] == "{}"
    assert fields(image=image)["seccomp_profile"] == ""
    unconfined = {"seccomp_policy": "image", "security_opt": ("seccomp=unconfined",)}
    assert fields(image=without, **unconfined)["seccomp_profile"] == ""
    for wrong in (
        {"seccomp_policy": "image"},
        {"seccomp_policy": "any"},
        {"seccomp_policy": "image", "image": without},
    ):
        assert refused(**wrong).argument == "--seccomp-policy"


def test_variables_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """podman's order: the image's, then the host's, then those that were asked for."""
    for name in tuple(os.environ):
        monkeypatch.delenv(name)
    for name in ("http_proxy", "NO_PROXY", "A", "B"):
        monkeypatch.setenv(name, "host")
    image = {"A": "image", "http_proxy": "image", "C": "image"}.items()

    def variables(**options: Any) -> dict[str, str]:
        return dict(with_variables(ContainerOptions(environment={"B": "asked"}, **options), image).environment)

    proxies = {"http_proxy": "host", "NO_PROXY": "host"}
    assert variables() == {"A": "image", "C": "image", "B": "asked", **proxies}
    assert variables(http_proxy=False) == {"A": "image", "http_proxy": "image", "C": "image", "B": "asked"}
    assert variables(host_environment=True) == {"A": "host", "C": "image", "B": "asked", **proxies}
    assert variables(unsetenv_all=True) == {"B": "asked", **proxies}

"""Images created from containers and from tars, seen from containers on them."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import threading

import pytest

from pypod import InvalidImage, InvalidSpec
from pypod.engine.inspect.images import inspect_image
from tests.images.made import busybox_image, layer
from tests.integration.images.test_images import bring, output, run, store

pytestmark = pytest.mark.root
SCRIPT = "echo new > /new; rm /bin/vi; echo changed > /etc/made; rm -r /srv/dir; mkdir /srv/dir; echo > /srv/dir/young"


@pytest.fixture(params=["overlay", "vfs"])
def changed(engine, busybox, monkeypatch, request):
    """Return a container that has added, changed, deleted and replaced files, in its own layer or in a full copy."""
    monkeypatch.setenv("STORAGE_DRIVER", request.param)
    below = layer({"etc": None, "etc/made": b"x", "srv": None, "srv/dir": None, "srv/dir/old": b"x"})
    image = bring(engine, busybox_image(busybox, below, config={"Env": ["A=1"], "Labels": {"of": "base"}}))
    container = engine.containers.run(image, ["sh", "-c", SCRIPT], name="changed", environment={"B": "2"})
    assert container.wait(20) == 0
    return container


def names(pieces) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
        return sorted(archive.getnames())


class TestCommit:
    @pytest.mark.parametrize("squash", [False, True], ids=["layer", "squashed"])
    def test_what_was_written_is_in_the_image(self, engine, changed, squash) -> None:
        image = changed.commit("mine", squash=squash)
        assert image.names == ("localhost/mine:latest",)
        shown = run(engine, "mine", "sh", "-c", "cat /new /etc/made; ls /srv/dir; ls /bin/vi 2>&1; echo $A$B")
        assert shown == "new\nchanged\nyoung\nls: /bin/vi: No such file or directory\n12\n"
        assert len(image.layers()) == (1 if squash else 3)

    @pytest.mark.parametrize("squash", [False, True], ids=["layer", "squashed"])
    def test_a_container_that_was_never_started(self, engine, busybox, squash) -> None:
        """It can be started, stopped and removed afterwards like any other."""
        image = bring(engine, busybox_image(busybox))
        container = engine.containers.create(image, ["sh", "-c", "echo ran"], name="fresh")
        container.commit("mine", squash=squash)
        assert run(engine, "mine", "echo", "works") == "works\n"
        container.start()
        assert container.wait(20) == 0
        assert output(container) == "ran\n"
        never = engine.containers.create(image, ["true"], name="never")
        never.commit("mine", squash=squash)
        never.remove()
        assert not engine.containers.exists("never")

    def test_the_base_and_the_container_stay_as_they_were(self, engine, changed) -> None:
        before = changed.inspect()["Image"]
        changed.commit("mine")
        assert changed.inspect()["Image"] == before
        assert run(engine, "made", "ls", "/bin/vi") == "/bin/vi\n"

    def test_configuration(self, changed) -> None:
        changes = [
            'CMD ["cat", "/new"]',
            "ENV A=3",
            "LABEL x=y",
            'LABEL quoted="a b"',
            'LABEL half=a "b"',
            'LABEL "key"=v',
            'ENV QUOTED="c d"',
            "EXPOSE 80 53/udp",
            "USER 7",
            "WORKDIR /srv",
            'VOLUME ["/data"]',
            "STOPSIGNAL SIGUSR1",
            "ONBUILD RUN x",
        ]
        image = changed.commit("mine", changes=changes, author="me", message="why", format="docker")
        config = image.config
        assert (config.command, config.user, config.working_directory) == (("cat", "/new"), "7", "/srv")
        assert dict(config.environment) == {"A": "3", "B": "2", "QUOTED": "c d"}
        assert dict(config.labels) == {"of": "base", "x": "y", "quoted": "a b", "half": 'a "b"', "key": "v"}
        assert (config.exposed_ports, config.volumes) == (("80/tcp", "53/udp"), ("/data",))
        assert (config.stop_signal, config.author) == ("SIGUSR1", "me")
        assert json.loads(config.body)["config"]["OnBuild"] == ["RUN x"]
        assert (config.history[-1].comment, config.history[-1].author) == ("why", "me")

    def test_docker_s_form_has_the_message_as_the_image_s_comment(self, changed) -> None:
        image = changed.commit("mine", message="why", format="docker")
        assert json.loads(image.config.body)["comment"] == inspect_image(image)["Comment"] == "why"

    def test_volumes_are_named_when_that_is_asked_for(self, engine, busybox, tmp_path) -> None:
        """Only their paths, as in podman; their content is not in the image."""
        image = bring(engine, busybox_image(busybox, config={"Volumes": {"/data": {}}}))
        (tmp_path / "f").write_text("x")
        container = engine.containers.create(image, ["true"], volumes=[f"{tmp_path}:/host/"], tmpfs=["/scratch"])
        assert container.commit("without").config.volumes == ("/data",)
        made = container.commit("with", include_volumes=True, changes=["VOLUME /more"])
        assert sorted(made.config.volumes) == ["/data", "/host", "/more", "/scratch"]
        assert run(engine, "with", "ls", "/host") == ""

    @pytest.mark.parametrize("changes", [["ENTRYPOINT []", "CMD []"], ["ENTRYPOINT=", "CMD="]])
    def test_an_empty_list_takes_away(self, engine, changed, changes) -> None:
        changed.commit("mine", changes=['ENTRYPOINT ["false"]', "CMD x"])
        derived = engine.containers.create("mine").commit("derived", changes=changes)
        assert (derived.config.entrypoint, derived.config.command) == ((), ())

    @pytest.mark.parametrize(
        "change", ["", "RUN x", "CMD", "EXPOSE http", "LABEL =x", "LABEL x", "ENV", "USER=", "STOPSIGNAL NONE"]
    )
    def test_bad_change(self, engine, changed, change) -> None:
        before = store(engine)
        with pytest.raises(InvalidSpec):
            changed.commit("mine", changes=[change])
        assert store(engine) == before
        assert not engine.images.exists("mine")

    def test_a_configuration_put_over_the_containers(self, changed) -> None:
        before = changed.commit("before").config
        over = {"Env": ["NEW=1"], "Labels": {"over": "yes"}, "Cmd": ["x"], "User": "", "ExposedPorts": {"81/tcp": {}}}
        after = changed.commit("after", config=over, changes=["CMD y"]).config
        assert dict(after.environment) == {**dict(before.environment), "NEW": "1"}
        assert dict(after.labels) == {**dict(before.labels), "over": "yes"}
        assert (after.user, after.command) == (before.user, ("/bin/sh", "-c", "y"))

    @pytest.mark.parametrize(
        "config", [{"Nosuch": "x"}, {"Env": "A=1"}, {"Cmd": [1]}, {"User": 5}, {"Healthcheck": {"Test": 5}}], ids=str
    )
    def test_a_bad_configuration(self, engine, changed, config) -> None:
        with pytest.raises(InvalidSpec):
            changed.commit("bad", config=config)
        assert not engine.images.exists("bad")

    def test_twice_is_one_more_layer_once(self, changed) -> None:
        """The same bytes result in the same layer, at any time."""
        first, second = changed.commit("one"), changed.commit("two")
        assert first.layer_directories() == second.layer_directories()

    def test_container_without_an_image(self, engine, busybox) -> None:
        with pytest.raises(InvalidSpec, match="no image"):
            engine.containers.create(["true"], rootfs=busybox).commit("x")

    def test_paused_meanwhile(self, engine, busybox) -> None:
        image = bring(engine, busybox_image(busybox))
        script = "head -c 50000000 /dev/urandom > /big; echo ready; while :; do sleep 0.01; done"
        container = engine.containers.run(image, ["sh", "-c", script])
        assert next(container.logs(follow=True)).data == b"ready\n"
        seen: set[bool] = set()
        done = threading.Event()

        def look() -> None:
            while not done.is_set():
                seen.add(engine.cgroups.is_frozen(container.record().cgroup))

        looking = threading.Thread(target=look)
        looking.start()
        container.commit("snap", pause=True)
        done.set()
        looking.join()
        assert seen == {False, True}
        assert not engine.cgroups.is_frozen(container.record().cgroup)
        assert container.exec(["true"]).exit_code == 0
        container.remove(force=True)


class TestExport:
    def test_whole_tree_of_a_container(self, changed) -> None:
        found = names(changed.export())
        assert {"new", "srv/dir/young", "bin/sh"} <= set(found)
        assert not {"bin/vi", "srv/dir/old"} & set(found)
        assert not [name for name in found if ".wh." in name]

    def test_same_as_from_inside(self, engine, changed) -> None:
        inside = run(engine, changed.commit("mine"), "find", "/bin", "/srv", "-xdev").splitlines()
        found = [name for name in names(changed.export()) if name.split("/")[0] in ("bin", "srv")]
        assert found == sorted(name.removeprefix("/") for name in inside)

    def test_of_a_root_file_system(self, engine, busybox) -> None:
        container = engine.containers.run(["touch", "/here"], rootfs=busybox)
        container.wait(20)
        assert {"here", "bin/busybox"} <= set(names(container.export()))

    def test_changes(self, changed) -> None:
        found = set(changed.changes())
        assert {("A", "/new"), ("D", "/bin/vi"), ("C", "/etc/made"), ("D", "/srv/dir/old")} <= found
        assert ("A", "/srv/dir/young") in found


class TestImport:
    @pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
    def test_container_on_what_was_exported(self, engine, changed, pack) -> None:
        image = engine.images.import_tree([pack(b"".join(changed.export()))], "flat:1", changes=["CMD cat /new"])
        container = engine.containers.run("localhost/flat:1")
        assert output(container) == "new\n"
        assert (len(image.layers()), image.config.environment) == (1, ())

    def test_what_is_no_tar(self, engine) -> None:
        with pytest.raises(InvalidImage):
            engine.images.import_tree([b"no tar at all" * 100], "x")
        assert engine.images.list() == []

"""A partial download left by one image or registry is continued for another image's layer."""

from __future__ import annotations

import errno
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pypod import Engine, InvalidImage, RegistryError, SystemFailure
from pypod.images.registry.access import Access
from tests.cli.program import Program
from tests.fake_registry import Images, Request, Server, images_of
from tests.images.forms import digest
from tests.images.made import Made, layer, names_of

pytestmark = pytest.mark.root

AT_ONCE = Access(tls_verify=False, retries=0)
SMALL_BYTES = 24 << 20
BASE = layer({"etc": None, "etc/base": os.urandom(400_000)})
BOMB = layer({"bomb": bytes(2 * SMALL_BYTES)})  # a hundredth of that when compressed


class Registry:
    """The registries of one test, and pulls from them."""

    def __init__(self, stack: ExitStack, engine: Engine) -> None:
        self._stack = stack
        self.engine = engine

    def serve(self, images: Images) -> Server:
        return self._stack.enter_context(Server(images))

    def pull(self, server: Server):
        return self.engine.images.pull(f"{server.host}/team/app:latest", access=AT_ONCE)

    def pulls_by_command(self, server: Server) -> None:
        """Pull with the installed program, as a user does, without a repair before it."""
        done = Program(self.engine.layout.root)("pull", "-q", "--tls-verify=false", f"{server.host}/team/app:latest")
        assert (done.returncode, done.stderr) == (0, "")

    def incoming(self) -> list[str]:
        return names_of(f"{self.engine.layout.images}/incoming")

    def shows_base(self) -> None:
        """Assert that the layer of the good image is byte for byte the one in its registry."""
        (image,) = self.engine.images.list()
        (directory,) = image.layer_directories()
        found = Path(self.engine.layout.image_layers, directory, "etc/base").read_bytes()
        assert layer({"etc": None, "etc/base": found}) == BASE


@pytest.fixture
def world(engine: Engine) -> Iterator[Registry]:
    with ExitStack() as stack:
        yield Registry(stack, engine)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Registry]:
    """Return the same on a disk that a bomb fills."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_BYTES},mode=711", "tmpfs", disk], check=True)
    try:
        with Engine(str(disk / "storage")) as engine, ExitStack() as stack:
            yield Registry(stack, engine)
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def good() -> Made:
    return Made(BASE, config={"Cmd": ["x"]}, compress=True)


def claiming(diff_id_of: bytes, *layers: bytes, compress: bool = True) -> Made:
    """Return an image whose lowest layer does not have the diff ID that the configuration claims."""
    made = Made(*layers, config={"Cmd": ["x"]}, compress=compress)
    made.config["rootfs"]["diff_ids"][0] = digest(diff_id_of)
    return made


def cutting(made: Made, after: int) -> Images:
    """Return a registry that closes the connection after this many bytes of each layer."""
    found = images_of(made)
    for body in made.layers:
        found.special[f"/blobs/{digest(body)}"] = (200, {"X-Cut": str(after)}, body)
    return found


def lying(made: Made, lie: bytes) -> Images:
    """Return a registry that sends ``lie`` as the beginning of the first layer and then closes the connection."""
    found = images_of(made)
    body = (lie + bytes(len(made.layers[0])))[: len(made.layers[0])]
    found.special[f"/blobs/{digest(made.layers[0])}"] = (200, {"X-Cut": str(len(lie))}, body)
    return found


def test_another_blob_of_the_same_diff_id(world: Registry) -> None:
    evil = claiming(BASE, layer({"evil": os.urandom(300_000)}))
    with pytest.raises(RegistryError):
        world.pull(world.serve(cutting(evil, 200_000)))
    assert world.incoming() != []  # the partial download is kept for its own image
    registry = world.serve(images_of(good()))
    world.pulls_by_command(registry)
    assert [one.headers.get("range") for one in registry.asked("GET", digest(good().layers[0]))] == [None]
    world.shows_base()


def test_an_image_goes_on_where_it_was_cut_whatever_came_between(world: Registry) -> None:
    with pytest.raises(RegistryError):
        world.pull(world.serve(cutting(good(), 100_000)))
    with pytest.raises(RegistryError):
        world.pull(world.serve(cutting(claiming(BASE, layer({"evil": os.urandom(300_000)})), 200_000)))
    registry = world.serve(images_of(good()))
    world.pull(registry)
    asked = [one.headers.get("range") for one in registry.asked("GET", digest(good().layers[0]))]
    assert asked == ["bytes=100000-"]
    world.shows_base()


def test_a_registry_that_lied_about_the_same_blob(world: Registry) -> None:
    """The resulting digest does not match: the download is discarded, and the same pull starts from scratch."""
    with pytest.raises(RegistryError):
        world.pull(world.serve(lying(good(), os.urandom(100_000))))
    registry = world.serve(images_of(good()))
    world.pulls_by_command(registry)
    asked = [one.headers.get("range") for one in registry.asked("GET", digest(good().layers[0]))]
    assert asked in ([None], ["bytes=100000-", None])  # [None]: already refused before the rest was requested
    world.shows_base()
    assert world.incoming() == []


def test_more_than_the_blob_has(world: Registry) -> None:
    """A manifest that states another size for the same digest leaves a partial download longer than the blob."""
    evil = good()
    body = evil.layers[0] + os.urandom(300_000)
    stated = evil.manifest_body().replace(str(len(evil.layers[0])).encode(), str(len(body)).encode())
    images = images_of(evil)
    images.put("latest", stated)
    images.special[f"/blobs/{digest(evil.layers[0])}"] = (200, {"X-Cut": str(len(body) - 10)}, body)
    with pytest.raises((RegistryError, InvalidImage)):
        world.pull(world.serve(images))
    world.pulls_by_command(world.serve(images_of(good())))
    world.shows_base()


def test_a_bomb_on_a_small_disk(small: Registry) -> None:
    with pytest.raises(SystemFailure) as caught:
        small.pull(small.serve(images_of(claiming(BASE, BOMB))))
    assert caught.value.errno == errno.ENOSPC
    assert small.incoming() == []
    small.pulls_by_command(small.serve(images_of(good())))
    small.shows_base()


def test_a_bomb_as_the_beginning_of_the_good_blob(small: Registry) -> None:
    """It never gets as far as a digest check: what fills the disk must be removed nevertheless."""
    lie = Made(BOMB, compress=True).layers[0]
    assert len(lie) < len(good().layers[0])
    with pytest.raises((SystemFailure, RegistryError)):
        small.pull(small.serve(lying(good(), lie)))
    directory = Path(small.engine.layout.incoming(digest(BASE), digest(good().layers[0])))
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "blob").write_bytes(lie)  # as SIGKILL leaves it before the disk is full
    small.pulls_by_command(small.serve(images_of(good())))
    small.shows_base()
    assert small.incoming() == []


def test_what_others_began_makes_room(small: Registry) -> None:
    evil = Made(layer({"evil": os.urandom(SMALL_BYTES)}), config={"Cmd": ["x"]})
    with pytest.raises(RegistryError):
        small.pull(small.serve(cutting(evil, SMALL_BYTES // 3)))
    assert small.incoming() != []
    needed = layer({"f": os.urandom(SMALL_BYTES * 2 // 5)})  # stored once as a blob and once unpacked
    small.pulls_by_command(small.serve(images_of(Made(needed, config={"Cmd": ["x"]}, compress=True))))
    assert small.incoming() == []


def test_an_image_that_does_not_fit_leaves_nothing_of_its_other_layers(small: Registry) -> None:
    evil = Made(BOMB, *(layer({f"f{n}": os.urandom(3 << 20)}) for n in range(2)), config={"Cmd": ["x"]}, compress=True)
    images = images_of(evil)
    bomb_is_in = threading.Event()

    def wait(request: Request) -> None:
        """Hold the bomb back until the other layers are being transferred."""
        if digest(evil.layers[0]) in request.path:
            bomb_is_in.wait(10)
        elif digest(evil.config_body) not in request.path:
            bomb_is_in.set()

    images.special["GET .*/blobs/"] = wait
    with pytest.raises(SystemFailure):
        small.pull(small.serve(images))
    assert small.incoming() == []


def test_two_pulls_at_once(world: Registry) -> None:
    """The good image does not wait for a slow malicious one with the same diff ID."""
    evil = claiming(BASE, layer({"evil": b"x"}))
    images, is_asked, go_on = images_of(evil), threading.Event(), threading.Event()

    def stall(_: Request) -> None:
        is_asked.set()
        go_on.wait(60)

    images.special[f"/blobs/{digest(evil.layers[0])}"] = stall
    server, failures = world.serve(images), []

    def pull() -> None:
        with Engine(world.engine.layout.root) as own:
            try:
                own.images.pull(f"{server.host}/team/app:latest", access=AT_ONCE)
            except InvalidImage as error:
                failures.append(error)

    thread = threading.Thread(target=pull)
    thread.start()
    try:
        assert is_asked.wait(10)
        world.pulls_by_command(world.serve(images_of(good())))
        world.shows_base()
    finally:
        go_on.set()
        thread.join()
    assert [error.reason.startswith("its diff id is") for error in failures] == [True]
    assert world.incoming() == []


def test_two_compressions_of_a_layer_at_once(world: Registry) -> None:
    """Neither waits for the other; one layer is visible, and no directory of the other is left."""
    plain, packed = Made(BASE, config={"Cmd": ["x"]}), good()
    images, is_asked, go_on = images_of(plain), threading.Event(), threading.Event()

    def stall(_: Request) -> None:
        is_asked.set()
        go_on.wait(60)

    images.special[f"/blobs/{digest(plain.layers[0])}"] = stall
    server = world.serve(images)

    def pull() -> None:
        with Engine(world.engine.layout.root) as own:
            own.images.pull(f"{server.host}/team/app:latest", access=AT_ONCE)

    thread = threading.Thread(target=pull)
    thread.start()
    try:
        assert is_asked.wait(10)
        world.pull(world.serve(images_of(packed)))
    finally:
        go_on.set()
        thread.join()
    assert len(names_of(world.engine.layout.image_layers)) == 1
    assert world.incoming() == []
    world.shows_base()


def test_a_finished_layer_under_a_public_diff_id(world: Registry) -> None:
    evil = claiming(BASE, layer({"etc": None, "etc/base": b"evil"}))
    with pytest.raises(InvalidImage, match="its diff id is"):
        world.pull(world.serve(images_of(evil)))
    storage = world.engine.layout
    assert world.incoming() == names_of(storage.image_layers) == names_of(f"{storage.blobs}/sha256") == []
    world.pulls_by_command(world.serve(images_of(good())))
    world.shows_base()


@pytest.mark.parametrize("transport", ["oci-archive", "oci"])
def test_archives_with_a_public_diff_id(world: Registry, tmp_path: Path, transport: str) -> None:
    path = claiming(BASE, layer({"etc": None, "etc/base": b"evil"})).archive(tmp_path / "evil.tar")
    if transport == "oci":
        (tmp_path / "evil").mkdir()
        subprocess.run(["tar", "-xf", path, "-C", tmp_path / "evil"], check=True)
        path = tmp_path / "evil"
    for bring in (lambda: world.engine.images.pull(f"{transport}:{path}"), lambda: world.engine.images.load(str(path))):
        with pytest.raises(InvalidImage, match="its diff id is"):
            bring()
    assert world.incoming() == names_of(world.engine.layout.image_layers) == []
    world.pulls_by_command(world.serve(images_of(good())))
    world.shows_base()


@pytest.mark.parametrize("which", ["layer", "configuration"])
def test_a_stored_blob_that_is_damaged(world: Registry, which: str) -> None:
    """The blob is there without its layer, as after a crash: it is verified like any other and fetched again."""
    made = good()
    blob = Path(world.engine.layout.blobs, *digest(made.layers[0] if which == "layer" else made.config_body).split(":"))
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"damaged")
    world.pulls_by_command(world.serve(images_of(made)))
    world.shows_base()
    assert digest(blob.read_bytes()) == f"sha256:{blob.name}"

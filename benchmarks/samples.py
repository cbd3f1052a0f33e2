"""Images to measure with, from a directory or generated here, and a registry on loopback that serves them."""

from __future__ import annotations

import glob
import io
import json
import os
import random
import shutil
import socket
import subprocess
import tarfile
import time
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.harness import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Self

    from benchmarks.workspace import Workspace

_MADE_MB = {"small": 10, "large": 100}
_FILE_BYTES = (200, 2_000, 20_000, 200_000)  # equally frequent: 1 MB in 18 files
_PIECE_BYTES = 1 << 20
_START_S = 10.0


@dataclass(frozen=True)
class Sample:
    """An image as an archive of each kind, and its name in the registry; ``size_bytes`` is that of the OCI archive."""

    name: str
    reference: str
    oci_archive: str
    docker_archive: str
    size_bytes: int


class Registry:
    """docker-registry on a free port of 127.0.0.1. Raises Unavailable where it is not installed."""

    def __init__(self, place: Workspace) -> None:
        self._place = place
        self.host = ""
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if shutil.which("docker-registry") is None:
            raise Unavailable("docker-registry is not installed")
        directory = self._place.make("registry")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.host = f"127.0.0.1:{free.getsockname()[1]}"
        configuration = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": f"{directory}/data"}},
            "http": {"addr": self.host},
        }
        with open(f"{directory}/config.yml", "w", encoding="ascii") as file:
            json.dump(configuration, file)  # JSON is YAML
        argv = ("docker-registry", "serve", f"{directory}/config.yml")
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(argv, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_S
        while True:
            try:
                with urllib.request.urlopen(f"http://{self.host}/v2/"):
                    return
            except OSError as error:
                if time.monotonic() > deadline:
                    raise Unavailable(f"docker-registry does not answer: {error}") from error
                time.sleep(0.05)


def prepare(
    place: Workspace, registry: Registry, directory: str, made_mb: dict[str, int] | None = None
) -> list[Sample]:
    """Push every ``*.oci.tar`` of a directory, or generated images, to the registry; return them, smallest first.

    pypod itself does the work, in a storage directory of its own: nothing else has to be installed.
    """
    from pypod import Engine
    from pypod.images.registry.access import Access

    samples = []
    at = place.make("samples")
    archives = sorted(glob.glob(f"{directory}/*.oci.tar")) if directory else []
    if directory and not archives:
        raise Unavailable(f"there is no *.oci.tar in {directory}")
    archives = archives or [_make(place, f"{at}/{name}.oci.tar", size) for name, size in (made_mb or _MADE_MB).items()]
    with Engine(f"{at}/storage") as engine:
        for archive in archives:
            name = os.path.basename(archive).removesuffix(".oci.tar")
            (image,) = engine.images.load(archive)
            reference = f"{registry.host}/{name}:latest"
            image.tag(reference)
            engine.images.push(reference, access=Access(tls_verify=False))
            docker = f"{at}/{name}.docker.tar"
            engine.images.save(reference, docker)
            samples.append(Sample(name, reference, archive, docker, os.path.getsize(archive)))
    shutil.rmtree(f"{at}/storage")
    for sample in samples:  # warm the page cache, so that the first contestant has no disadvantage
        for path in (sample.oci_archive, sample.docker_archive):
            with open(path, "rb") as file:
                while file.read(_PIECE_BYTES):
                    pass
    return sorted(samples, key=lambda sample: sample.size_bytes)


def _make(place: Workspace, archive: str, size_mb: int) -> str:
    """Create an image with one gzip layer: the guest programs, and files of half compressible content."""
    from pypod import Engine

    with Engine(f"{os.path.dirname(archive)}/storage") as engine:
        name = f"localhost/{os.path.basename(archive).removesuffix('.oci.tar')}:latest"
        image = engine.images.import_tree(_tar(place.rootfs, size_mb), name)
        engine.images.save(image.id, f"{archive}.plain", format="oci-archive", compress=True)
    os.rename(f"{archive}.plain", archive)
    return archive


def _tar(rootfs: str, size_mb: int) -> Iterator[bytes]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.add(rootfs, arcname=".")
        for number, content in enumerate(mixed(size_mb * 1_000_000)):
            member = tarfile.TarInfo(f"data/{number // 100}/{number}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
            yield _taken(buffer)
    yield buffer.getvalue()


def _taken(buffer: io.BytesIO) -> bytes:
    content = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return content


def mixed(size_bytes: int, sizes: Sequence[int] = _FILE_BYTES) -> Iterator[bytes]:
    """Yield contents of files, half of each compressible and half not; the same in every run."""
    dice = random.Random(size_bytes)  # noqa: S311
    words = [dice.randbytes(dice.randrange(2, 6)).hex().encode() for _ in range(2000)]
    left = size_bytes
    while left > 0:
        size = min(sizes[dice.randrange(len(sizes))], left)
        text = b" ".join(dice.choices(words, k=size // 16))
        yield (dice.randbytes(size - size // 2) + text.ljust(size // 2, b"\n"))[:size]
        left -= size


def many(path: str, count: int) -> None:
    """Write a docker archive with ``count`` images, which share one small layer."""
    layer = b"".join(_members({"hello": b"hello\n"}))
    images = [json.dumps(_configuration(number, layer)).encode() for number in range(count)]
    manifest = [
        {"Config": f"{number}.json", "RepoTags": [f"localhost/many:{number}"], "Layers": ["layer.tar"]}
        for number in range(count)
    ]
    contents = {f"{number}.json": body for number, body in enumerate(images)}
    contents |= {"layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}
    with open(path, "wb") as file:
        file.writelines(_members(contents))


def _configuration(number: int, layer: bytes) -> dict[str, object]:
    import hashlib

    return {
        "architecture": "amd64",
        "os": "linux",
        "created": f"2024-01-01T00:{number // 60 % 60:02}:{number % 60:02}Z",
        "config": {"Labels": {"number": str(number)}, "Cmd": ["true"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "benchmark"}],
    }


def _members(contents: dict[str, bytes]) -> Iterable[bytes]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return (buffer.getvalue(),)

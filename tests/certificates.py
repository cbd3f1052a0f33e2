"""TLS for one test module: an authority, and who it vouches for."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest


class Certificates:
    """An authority, a server's certificate of it for 127.0.0.1 and registry.test, and a client's."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
        self._run("req", "-x509", *key, "-keyout", "ca.pem", "-out", "ca.crt", "-subj", "/CN=authority")
        for name, more in (("server", ("-addext", "subjectAltName=IP:127.0.0.1,DNS:registry.test")), ("client", ())):
            files = ("-CA", "ca.crt", "-CAkey", "ca.pem", "-keyout", f"{name}.key", "-out", f"{name}.cert")
            leaf = ("-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:FALSE")
            self._run("req", "-x509", *files, *key, *leaf, *more)

    def _run(self, *words: str) -> None:
        subprocess.run(["openssl", *words], cwd=self.directory, check=True, capture_output=True)

    def context(self, *, client: bool = False) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(self.directory / "server.cert", self.directory / "server.key")
        if client:
            made.verify_mode = ssl.CERT_REQUIRED
            made.load_verify_locations(self.directory / "ca.crt")
        return made

    def directory_with(self, *names: str) -> str:
        made = self.directory / "-".join(("with", *names))
        made.mkdir(exist_ok=True)
        for name in names:
            (made / name).write_bytes((self.directory / name).read_bytes())
        return str(made)


def make_certificates(directory: Path) -> Certificates:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    return Certificates(directory)

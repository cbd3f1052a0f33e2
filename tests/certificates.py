"""TLS certificates for one test module: an authority and the certificates below it."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

NAMES = ("-addext", "subjectAltName=IP:127.0.0.1,DNS:registry.test")


class Certificates:
    """An authority, a server certificate signed by it for 127.0.0.1 and registry.test, and a client certificate.

    The authority has also signed an intermediate authority, which signed another server certificate. No certificate
    states a key usage.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
        self._run("req", "-x509", *key, "-keyout", "ca.pem", "-out", "ca.crt", "-subj", "/CN=authority")
        by_ca = ("-CA", "ca.crt", "-CAkey", "ca.pem")
        below = ("-keyout", "below.pem", "-out", "below.crt", "-subj", "/CN=below")
        self._run("req", "-x509", *by_ca, *below, *key)
        by_below = ("-CA", "below.crt", "-CAkey", "below.pem")
        for name, issuer, names in (("server", by_ca, NAMES), ("inner", by_below, NAMES), ("client", by_ca, ())):
            files = ("-keyout", f"{name}.key", "-out", f"{name}.cert")
            leaf = ("-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:FALSE")
            self._run("req", "-x509", *issuer, *files, *key, *leaf, *names)

    def _run(self, *words: str) -> None:
        subprocess.run(["openssl", *words], cwd=self.directory, check=True, capture_output=True)

    def context(self, name: str = "server", *, client: bool = False) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(self.directory / f"{name}.cert", self.directory / f"{name}.key")
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

"""The secrets of an engine: create, find, list."""

from __future__ import annotations

from _collections_abc import Mapping, Sequence

from pypod.api import types
from pypod.api.secrets.secret import Secret
from pypod.errors import NoSuchSecret
from pypod.store import secrets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Secrets:
    """The secrets of an engine."""

    __slots__ = ("_engine",)

    def __init__(self, engine: types.Engine) -> None:
        self._engine = engine

    def create(
        self,
        name: str,
        content: bytes | str,
        *,
        driver: str = "file",
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        replace: bool = False,
    ) -> types.Secret:
        """Store ``content`` as a secret: in a file of the storage that only its owner can read, unencrypted.

        The driver ``shell`` gives it to a command instead, ``pass`` to gpg; their ``options`` are podman's.
        With ``replace`` it takes the place of a secret with that name; containers that exist keep the old content.

        Raises InvalidSpec, also for content that is empty or of 512,000 bytes or more; AlreadyExists for a name in use;
        Unsupported for another directory of the driver file; SystemFailure when another driver refuses the content.

        >>> engine.secrets.create("password", "swordfish")             # doctest: +SKIP
        >>> engine.containers.run("busybox", ["cat", "/run/secrets/password"], secrets=["password"])  # doctest: +SKIP
        """
        from pypod.engine.storage.secrets import create

        data = content.encode() if isinstance(content, str) else bytes(content)
        spec = create(self._engine, name, data, driver=driver, options=options, labels=labels, replace=replace)
        return Secret(self._engine, spec.id, spec.name)

    def get(self, ref: str) -> types.Secret:
        """Return the secret with this name, id or id prefix. Raises NoSuchSecret, AmbiguousName."""
        spec = secrets.find(self._engine.database, ref)
        return Secret(self._engine, spec.id, spec.name)

    def exists(self, ref: str) -> bool:
        """Return whether ``get`` would find a secret."""
        try:
            self.get(ref)
        except NoSuchSecret:
            return False
        return True

    def list(self) -> list[types.Secret]:
        """Return all secrets, sorted by name."""
        return [Secret(self._engine, one.id, one.name) for one in self.specs()]

    def specs(self) -> Sequence[types.SecretSpec]:
        """Return the specifications of all secrets, without their content, sorted by name."""
        return secrets.all_secrets(self._engine.database)

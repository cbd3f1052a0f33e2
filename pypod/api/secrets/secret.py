"""The handle of a secret."""

from __future__ import annotations

from _collections_abc import Mapping

from pypod.api import types
from pypod.api.default import opened
from pypod.errors import NoSuchSecret
from pypod.store import secrets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Secret:
    """A secret: an engine and an id. Its content is given to containers that name it, and shown nowhere.

    >>> Secret.create("password", "swordfish", labels={"for": "web"})                    # doctest: +SKIP
    >>> pod.run("web", secrets=["password", "password,type=env,target=PASSWORD"])        # doctest: +SKIP
    """

    __slots__ = ("_engine", "_name", "id")

    def __init__(self, engine: types.Engine, identifier: str, name: str) -> None:
        self._engine = engine
        self.id = identifier
        self._name = name

    @classmethod
    def create(
        cls,
        name: str,
        content: bytes | str,
        *,
        driver: str = "file",
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        replace: bool = False,
        engine: types.Engine | None = None,
    ) -> Secret:
        """Create a secret; see ``Secrets.create``."""
        return opened(engine).secrets.create(
            name, content, driver=driver, options=options, labels=labels, replace=replace
        )

    @classmethod
    def get(cls, ref: str, *, engine: types.Engine | None = None) -> Secret:
        """Return the secret with this name, id or id prefix. Raises NoSuchSecret, AmbiguousName."""
        return opened(engine).secrets.get(ref)

    @classmethod
    def list(cls, *, engine: types.Engine | None = None) -> list[Secret]:
        """Return all secrets, sorted by name."""
        return opened(engine).secrets.list()

    @property
    def name(self) -> str:
        """The name, which never changes."""
        return self._name

    @property
    def engine(self) -> types.Engine:
        """The engine it belongs to."""
        return self._engine

    def spec(self) -> types.SecretSpec:
        """Return its specification, without the content. Raises NoSuchSecret when it was removed."""
        try:
            return secrets.find(self._engine.database, self.id)
        except NoSuchSecret:
            raise NoSuchSecret(self._name) from None

    def content(self) -> bytes:
        """Return its content. Raises NoSuchSecret when it was removed."""
        from pypod.engine.storage.secrets import content_of

        return content_of(self._engine, self.spec())

    def inspect(self) -> dict[str, types.Any]:
        """Return its details, in podman's form: everything but the content."""
        from pypod.model.moment import Timestamp

        spec = self.spec()
        return {
            "ID": spec.id,
            "CreatedAt": Timestamp(spec.created_ns),
            "UpdatedAt": Timestamp(spec.updated_ns),
            "Spec": {
                "Name": spec.name,
                "Driver": {"Name": spec.driver, "Options": dict(spec.options)},
                "Labels": dict(spec.labels),
            },
        }

    def remove(self) -> None:
        """Remove it, unless that was done already. Containers that were created with it keep its content."""
        from pypod.engine.storage.secrets import remove

        try:
            remove(self._engine, self.spec())
        except NoSuchSecret:
            return

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<Secret {self._name}>"

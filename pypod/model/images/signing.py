"""How an image is signed when it is pushed."""

from __future__ import annotations

from pypod.errors import InvalidSpec
from pypod.model.value import Value


class Signing(Value):
    """The keys that sign what is pushed, none by default, and the file whose first line unlocks the key.

    ``gpg_key`` names a key of the caller's keyring; ``sigstore_key`` is the path of a private key.
    """

    gpg_key: str = ""
    sigstore_key: str = ""
    passphrase_file: str = ""

    def check(self) -> None:
        if self.gpg_key and self.sigstore_key and self.passphrase_file:
            raise InvalidSpec(
                "--sign-passphrase-file",
                "Only one of --sign-by and sign-by-sigstore-private-key can be used with sign-passphrase-file",
            )

    @property
    def flag(self) -> str:
        """The flag that asks for a signature, empty for none."""
        return "--sign-by" if self.gpg_key else "--sign-by-sigstore-private-key" if self.sigstore_key else ""


NO_SIGNING = Signing()

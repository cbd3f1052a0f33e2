"""What a client shows a registry to be let in."""

from __future__ import annotations

from pypod.model.value import Value


class Credentials(Value):
    """User name and password, or an identity token that stands for both (docker: an OAuth2 refresh token)."""

    user: str = ""
    password: str = ""
    identity_token: str = ""

    def __repr__(self) -> str:  # what is in a traceback or a log must not have the password
        return f"Credentials(user={self.user!r}, ...)"

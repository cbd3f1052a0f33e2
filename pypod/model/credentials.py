"""Credentials for a registry."""

from __future__ import annotations

from pypod.model.value import Value


class Credentials(Value):
    """User name and password, or an identity token that stands for both (docker: an OAuth2 refresh token)."""

    user: str = ""
    password: str = ""
    identity_token: str = ""

    def __repr__(self) -> str:  # keeps the password out of tracebacks and logs
        return f"Credentials(user={self.user!r}, ...)"

"""The user's terminal: raw mode, its size, and the keys that detach."""

from __future__ import annotations

import os

from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod.cli.flags.parser import Parsed

DEFAULT_DETACH_KEYS = "ctrl-p,ctrl-q"


def detach_keys(options: Parsed, *, is_terminal: bool = True) -> bytes:
    """Return the keys that detach, as --detach-keys says, or the configuration: for a terminal, where they count."""
    text = options["detach-keys"]
    if is_terminal and not options.changed("detach-keys"):
        from pypod.api.configuration import setting

        text = setting("engine", "detach_keys", str) or text
    return parse_detach_keys(text)


def parse_detach_keys(text: str) -> bytes:
    """Parse comma-separated keys, ``a`` or ``ctrl-a``; an empty string disables them. Raises InvalidSpec."""
    keys = bytearray()
    for word in text.split(",") if text else ():
        key = word.removeprefix("ctrl-") if word.startswith("ctrl-") else word
        if len(key) != 1 or not key.isascii():
            raise InvalidSpec("--detach-keys", f"invalid detach keys: Unknown character: '{word}'")
        if word.startswith("ctrl-"):
            code = ord(key.upper()) - 64
            if not 0 <= code < 32:
                raise InvalidSpec("--detach-keys", f"invalid detach keys: Unknown character: '{word}'")
            keys.append(code)
        else:
            keys.append(ord(key))
    return bytes(keys)


class DetachScanner:
    """Search typed input for the detach keys; hold back keys that may be the beginning of them."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """Return the input to pass on, and whether the detach keys were typed."""
        if not self._keys:
            return data, False
        data = self._held + data
        at = data.find(self._keys)
        if at >= 0:
            self._held = b""
            return data[:at], True
        for length in range(min(len(self._keys) - 1, len(data)), 0, -1):
            if data.endswith(self._keys[:length]):
                self._held = data[-length:]
                return data[:-length], False
        self._held = b""
        return data, False


class RawMode:
    """Inside the block the terminal ``fd`` is in raw mode: output is shown unchanged, every key is passed on.

    Without ``keys``, keys that send signals still do. Nothing happens when ``fd`` is not a terminal.
    """

    def __init__(self, fd: int, *, wanted: bool, keys: bool = True) -> None:
        self._fd = fd
        self._wanted = wanted and os.isatty(fd)
        self._keys = keys
        self._before: list[Any] = []

    def __enter__(self) -> None:
        if not self._wanted:
            return
        import termios
        import tty

        self._before = termios.tcgetattr(self._fd)
        tty.setraw(self._fd, termios.TCSADRAIN)
        if not self._keys:
            mode = termios.tcgetattr(self._fd)
            mode[tty.LFLAG] |= termios.ISIG
            termios.tcsetattr(self._fd, termios.TCSADRAIN, mode)

    def __exit__(self, *_: object) -> None:
        if self._before:
            import termios

            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)


def size(fd: int = 0) -> tuple[int, int]:
    """Return columns and rows of a terminal, zeros when ``fd`` is not a terminal."""
    try:
        return os.get_terminal_size(fd)
    except OSError:
        return 0, 0

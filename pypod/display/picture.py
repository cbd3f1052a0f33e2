"""A pod as a drawing: its members, their namespaces and their monitors."""

from __future__ import annotations

from pypod.display.markup import Markup, Shown, element, join, plain, table, text
from pypod.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

HOST, INFRA, MEMBER = "host", "infra", "member"
COLUMNS_LIMIT = 12

_LABEL_PX, _COLUMN_PX, _GAP_PX, _MARGIN_PX = 64, 156, 10, 10
_BAND_PX, _BOX_PX, _MONITOR_PX, _TITLE_PX, _CABLE_PX, _PORT_PX = 26, 58, 24, 34, 40, 16
# fill of the boxes, for light and dark backgrounds
_FILLS = {"host": "rgba(128,128,128,.22)", "shared": "rgba(59,130,246,.30)", "own": "rgba(234,148,20,.22)"}
# Only for a standalone file: embedded, it would apply to the whole page, which has its own colours.
_THEMES = Markup(
    "<style>:root{color:#111;background:#fff}"
    "@media (prefers-color-scheme:dark){:root{color:#ddd;background:#111}}</style>"
)
_LEGEND = (("host", "the host's"), ("shared", "shared in the pod"), ("own", "its own"))


class Part(Value):
    """One column: ``role`` is host, infra or member; ``pid`` is 0 when it is not running.

    ``command`` is what runs or would run; ``monitor_pid`` is the pid of its monitor, 0 when it has none.
    """

    name: str
    role: str
    status: str
    pid: int = 0
    command: str = ""
    monitor_pid: int = 0


class Band(Value):
    """One kind of namespace: the inode for each part, None where none is visible, and its letter."""

    kind: str
    inodes: tuple[int | None, ...]
    marks: tuple[str, ...]


class Cable(Value):
    """A connection to a network: ``interface`` in the pod, its other end ``host_interface`` (if any) on ``bridge``.

    ``addresses`` are the pod's and ``gateways`` the bridge's, each with its prefix length.
    """

    network: str
    interface: str
    addresses: tuple[str, ...]
    host_interface: str
    bridge: str
    gateways: tuple[str, ...]


class Picture(Shown, Value):
    """A snapshot of a pod. ``str()`` is a text drawing; a notebook shows an SVG drawing.

    >>> pod.picture().svg()                                     # doctest: +SKIP
    '<svg xmlns="http://www.w3.org/2000/svg" ...'
    """

    name: str
    id: str
    status: str
    parts: tuple[Part, ...]
    bands: tuple[Band, ...]
    left_out: int = 0
    cables: tuple[Cable, ...] = ()
    ports: tuple[str, ...] = ()

    def svg(self) -> str:
        """Return the drawing as a standalone file that follows the reader's light or dark theme."""
        return _Drawing(self).svg(_THEMES)

    def _repr_html_(self) -> str:
        heading = ("name", "role", "status", "pid", "monitor", "command")
        rows = [
            (one.name, one.role, one.status, one.pid or "-", one.monitor_pid or "-", one.command)
            for one in self.parts
            if one.role != HOST
        ]
        more = [element("p", f"and {self.left_out} more")] if self.left_out else []
        return element("div", _Drawing(self).svg(), table(heading, rows), *more)

    def __str__(self) -> str:
        lines = [f"pod {self.name} ({self.status})"]
        for one in self.parts:
            if one.role != HOST:
                watched = f", watched by monitor {one.monitor_pid}" if one.monitor_pid else ""
                running = f"pid {one.pid}" if one.pid else one.status
                lines.append(f"  {one.name}: {running}{watched}: {plain(one.command)}")
        if self.left_out:
            lines.append(f"  and {self.left_out} more")
        for band in self.bands:
            marks = (f"{part.name} {mark}" for part, mark in zip(self.parts, band.marks, strict=True) if mark != "-")
            lines.append(f"  {band.kind:<7} {'  '.join(marks)}")
        for cable in self.cables:
            way = f"{cable.host_interface} on {cable.bridge}" if cable.host_interface else cable.bridge
            there = f" {', '.join(cable.gateways)}" if cable.gateways else ""
            own = ", ".join(cable.addresses) or "no address"
            lines.append(f"  {cable.interface:<7} {own}  <->  {way}{there} (network {cable.network})")
        lines += [f"  port    {port}" for port in self.ports]
        return "\n".join(lines)


class _Drawing:
    """The layout, in pixels."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self._has_host = any(one.role == HOST for one in picture.parts)
        self._boxes_y = _MARGIN_PX + _TITLE_PX + _MONITOR_PX + 2 * _GAP_PX
        self._bands_y = self._boxes_y + _BOX_PX + _GAP_PX
        self._cables_y = self._bands_y + len(picture.bands) * (_BAND_PX + _GAP_PX)
        self._end_y = self._cables_y + len(picture.cables) * (_CABLE_PX + _GAP_PX) + _PORT_PX * len(picture.ports)
        self._width = self._x(len(picture.parts)) + _MARGIN_PX
        self._height = self._end_y + _BAND_PX + _MARGIN_PX

    def _x(self, column: int) -> int:
        # the host stands apart: it is not in the pod
        apart = 2 * _GAP_PX if self._has_host and column > 0 else 0
        return _MARGIN_PX + _LABEL_PX + column * (_COLUMN_PX + _GAP_PX) + apart

    def svg(self, *before: Markup) -> Markup:
        """Return the whole drawing."""
        picture = self._picture
        title = f"pod {picture.name}: who is in which namespace"
        content = join(
            [
                *before,
                element("title", title),
                *self._frame(),
                *(piece for number, part in enumerate(picture.parts) for piece in self._part(number, part)),
                *(piece for number, band in enumerate(picture.bands) for piece in self._band(number, band)),
                *(piece for number, cable in enumerate(picture.cables) for piece in self._cable(number, cable)),
                *self._ports(),
                *self._legend(),
            ]
        )
        size = {"width": self._width, "height": self._height, "viewBox": f"0 0 {self._width} {self._height}"}
        style = "max-width:100%;height:auto;font-family:monospace"
        return element(
            "svg", content, xmlns="http://www.w3.org/2000/svg", role="img", aria_label=title, style=style, **size
        )

    def _frame(self) -> Iterator[Markup]:
        first = 1 if self._has_host else 0
        x, y = self._x(first) - _GAP_PX, _MARGIN_PX + _TITLE_PX + _MONITOR_PX
        picture = self._picture
        yield _text(x, _MARGIN_PX + 14, f"pod {picture.name}", size=15, weight="bold", limit=48)
        yield _text(x, _MARGIN_PX + 30, f"{picture.status}  {picture.id[:12]}", size=11, limit=48)
        yield _rect(x, y, self._width - _MARGIN_PX + 4 - x, self._end_y - y, "none", dashes="")

    def _part(self, number: int, part: Part) -> Iterator[Markup]:
        x, y, middle = self._x(number), self._boxes_y, self._x(number) + _COLUMN_PX // 2
        runs = part.pid > 0
        if part.monitor_pid:
            top = _MARGIN_PX + _TITLE_PX - 4
            yield _rect(x + 10, top, _COLUMN_PX - 20, _MONITOR_PX - 2, "none", dashes="4 3")
            yield _text(middle, top + 15, f"monitor {part.monitor_pid}", size=11, anchor="middle")
            yield _line_down(middle, top + _MONITOR_PX - 2, y)
        yield _rect(x, y, _COLUMN_PX, _BOX_PX, _FILLS["host"] if part.role == HOST else "none", "" if runs else "2 3")
        yield _text(middle, y + 17, part.name, size=13, weight="bold", anchor="middle", limit=19)
        yield _text(middle, y + 33, f"pid {part.pid}" if runs else part.status, size=11, anchor="middle")
        yield _text(middle, y + 49, part.command, size=11, anchor="middle", limit=22)

    def _band(self, number: int, band: Band) -> Iterator[Markup]:
        y = self._bands_y + number * (_BAND_PX + _GAP_PX)
        yield _text(_MARGIN_PX, y + 17, band.kind, size=12, weight="bold")
        host = band.inodes[0] if self._has_host else None
        for first, last in runs_of(band.inodes):
            inode = band.inodes[first]
            fill = "host" if inode == host else "shared" if band.inodes.count(inode) > 1 else "own"
            x, end = self._x(first), self._x(last) + _COLUMN_PX
            yield _rect(x, y, end - x, _BAND_PX, _FILLS[fill], dashes="")
            # not on the frame
            middle = (x + (self._x(first) + _COLUMN_PX if self._has_host and first == 0 else end)) // 2
            yield _text(middle, y + 17, f"{band.marks[first]}  {inode}", size=12, anchor="middle")

    def _cable(self, number: int, cable: Cable) -> Iterator[Markup]:
        y = self._cables_y + number * (_CABLE_PX + _GAP_PX)
        own, host = self._x(1), self._x(0)
        yield _text(_MARGIN_PX, y + 17, cable.network, size=12, weight="bold", limit=8)
        yield from _end(host, y, cable.bridge, cable.gateways, _FILLS["host"])
        yield from _end(own, y, cable.interface, cable.addresses, _FILLS["shared"])
        middle = y + _CABLE_PX // 2
        yield element("line", x1=host + _COLUMN_PX, y1=middle, x2=own, y2=middle, stroke="currentColor")
        if cable.host_interface:
            yield _text(own + _COLUMN_PX + _GAP_PX, y + 17, f"veth {cable.host_interface}", size=11)

    def _ports(self) -> Iterator[Markup]:
        y = self._end_y - _PORT_PX * len(self._picture.ports)
        for number, port in enumerate(self._picture.ports):
            yield _text(self._x(0), y + 12 + number * _PORT_PX, port, size=11, limit=64)

    def _legend(self) -> Iterator[Markup]:
        x, y = _MARGIN_PX + _LABEL_PX, self._end_y + 6
        for fill, words in _LEGEND if self._picture.bands else ():
            yield _rect(x, y, 14, 14, _FILLS[fill], dashes="")
            yield _text(x + 20, y + 11, words, size=11)
            x += 28 + 7 * len(words)


def _end(x: int, y: int, name: str, addresses: tuple[str, ...], fill: str) -> Iterator[Markup]:
    yield _rect(x, y, _COLUMN_PX, _CABLE_PX, fill, dashes="")
    yield _text(x + _COLUMN_PX // 2, y + 16, name, size=12, weight="bold", anchor="middle", limit=19)
    yield _text(x + _COLUMN_PX // 2, y + 32, ", ".join(addresses), size=10, anchor="middle", limit=24)


def runs_of(inodes: tuple[int | None, ...]) -> list[tuple[int, int]]:
    """Return (first, last) of neighbours in the same namespace; None stands for no namespace.

    >>> runs_of((7, 9, 9, None, 9))
    [(0, 0), (1, 2), (4, 4)]
    """
    found: list[tuple[int, int]] = []
    for number, inode in enumerate(inodes):
        if inode is None:
            continue
        if found and found[-1][1] == number - 1 and inodes[number - 1] == inode:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def _line_down(x: int, y: int, end: int) -> Markup:
    return element("line", x1=x, y1=y, x2=x, y2=end, stroke="currentColor", stroke_dasharray="4 3")


def _rect(x: int, y: int, width: int, height: int, fill: str, dashes: str) -> Markup:
    line = {"stroke": "currentColor", "stroke_opacity": 0.6, **({"stroke_dasharray": dashes} if dashes else {})}
    return element("rect", x=x, y=y, width=width, height=height, rx=5, fill=fill, **line)


def _text(
    x: int, y: int, words: str, *, size: int, weight: str = "normal", anchor: str = "start", limit: int = 40
) -> Markup:
    look = {"font_size": size, "font_weight": weight, "text_anchor": anchor, "fill": "currentColor"}
    return element("text", text(words, limit), x=x, y=y, **look)

"""Notebook output: well formed, escaped, truncated, with the same facts as the text."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from pypod.display.markup import Markup, element, manual, plain, table, tinted
from pypod.display.picture import COLUMNS_LIMIT, Band, Part, Picture, runs_of
from pypod.engine.inspect.lsns import NamespaceFacts, Namespaces

SVG = "{http://www.w3.org/2000/svg}"


def picture(name: str = "mipod", command: str = "sleep 1", members: int = 2) -> Picture:
    parts = [
        Part(name="host", role="host", status="running", pid=1),
        Part(name="infra", role="infra", status="running", pid=7, command="pause"),
        *(
            Part(name=f"{name}-{n}", role="member", status="running", pid=10 + n, command=command, monitor_pid=100 + n)
            for n in range(members)
        ),
    ]  # fmt: skip
    net = (1, *(2,) * (members + 1))
    mnt = tuple(range(10, 12 + members))
    bands = (
        Band(kind="net", inodes=net, marks=("A", *"B" * (members + 1))),
        Band(kind="mnt", inodes=mnt, marks=tuple("ABCDEFGHIJKLMNOP"[: len(mnt)])),
        Band(kind="user", inodes=(5,) * (members + 2), marks=("A",) * (members + 2)),
    )
    return Picture(name=name, id="0123456789abcdef", status="Running", parts=tuple(parts), bands=bands)


def namespaces(text: str) -> Namespaces:
    return Namespaces(
        [
            NamespaceFacts(
                ns=1, type="net", path=text, nprocs=1, pid=1, user=text, command=text, pods=(text,), why=(text,)
            )
        ]
    )


@given(st.text(alphabet=st.characters()), st.integers(1, 100))
def test_plain_text_is_printable_and_short(text: str, limit: int) -> None:
    shown = plain(text, limit)
    assert shown.isprintable()
    assert len(shown) <= limit
    shown.encode()
    if text.isprintable() and len(text) <= limit:
        assert shown == text


def test_control_characters_are_shown_not_dropped() -> None:
    assert plain("\x1b[31m\u202e\udcff\U000e0001") == r"\x1b[31m\u202e\xff\U000e0001"


def test_an_attribute_cannot_be_left() -> None:
    assert element("td", title="\"'><b>") == '<td title="&quot;&#x27;&gt;&lt;b&gt;"></td>'
    assert element("td", "<b>", Markup("<i></i>")) == "<td>&lt;b&gt;<i></i></td>"


def test_a_manual_page_is_a_link() -> None:
    assert 'href="https://man7.org/linux/man-pages/man2/setns.2.html"' in manual("setns(2)")
    for text in ("x", "(2)", "a/../b(2)", "setns(x)", '"(2)'):
        assert "href" not in manual(text)


def test_a_long_table_is_cut_and_says_so() -> None:
    rows = ET.fromstring(table(("a",), [(number,) for number in range(700)])).findall("tbody/tr")
    assert len(rows) == 501
    assert rows[-1][0].text == "and 200 more"


def test_what_is_short_stays_in_one_piece_beside_what_is_long() -> None:
    root = ET.fromstring(table(("monitor", "h" * 99), [(28071, "x" * 99), (element("b", "B"), (tinted("A"), " 1"))]))
    styles = [cell.attrib["style"] for cell in root.iter() if cell.tag in ("th", "td")]
    wrapped = [style.rpartition(";")[2] == "overflow-wrap:anywhere" for style in styles]
    assert wrapped == [False, True, False, True, False, True]


def test_the_drawing_has_one_box_for_one_namespace() -> None:
    tree = ET.fromstring(picture(members=2).svg())
    words = [one.text for one in tree.iter(f"{SVG}text")]
    assert words.count("B  2") == 1, "infra and members share it: one box"
    assert [f"{mark}  {inode}" in words for mark, inode in zip("ABCD", (10, 11, 12, 13), strict=True)] == [True] * 4
    assert {"monitor 100", "monitor 101", "pid 7", "pod mipod"} <= set(words)
    boxes = {one.get("width") for one in tree.iter(f"{SVG}rect") if one.get("fill", "").startswith("rgba(59")}
    assert str(3 * 156 + 2 * 10) in boxes, "as wide as the three columns"


def test_boxes_do_not_overlap_or_leave_the_drawing() -> None:
    tree = ET.fromstring(picture(members=COLUMNS_LIMIT - 2).svg())
    width, height = int(tree.get("width", "")), int(tree.get("height", ""))
    boxes = [
        tuple(int(one.get(key, "")) for key in ("x", "y", "width", "height"))
        for one in tree.iter(f"{SVG}rect")
    ]  # fmt: skip
    frame = max((box for box in boxes if box[3] > 60), key=lambda box: box[3])
    boxes.remove(frame)
    assert all(x >= 0 and y >= 0 and x + w <= width and y + h <= height for x, y, w, h in boxes)
    for number, (x, y, w, h) in enumerate(boxes):
        for other_x, other_y, other_w, other_h in boxes[number + 1 :]:
            assert x + w <= other_x or other_x + other_w <= x or y + h <= other_y or other_y + other_h <= y


def test_a_file_has_themes_and_a_page_keeps_its_own() -> None:
    assert "prefers-color-scheme" in picture().svg()
    assert "<style" not in picture()._repr_html_()


def test_what_is_not_beside_each_other_is_two_boxes() -> None:
    assert runs_of((1, 1, None, 1, 2, 2)) == [(0, 1), (3, 3), (4, 5)]
    assert runs_of(()) == []


def test_text_says_the_same() -> None:
    text = str(picture())
    assert text.splitlines() == [
        "pod mipod (Running)",
        "  infra: pid 7: pause",
        "  mipod-0: pid 10, watched by monitor 100: sleep 1",
        "  mipod-1: pid 11, watched by monitor 101: sleep 1",
        "  net     host A  infra B  mipod-0 B  mipod-1 B",
        "  mnt     host A  infra B  mipod-0 C  mipod-1 D",
        "  user    host A  infra A  mipod-0 A  mipod-1 A",
    ]
    assert "\x1b" not in str(picture(command="\x1b[2J"))


def test_a_mark_is_a_letter_with_and_without_colour() -> None:
    assert ET.fromstring(tinted("B")).text == "B"
    assert "background" not in tinted("-")


def test_namespaces_are_a_list_and_a_table() -> None:
    found = namespaces("init")
    assert isinstance(found, list)
    assert str(found).splitlines()[0].split() == "NS TYPE NPROCS PID USER COMMAND POD CONTAINER WHY".split()
    assert str(found).splitlines()[1].split()[:3] == ["1", "net", "1"]

"""Markup and terminal sequences, up to a megabyte, in commands, labels and variables that a notebook shows."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from pypod.engine.inspect.sharing import Column, Matrix, Row
from pypod.engine.lifecycle.explain import Explanation, Step
from tests.images.made import busybox_image
from tests.integration.images.test_images import bring
from tests.unit.cli.test_display import namespaces, picture

HOSTILE = (
    "</svg><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "\x1b]0;title\x07\x1b[31mred",
    "\u202egnp.exe",
    "\udcff\x00\x7f",
    "&amp;<!--",
    "]]>",
    "a" * 100_000,
    "http://example.com/\njavascript:alert(1)",
)


def matrix(name: str) -> Matrix:
    rows = (Row(kind="net", inodes=(7,)), Row(kind=name, inodes=(None,)))
    return Matrix(columns=(Column(name=name, role="member", pid=1),), rows=rows)


SHOWN = {
    "picture": lambda text: picture(name=text, command=text)._repr_html_(),
    "svg": lambda text: picture(name=text, command=text).svg(),
    "matrix": lambda text: matrix(text)._repr_html_(),
    "plan": lambda text: Explanation(steps=(Step(words=text, page=text, by=text),))._repr_html_(),
    "namespaces": lambda text: namespaces(text)._repr_html_(),
}


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
@pytest.mark.parametrize("name", SHOWN)
def test_nothing_from_outside_becomes_markup(name: str, text: str) -> None:
    harmless, hostile = SHOWN[name]("harmless"), SHOWN[name](text)
    tree, other = ET.fromstring(hostile), ET.fromstring(harmless)
    # a link to a manual page is the only element that the content decides
    assert {one.tag for one in tree.iter()} <= {one.tag for one in other.iter()} | {"a", "span"}
    assert not {key for one in tree.iter() for key in one.attrib if key.startswith("on")}
    assert all(character.isprintable() for character in hostile.replace("\n", ""))
    assert len(hostile) < len(harmless) + 20_000


MARKUP = "</td></table></svg><script>document.title='owned'</script><img src=x onerror=alert(1)>\x1b[2J\u202e"
SHOWN_BYTES_LIMIT = 100_000


def harmless(shown: str) -> None:
    """Assert that it is well-formed and consists only of text and our own elements."""
    tree = ET.fromstring(f"<div>{shown}</div>")
    assert {one.tag.rpartition("}")[2] for one in tree.iter()}.isdisjoint({"script", "img", "iframe", "object", "form"})
    assert not [key for one in tree.iter() for key in one.attrib if key.lower().startswith(("on", "src"))]
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert len(shown) < SHOWN_BYTES_LIMIT


@pytest.mark.root
def test_of_containers_that_run(engine, busybox) -> None:
    """A megabyte in the command line, variables and labels, as the kernel and the store return it."""
    long = (MARKUP * 2000)[:120_000]
    pod = engine.pods.create("mipod", labels={"l": MARKUP * 8000}, hostname="h")
    script = ["sh", "-c", "sleep 1000; :", *[long] * 6]
    web = pod.run(script, rootfs=busybox, name="web", environment={"V": long, "W": long}, labels={MARKUP: long})
    alone = engine.containers.create(script, rootfs=busybox, labels={MARKUP: MARKUP * 8000})
    shown = {
        "pod": pod._repr_html_(),
        "picture": pod.picture()._repr_html_(),
        "svg": pod.picture().svg(),
        "matrix": pod.matrix()._repr_html_(),
        "running": web._repr_html_(),
        "created": alone._repr_html_(),
    }
    for name, text in shown.items():
        print(name, len(text))
        harmless(text)
    assert "&lt;/table&gt;" in shown["running"], "it must be shown as text"


@pytest.mark.root
def test_of_an_image(engine, busybox) -> None:
    config = {"Labels": {MARKUP: MARKUP * 3000}, "Cmd": [MARKUP * 3000], "Env": [f"A={MARKUP * 3000}"], "User": MARKUP}
    top = {"author": MARKUP, "history": [{"created_by": MARKUP * 3000, "comment": MARKUP}]}
    harmless(bring(engine, busybox_image(busybox, config=config, **top))._repr_html_())


@pytest.mark.root
def test_of_a_plan(engine, busybox) -> None:
    harmless(engine.containers.explain(["sh", MARKUP], rootfs=busybox, environment={"A": MARKUP})._repr_html_())

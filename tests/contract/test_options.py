"""The signatures that type checkers, help and tools see are those of the functions behind the public methods."""

from __future__ import annotations

import inspect
import pydoc
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import pypod
from pypod.api.containers import Containers
from pypod.api.images.images import Images
from pypod.api.networks.networks import Networks
from pypod.api.options.alone import AloneOptions
from pypod.api.options.create import CloneOptions, CreateOptions, MemberOptions
from pypod.api.options.explain import ExplainOptions
from pypod.api.options.pod import ClonePodOptions, CreatePodOptions, NewPodOptions
from pypod.api.pods import Pods
from pypod.engine.containers import committing
from pypod.engine.images import making
from pypod.model.options.fields import options_of
from pypod.model.options.limits import LimitOptions
from pypod.model.options.update import UpdateOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from pypod.model.options.fields import Options

ROOT = Path(pypod.__file__).parents[1]
# A public method, and the function that it calls.
LEADS_TO = [
    (pypod.Network.create, Networks.create),
    (pypod.Image.pull, Images.pull),
    (pypod.Image.save, Images.save),
    (pypod.Image.push, Images.push),
    (Images.import_tree, making.import_tree),
    (pypod.Container.commit, committing.commit),
]
TAKES: list[tuple[Callable[..., Any], type[Options]]] = [
    (Containers.create, CreateOptions),
    (Containers.run, CreateOptions),
    (Containers.explain, ExplainOptions),
    (Pods.create, CreatePodOptions),
    (pypod.Container.create, AloneOptions),
    (pypod.Container.run, AloneOptions),
    (pypod.Container.update, UpdateOptions),
    (pypod.Container.clone, CloneOptions),
    (pypod.Pod.create, NewPodOptions),
    (pypod.Pod.clone, ClonePodOptions),
    (pypod.Pod.create_container, MemberOptions),
    (pypod.Pod.run, MemberOptions),
    (pypod.Pod.update, LimitOptions),
]


def _name(value: object) -> str:
    return getattr(value, "__qualname__", "")


def _keywords(function: Callable[..., Any]) -> dict[str, tuple[str, object]]:
    parameters = inspect.signature(function).parameters.values()
    return {
        one.name: (str(one.annotation).replace("types.", ""), one.default)
        for one in parameters
        if one.kind is inspect.Parameter.KEYWORD_ONLY and one.name != "engine"
    }


@pytest.mark.parametrize(("door", "behind"), LEADS_TO, ids=_name)
def test_a_front_door_takes_what_is_taken_behind_it(door: Callable[..., Any], behind: Callable[..., Any]) -> None:
    assert _keywords(door) == _keywords(behind)


@pytest.mark.parametrize(("method", "options"), TAKES, ids=_name)
class TestSignatures:
    def test_every_option_is_a_parameter(self, method: Callable[..., Any], options: type[Options]) -> None:
        parameters = {name: one for name, one in inspect.signature(method).parameters.items() if name != "self"}
        assert {name: (one.default, one.kind.name) for name, one in parameters.items()} == {
            field.name: (field.default, "KEYWORD_ONLY" if field.kw_only else "POSITIONAL_OR_KEYWORD")
            for field in attrs.fields(options)
        }
        assert not [
            name
            for name, one in parameters.items()
            if isinstance(one.annotation, str) or one.annotation is inspect.Parameter.empty
        ]

    def test_help_tells_of_each(self, method: Callable[..., Any], options: type[Options]) -> None:
        text = pydoc.plain(pydoc.render_doc(method))
        for name, (_, about) in options_of(options).items():
            assert f"    {name}: {about.help}" in text
        assert f"{method.__name__}(" in text
        assert "**" not in text.splitlines()[2]


@pytest.mark.parametrize("method", [method for method, _ in TAKES], ids=_name)
def test_it_is_a_method_like_others(method: Callable[..., Any]) -> None:
    owner = vars(sys.modules[method.__module__])[method.__qualname__.split(".")[0]]
    kinds = {one.name: one.kind for one in inspect.classify_class_attrs(owner)}
    assert kinds[method.__name__] == ("class method" if inspect.ismethod(method) else "method")
    assert inspect.isroutine(getattr(owner, method.__name__))
    with pytest.raises(pypod.UnknownOption):
        method(*([] if inspect.ismethod(method) else [None]), colour="red")


def test_a_bound_method_has_the_signature(tmp_path: Path) -> None:
    """Shift-Tab in a notebook uses this."""
    engine = pypod.Engine(str(tmp_path / "s"))
    bound = engine.containers.create
    assert list(inspect.signature(bound).parameters) == list(inspect.signature(Containers.create).parameters)[1:]
    assert inspect.getdoc(bound) == inspect.getdoc(Containers.create)
    assert bound.__name__ == "create"


def test_nothing_is_read_before_somebody_asks() -> None:
    """Commands that people wait for also import the handles."""
    code = (
        "import sys, pypod.api.pods, pypod.api.containers\n"
        "print([name for name in sys.modules if 'options' in name or name in ('attr', 'attrs')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


WRONG = [
    'pypod.Pod.create("a", nmae=1)',
    'pypod.Pod.create("a", memory=[1])',
    'pypod.Network.create("a", subnet="10.0.0.0/8")',
    'pypod.Image.pull("a", quiet=True)',
    'pypod.Container.get("a").commit("b", pause="yes")',
    'pypod.Container.run(rootfs="/", environmnet={})',
    'pypod.Container.run(rootfs="/", environment={"A": 1})',
    'pypod.Pod.get("a").run(["true"], rootfs="/", pod="b")',
    'pypod.Pod.get("a").update(hostname="b")',
    'pypod.Engine().containers.create("a", ["b"], "c")',
    "pypod.Nonsense",
    "from pypod import Nonsense",
]
RIGHT = [
    "from pathlib import Path",
    'pypod.Pod.create("a", memory=1 << 30, network="b", cpus="0.5", infra_image=pypod.Image.get("c"))',
    'pypod.Image.pull("a", platform="linux/arm64")',
    'pypod.Container.run("a", user=1000, memory="64m", volumes=[Path("/a:/b")], engine=pypod.Engine())',
    'pypod.Pod.get("a").run(["true"], rootfs=Path("/"), ports={8080: 80})',
    'pypod.Container.get("a").update(memory="64m")',
    'code: int | None = pypod.Engine().containers.run("a", pod=pypod.Pod.get("b"), ephemeral=True).wait()',
]


def test_a_type_checker_sees_mistakes(tmp_path: Path) -> None:
    """Every line of the first file is a mistake, none of the second."""
    files = {name: tmp_path / f"{name}.py" for name in ("wrong", "right")}
    files["wrong"].write_text("\n".join(["import pypod", *WRONG]))
    files["right"].write_text("\n".join(["import pypod", *RIGHT]))
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--no-error-summary",
        "--hide-error-context",
        *map(str, files.values()),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    errors = [line.split(": error:")[0].rpartition("/")[2] for line in done.stdout.splitlines() if ": error:" in line]
    assert errors == [f"wrong.py:{number}" for number in range(2, 2 + len(WRONG))], done.stdout

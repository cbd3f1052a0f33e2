"""Plans are unchanged to the byte, for every option and namespace mode (plan_cases.py)."""

from __future__ import annotations

import difflib

import pytest

from tests.unit import plan_cases

RECORDED = plan_cases.recorded()


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return plan_cases.sections()


def test_every_case_is_recorded(made):
    assert list(made) == list(RECORDED), "record them with python -m tests.unit.plan_cases"


@pytest.mark.parametrize("name", RECORDED)
def test_a_plan_is_as_recorded(name, made):
    was, now = RECORDED[name].splitlines(), made[name].splitlines()
    different = "\n".join(difflib.unified_diff(was, now, "recorded", "made", lineterm=""))
    assert not different, f"{name}: record an intended change with python -m tests.unit.plan_cases\n{different}"


def test_what_makes_no_difference(made):
    """All other cases differ: no two of them have the same plan."""
    alike: dict[str, list[str]] = {}
    for name, section in made.items():
        alike.setdefault(section.splitlines()[-1], []).append(name)
    without = ["interactive", "without_effect", "namespace_ipc_shareable", "namespaces_of_pod_without_infra", "user"]
    assert [names for names in alike.values() if len(names) > 1] == [
        ["plain", *without],
        ["hosts_added", "namespace_net_host"],
    ]

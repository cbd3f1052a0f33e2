"""Rules for the order of operations in every plan (plan_cases.py), decoded from bytes as the C programs do.

Isolation depends partly on order: an operation that comes too early is undone, one that comes too late can be used
against us.
"""

from __future__ import annotations

import pytest

from tests.unit import plan_cases

TAKEN = ("capture", "open_tree", "open_subtree", "open_overlay")
MOUNTED = ("mount", "mount_with_content", "bind", "bind_with_content")
BINDS = ("bind", "bind_with_content")
PROTECTED = ("mask", "read_only")
IN_IT = ("expect", "join_group", "unshare", "hostname", "sysctl", "propagation", "user")
LAST = ("no_new_privileges", "seccomp", "capabilities", "execute", "execute_file")


class Recorded(list[tuple[str, list[str]]]):
    """The operations of a plan: names and arguments."""

    def __init__(self, name: str, plan: plan_cases.Plan) -> None:
        super().__init__(plan_cases.named(plan))
        self.name = name

    def __repr__(self) -> str:
        return f"<plan {self.name}>"

    def places(self, *names: str) -> list[int]:
        """Return the positions of the operations with these names."""
        return [at for at, (name, _) in enumerate(self) if name in names]


@pytest.fixture(scope="module")
def every() -> list[Recorded]:
    return [Recorded(name, plan) for name, plan in plan_cases.plans().items()]


@pytest.fixture(scope="module")
def containers(every) -> list[Recorded]:
    return [plan for plan in every if not plan.name.startswith(("infra", "exec"))]


@pytest.fixture(scope="module")
def in_user_namespaces(every) -> list[Recorded]:
    return [plan for plan in every if plan.name.startswith("user_namespace")]


def mount_point(operation: tuple[str, list[str]]) -> str:
    name, arguments = operation
    return arguments[1] if name in BINDS else arguments[2]


class TestProcess:
    def test_runs_its_program_as_the_last_thing(self, every) -> None:
        for plan in every:
            assert plan.places("execute", "execute_file") == [len(plan) - 1]

    def test_is_made_before_anything_is_done_to_it(self, every) -> None:
        for plan in every:
            first = plan.places("clone")[0]
            assert all(first < at for at in plan.places(*IN_IT, *TAKEN, *MOUNTED, *PROTECTED, *LAST))

    def test_gives_up_its_rights_once_and_does_nothing_with_them_after(self, every) -> None:
        for plan in every:
            (at,) = plan.places("capabilities")
            assert [name for name, _ in plan[at + 1 :] if name not in ("seccomp", "execute", "execute_file")] == []

    def test_sets_a_filter_while_it_may(self, every) -> None:
        """Without no_new_privs, seccomp(2) requires CAP_SYS_ADMIN; with it, later is better."""
        for plan in every:
            filters, (rights,) = plan.places("seccomp"), plan.places("capabilities")
            promised = plan.places("no_new_privileges")
            assert len(filters) <= 1
            assert all((promised[0] < rights < at) if promised else at < rights for at in filters)

    def test_has_its_cgroup_before_a_namespace_makes_that_the_root(self, every) -> None:
        for plan in every:
            joined = plan.places("join_group")
            own = [at for at in plan.places("unshare") if plan[at][1] == [str(0x02000000)]]
            assert all(before < after for before in joined for after in own)

    def test_does_not_trust_a_number_of_a_process(self, every) -> None:
        """A process to join is given with its start time; joined namespaces are checked, except pid and user."""
        for plan in every:
            for at in plan.places("join"):
                assert int(plan[at][1][1]) > 0
            kinds = {plan[at][1][0] for at in plan.places("expect")}
            assert kinds.isdisjoint(("pid", "user"))


class TestRoot:
    def test_what_is_the_hosts_is_taken_before_a_file_of_the_containers_is_there(self, containers) -> None:
        for plan in containers:
            (root,) = plan.places("root", "root_fuse")
            assert all(at < root for at in plan.places(*TAKEN))
            assert all(root < at for at in plan.places(*MOUNTED, *PROTECTED, "device", "symlink", "account"))

    def test_mounts_of_the_host_do_not_hear_of_it(self, containers) -> None:
        for plan in containers:
            (root,) = plan.places("root", "root_fuse")
            first = plan.places("propagation")[0]
            assert first < root
            assert all(int(plan[at][1][0]) & 1 << 19 for at in plan.places("propagation"))  # MS_SLAVE

    def test_everything_is_in_its_place_when_the_host_is_let_go(self, containers) -> None:
        for plan in containers:
            (pivot,) = plan.places("pivot")
            made = plan.places(*TAKEN, *MOUNTED, *PROTECTED, "device", "symlink", "console", "account", "sysctl")
            assert all(at < pivot for at in made)
            assert all(pivot < at for at in plan.places("user", "working_directory", "environment", *LAST))

    def test_what_is_taken_is_used_once(self, containers) -> None:
        for plan in containers:
            taken = [plan[at][1][0] for at in plan.places(*TAKEN)]
            used = [plan[at][1][0] for at in plan.places(*BINDS)]
            assert len(set(taken)) == len(taken)
            assert sorted(taken) == sorted(used)

    def test_what_is_given_is_given_before_it_is_mounted(self, containers) -> None:
        """With the root in place, whose passwd file names the user, and out of the container's reach."""
        given = 0
        for plan in containers:
            (root,) = plan.places("root", "root_fuse")
            for at in plan.places("give_tree"):
                given += 1
                (bound,) = [one for one in plan.places(*BINDS) if plan[one][1][0] == plan[at][1][0]]
                assert root < at < bound
                assert all(at < other for other in plan.places("hold_root") if plan[at][1][3])
        assert given == 4

    def test_a_directory_is_mounted_before_what_is_in_it(self, containers) -> None:
        for plan in containers:
            points = [mount_point(plan[at]) for at in plan.places(*MOUNTED)]
            hidden = [
                (late, early)
                for at, late in enumerate(points)
                for early in points[:at]
                if early.startswith(f"{late.rstrip('/')}/")
            ]
            assert hidden == []

    def test_nothing_is_mounted_twice_in_one_place(self, containers) -> None:
        for plan in containers:
            points = [mount_point(plan[at]) for at in plan.places(*MOUNTED)]
            assert len(set(points)) == len(points)

    def test_nothing_comes_over_what_is_hidden_or_read_only(self, containers) -> None:
        for plan in containers:
            later = plan.places(*MOUNTED, "sysctl", "device", "symlink")
            assert all(mount < at for mount in later for at in plan.places(*PROTECTED))

    def test_all_is_looked_at_once_more_from_inside(self, containers) -> None:
        for plan in containers:
            (verified,) = plan.places("verify_mounts")
            assert plan.places("pivot")[0] < verified < plan.places("seccomp", "capabilities")[0]
            assert all(at < verified for at in plan.places("read_only_root"))

    def test_a_device_is_made_in_a_file_system_of_the_containers_own(self, containers) -> None:
        for plan in containers:
            points = {mount_point(plan[at]): at for at in plan.places(*MOUNTED)}
            for at in plan.places("device"):
                assert plan[points["/dev"]][0] == "mount"
                assert points["/dev"] < at


class TestUserNamespace:
    """Its ids may have no access to host paths: these are opened beforehand, with the original privileges."""

    def test_the_process_becomes_somebody_in_it_after_all_that(self, in_user_namespaces) -> None:
        for plan in in_user_namespaces:
            become = plan.places("own_ids")[-1]
            assert all(at < become for at in plan.places(*TAKEN, "root", "hold_root", "join_group", "map_tree"))

    def test_the_namespaces_it_is_to_own_are_made_in_it(self, in_user_namespaces) -> None:
        for plan in in_user_namespaces:
            first, second = plan.places("clone")
            assert int(plan[first][1][0]) == 0
            assert int(plan[second][1][0]) & 0x00020000  # CLONE_NEWNS
            joined = [
                at
                for at in plan.places("join", "join_path")
                if int(plan[at][1][2 if plan[at][0] == "join" else 0]) == 0x10000000  # CLONE_NEWUSER
            ]
            made = bool(int(plan[second][1][0]) & 0x10000000)
            assert made != bool(joined)
            assert all(first < at < second for at in joined)

    def test_the_root_goes_along(self, in_user_namespaces) -> None:
        for plan in in_user_namespaces:
            (held,), (placed,) = plan.places("hold_root"), plan.places("place_root")
            assert held < plan.places("clone")[1] < placed < plan.places(*MOUNTED)[0]

    def test_its_ids_are_there_before_they_are_used(self, in_user_namespaces) -> None:
        for plan in in_user_namespaces:
            if plan.places("idmap"):
                assert plan.places("idmap")[0] < plan.places("clone")[0]
                assert plan.places("clone")[1] < plan.places("wait")[0] < plan.places("own_ids")[-1]

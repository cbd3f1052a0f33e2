"""Several tasks at a time, which all end together."""

from __future__ import annotations

import threading

import pytest

from pypod.engine.core.parallel import Stopped, in_parallel


@pytest.mark.parametrize("workers", [1, 3, 20])
def test_each_task_is_done_once(workers: int) -> None:
    done: list[int] = []
    in_parallel(iter(range(10)), done.append, workers, threading.Event())
    assert sorted(done) == list(range(10))


def test_that_many_at_a_time() -> None:
    together = threading.Barrier(3, timeout=10)
    in_parallel(range(3), lambda _: together.wait() and None, 3, threading.Event())


@pytest.mark.parametrize("workers", [1, 3])
def test_the_first_failure_ends_it(workers: int) -> None:
    stopped, done = threading.Event(), []

    def work(task: int) -> None:
        if task == 1:
            raise ValueError("first")
        if task == 2:  # in the middle of its work, it checks the event and stops
            assert stopped.wait(10)
            raise Stopped
        done.append(task)

    before = threading.active_count()
    with pytest.raises(ValueError, match="first"):
        in_parallel(iter(range(100)), work, workers, stopped)
    assert len(done) < 99
    assert threading.active_count() == before


def test_nothing_to_do() -> None:
    in_parallel((), pytest.fail, 0, threading.Event())

"""Parallel work on blobs that ends together: the first failure, or Control-C, stops the rest."""

from __future__ import annotations

import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    T = TypeVar("T")


class Stopped(Exception):
    """Another task failed, or the caller was interrupted: abandon this one."""


def in_parallel(tasks: Iterable[T], work: Callable[[T], None], workers: int, stopped: threading.Event) -> None:
    """Call ``work`` for each task, with up to ``workers`` at a time, in order; raise what the first failure raised.

    ``stopped`` is set when the rest should stop; ``work`` checks it and raises Stopped.
    """
    failures: list[BaseException] = []
    waiting, taking = iter(tasks), threading.Lock()

    def run() -> None:
        try:
            while not stopped.is_set():
                with taking:
                    found = [*_first(waiting)]
                if not found:
                    return
                work(found[0])
        except Stopped:
            pass
        except BaseException as error:
            failures.append(error)
            stopped.set()

    if workers <= 1:
        run()
    else:
        threads = [threading.Thread(target=run, daemon=True) for _ in range(workers)]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            stopped.set()
            for thread in threads:
                if thread.ident is not None:
                    thread.join()
    if failures:
        raise failures[0]


def _first(tasks: Iterable[T]) -> Iterable[T]:
    for task in tasks:
        yield task
        return

"""Processes of a benchmark, which end with it."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial


def process_pool(
    processes: int, start: Callable[..., None] | None = None, *args: object
) -> ProcessPoolExecutor:
    """Return a pool of fresh interpreters that end when this process does, however it ends.

    By itself a worker of a pool whose parent was killed waits for work for ever.

    Parameters
    ----------
    processes
        How many.
    start, args
        What each process calls first, and with what.
    """
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(processes, context, initializer=partial(_begin, start, *args))


def _begin(start: Callable[..., None] | None, *args: object) -> None:
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    if start is not None:
        start(*args)


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()  # waits for the end of a pipe that the parent alone holds open: no signal is missed
    os._exit(1)

"""Helper processes of a benchmark, which end when it does."""

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

    Without this, a pool's worker whose parent was killed would wait for work for ever.

    Parameters
    ----------
    processes
        Number of processes.
    start, args
        Function that each process calls first, and its arguments.
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
    parent.join()  # waits until a pipe closes that only the parent holds open, so its end cannot be missed
    os._exit(1)

"""What a training step frees stays with the process until a run ends, and goes back to the system then."""

from __future__ import annotations

import platform
from collections.abc import Callable
from threading import Thread

import pytest

from benchmarks.memory import resident_mb
from trainables.cpu.memory import give_freed_memory_back, keep_freed_memory

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")

# Two blocks that glibc doesn't map apart, and that a new arena's first 64 MiB take: they are its end.
BLOCK = 20 * 10**6
BLOCKS_MB = 40


def in_a_thread(work: Callable[[], list[float]]) -> list[float]:
    """Return what ``work`` finds in a thread of its own, as a trial is run."""
    found: list[float] = []
    thread = Thread(target=lambda: found.extend(work()))
    thread.start()
    thread.join()
    return found


def fill_and_free() -> None:
    blocks = [byte * BLOCK for byte in (b"a", b"b")]
    del blocks


def test_a_thread_keeps_what_it_frees_and_gives_it_back_at_the_end() -> None:
    def work() -> list[float]:
        keep_freed_memory()
        fill_and_free()
        give_freed_memory_back()
        held = [resident_mb()]
        for _ in range(2):  # it keeps what it frees after it has given memory back once, too
            fill_and_free()
            held.append(resident_mb())
            give_freed_memory_back()
            held.append(resident_mb())
        return held

    before, kept, given_back, kept_again, given_back_again = in_a_thread(work)

    assert kept - before > 0.8 * BLOCKS_MB
    assert kept_again - before > 0.8 * BLOCKS_MB
    assert given_back - before < 0.2 * BLOCKS_MB
    assert given_back_again - before < 0.2 * BLOCKS_MB

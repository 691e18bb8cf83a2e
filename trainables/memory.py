"""Let the C library keep what a training step frees for the next step, and give it back after the last one."""

from __future__ import annotations

import ctypes
import functools
import platform

import torch

# Parameters of mallopt(3), from glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_MIB = 1 << 20


@functools.cache
def keep_freed_memory() -> bool:
    """Stop glibc from giving freed activations back to the system after every use.

    A step allocates and frees some hundred megabytes of activations. By default each large one is a fresh mapping
    whose pages the kernel clears and maps again: a third of a step's time on a CPU. The process keeps its
    high-water mark in return, which a training process reaches again at the next step anyway.

    Returns
    -------
    Whether it took effect: False where the C library is not glibc. Once per process; further calls are free.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # 32 MiB is the largest threshold that glibc takes.
    settings = ((_M_MMAP_THRESHOLD, 32 * _MIB), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 64 * _MIB))
    return all(mallopt(name, value) == 1 for name, value in settings)


def give_freed_memory_back() -> None:
    """Return to the system, and to the other processes on a GPU, what a finished run has freed.

    Every trial of a warm process trains in a thread of its own, whose memory glibc would keep apart: without this
    a process grows with every trial by what its batches left in pieces. On a GPU a process keeps its largest trial's
    memory, which trials that share the GPU lack.
    """
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)

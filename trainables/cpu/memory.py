"""Let the C library keep the memory that a training step frees for the next step; give it back after the last one."""

from __future__ import annotations

import ctypes
import functools
import platform

import torch

# Parameters of mallopt(3), from glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_MIB = 1 << 20
# 32 MiB is the largest mmap threshold that glibc takes.
_KEEP = ((_M_MMAP_THRESHOLD, 32 * _MIB), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 64 * _MIB))
_GIVE_BACK = ((_M_TRIM_THRESHOLD, 0), (_M_TOP_PAD, 0))


@functools.cache
def keep_freed_memory() -> bool:
    """Stop glibc from giving freed activations back to the system after every use.

    A step allocates and frees some hundred megabytes of activations. By default each large one is a fresh mapping
    whose pages the kernel clears and maps again: a third of a step's time on a CPU. The process keeps its
    high-water mark in return, which a training process reaches again at the next step anyway.

    Returns
    -------
    Whether it took effect: False where the C library is not glibc. Done once per process; further calls are free.
    """
    return platform.libc_ver()[0] == "glibc" and _set(ctypes.CDLL(None), _KEEP)


def _set(libc: ctypes.CDLL, settings: tuple[tuple[int, int], ...]) -> bool:
    return all(libc.mallopt(name, value) == 1 for name, value in settings)


def give_freed_memory_back() -> None:
    """Return to the system, and to the other processes on a GPU, what a finished run has freed.

    Every trial of a warm process trains in a thread of its own, whose memory glibc keeps apart in an arena: without
    this, a process grows with every trial by the fragments that its batches left, in one arena after the other. Call it
    from the thread that trained. On a GPU, a process would keep the memory of its largest trial, which other trials on
    that GPU would then lack.
    """
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
    if keep_freed_memory():
        libc = ctypes.CDLL(None)
        _shrink_own_arena(libc)
        libc.malloc_trim(0)


def _shrink_own_arena(libc: ctypes.CDLL) -> None:
    """Give back the free end of the arena that this thread allocates from, up to 64 MiB.

    malloc_trim(3) gives back the free pages within every arena, but the free end only of the main thread's. Another
    thread's arena keeps its largest size until the thread frees a large block while the trim threshold is low.
    """
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
    libc.free.restype, libc.free.argtypes = None, (ctypes.c_void_p,)
    _set(libc, _GIVE_BACK)
    try:
        libc.free(libc.malloc(_MIB))
    finally:
        _set(libc, _KEEP)

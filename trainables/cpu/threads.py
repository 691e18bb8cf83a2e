"""Limit torch, NumPy's linear algebra and the tokenizer to the processor threads that a trial owns."""

from __future__ import annotations

import os

import torch


def use_threads(threads: int) -> None:
    """Let this process compute with this many threads; by default each library would take every processor.

    Environment variables reach what is loaded or started later: a linear algebra library, the tokenizer's threads.
    """
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(threads)
    threadpool_limits(threads, user_api="blas")
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[name] = str(threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if threads > 1 else "false"

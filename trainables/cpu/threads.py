"""As many processor threads as a trial owns: for torch, for the linear algebra of NumPy, for the tokenizer."""

from __future__ import annotations

import os

import torch


def use_threads(threads: int) -> None:
    """Let this process compute with so many threads; by default each library would take every processor.

    Environment variables reach what is loaded or started later: a library of linear algebra, the tokenizer's threads.
    """
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(threads)
    threadpool_limits(threads, user_api="blas")
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[name] = str(threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if threads > 1 else "false"

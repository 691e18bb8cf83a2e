"""As many processor threads as a trial owns: for torch, for the linear algebra of NumPy, for the tokenizer."""

from __future__ import annotations

import os
from functools import lru_cache

import torch


@lru_cache(maxsize=1)
def use_threads(threads: int) -> None:
    """Let this process compute with so many threads; by default each library would take every processor.

    Ray gives its workers one OpenMP thread, or one for each processor that it reserved, but the launch turns the
    tokenizer's threads off altogether.
    """
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(threads)
    threadpool_limits(threads, user_api="blas")
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):  # of what is loaded later
        os.environ[name] = str(threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if threads > 1 else "false"

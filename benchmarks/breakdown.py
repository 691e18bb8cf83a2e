"""Where the time of training steps goes, measured with PyTorch's profiler."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from trainables.cpu.dropout import MaskGenerator

# The first pattern that matches an operation names its part of the step.
PARTS = {
    # Our compiled kernels run inside these functions, outside of any operation of PyTorch's.
    "fused": r"_FeedForward|_AttentionBlock",
    "gemm": r"aten::(mm|addmm|bmm|baddbmm|linear|matmul|mkldnn_linear\w*)$",
    "dropout": r"dropout|bernoulli_|aten::ge$|masks",
    "optimizer": r"adamw?|_foreach|[Oo]ptimizer|aten::(dot|linalg_vector_norm|_amp\w*)$",
    "norm": r"layer_norm",
    "activation": r"gelu|tanh",
    "softmax": r"softmax|scaled_dot_product|Attention",
    "copies": r"aten::(copy_|_to_copy|to|cat|stack|index\w*|embedding\w*|gather|scatter\w*|fill_|zero_|zeros\w*|clone"
    r"|contiguous|empty\w*|arange|repeat\w*|select\w*|slice\w*|view|transpose|as_strided|reshape|expand|t|permute)$",
    "elementwise": r"aten::",
}


def breakdown(train: Callable[[Callable[[], None]], Any]) -> dict[str, float]:
    """Return each part's share of the wall time; ``python`` is the rest, spent outside of operations.

    Parameters
    ----------
    train
        Trains, and calls its argument after each step. The first step and the set-up before it are left out.
    """
    profiler = profile(activities=[ProfilerActivity.CPU])
    started = None

    def after_step() -> None:
        nonlocal started
        if started is None:
            profiler.start()
            started = time.perf_counter()

    with _named_masks():
        train(after_step)
        assert started is not None
        wall = time.perf_counter() - started
        profiler.stop()
    seconds = dict.fromkeys(PARTS, 0.0)
    for event in profiler.key_averages():
        part = next((name for name, pattern in PARTS.items() if re.search(pattern, event.key)), None)
        if part is not None:
            seconds[part] += event.self_cpu_time_total / 1e6
    return {
        **{part: value / wall for part, value in seconds.items()},
        "python": max(0.0, 1.0 - sum(seconds.values()) / wall),
    }


@contextmanager
def _named_masks() -> Iterator[None]:
    """Make the drawing of dropout masks visible to the profiler: it happens outside of PyTorch."""
    draw = MaskGenerator.mask

    def named(self: MaskGenerator, *args: Any, **kwargs: Any) -> torch.Tensor:
        with record_function("masks"):
            return draw(self, *args, **kwargs)

    MaskGenerator.mask = named  # type: ignore[method-assign]
    try:
        yield
    finally:
        MaskGenerator.mask = draw  # type: ignore[method-assign]

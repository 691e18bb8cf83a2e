"""The training core on a GPU: BERT-base's shape at 128 real tokens, small trials that share the GPU, the estimate of a
trial's memory beside what it took, a batch that does not fit, and gradients averaged by nccl.

It needs only torch and transformers; weights are random, so that nothing is downloaded. Run it with
``python -m benchmarks.training --gpu``.
"""

from __future__ import annotations

import logging
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from transformers import BertConfig, BertModel, BertTokenizerFast

from benchmarks.processes import process_pool
from trainables.model.encoder import build_classifier, resolve_precision
from trainables.model.memory_estimate import CONTEXT_BYTES, shape_of, trial_bytes
from trainables.settings import EncoderSettings
from trainables.texts.labelled import LabelledTexts
from trainables.texts.tokens import TokenisedTexts
from trainables.training.stage import StageReport, train_stage
from trainables.training.stage_settings import StageSettings
from trainables.world import World

VOCABULARY, LENGTH, CLASSES = 30522, 128, 5
SHAPES: dict[str, dict[str, int]] = {
    "bert-base": {
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
    },
    "minilm": {
        "hidden_size": 384,
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "intermediate_size": 1536,
    },
}
BATCH_SIZES = (16, 64, 256)
TRIALS_TOGETHER = (1, 2, 4, 8)
STEPS, WARM_UP_STEPS, REPEATS = 60, 20, 3
TRIAL_STEPS, TRIALS_EACH = 200, 2
MEMORY_STEPS = 3
# Memory above what a small batch takes, as a share of what a large one takes beyond it: the large one fits in halves.
SHORT_OF_MEMORY = 0.6
REDUCED_NUMBERS, REDUCTIONS = 100_000_000, 10


def write_encoder(folder: Path, shape: dict[str, int]) -> EncoderSettings:
    """Write an encoder of the given shape with random weights, and return its settings."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(VOCABULARY - 5))]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=VOCABULARY, **shape)).save_pretrained(folder)
    return EncoderSettings(name=str(folder), max_length=LENGTH)


def texts(n: int, shortest: int = LENGTH) -> tuple[TokenisedTexts, Any]:
    """Return n texts of ``shortest`` to 128 random tokens, and their labels."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(shortest, LENGTH + 1, n)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ids = rng.integers(5, VOCABULARY, offsets[-1]).astype(np.int32)
    return TokenisedTexts(ids, offsets), rng.integers(0, CLASSES, n)


def train(encoder: EncoderSettings, batch_size: int, steps: int, shortest: int = LENGTH) -> StageReport:
    """Train a classifier for the given number of steps."""
    tokens, labels = texts(min(16, steps) * batch_size, shortest)
    model = build_classifier(encoder, CLASSES, seed=0)
    return train_stage(
        model,
        LabelledTexts(tokens, labels),
        StageSettings(
            steps=steps, learning_rate=1e-5, batch_size=batch_size, precision=resolve_precision(encoder)
        ),
    )


def speed(encoder: EncoderSettings, batch_size: int, steps: int = STEPS) -> dict[str, float | None]:
    """Return rows a second, MFU and padding at one batch size; medians over repeats, after a warm-up."""
    train(encoder, batch_size, min(steps, WARM_UP_STEPS))
    reports = [train(encoder, batch_size, steps) for _ in range(REPEATS)]
    best = statistics.median_low(report.seconds for report in reports)
    report = next(report for report in reports if report.seconds == best)
    return {
        "tokens_per_step": float(batch_size * LENGTH),
        "rows_per_second": report.rows / report.seconds,
        "mfu": report.mfu,
        "padding_share": 1.0 - report.real_tokens / report.padded_tokens,
    }


def trials_per_hour(encoder: EncoderSettings, together: int, steps: int = TRIAL_STEPS) -> float:
    """Return trials an hour with ``together`` processes on the GPU; texts of 10 to 128 tokens, batches of 16."""
    with ExitStack() as stack:
        # Each process has its own pool, so that each one warms up.
        pools = [stack.enter_context(process_pool(1)) for _ in range(together)]

        def run(trials_each: int, steps: int) -> None:
            for running in [
                pool.submit(train, encoder, 16, steps, 10) for _ in range(trials_each) for pool in pools
            ]:
                running.result()

        run(1, WARM_UP_STEPS)
        started = time.perf_counter()
        run(TRIALS_EACH, steps)
        return TRIALS_EACH * together * 3600.0 / (time.perf_counter() - started)


def peak_bytes(encoder: EncoderSettings, batch_size: int) -> int:
    """Return the most memory that training took from the GPU, what the allocator set aside included."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    train(encoder, batch_size, MEMORY_STEPS)
    return torch.cuda.max_memory_reserved()


def memory(encoder: EncoderSettings, batch_size: int) -> dict[str, float]:
    """Return what a trial's training takes in GB: the estimate that decides how many share a GPU, and as measured.

    The CUDA context lies outside of the allocator, so that the estimate's constant for it is left out.
    """
    tokens = batch_size * LENGTH
    estimated = trial_bytes(shape_of(encoder), tokens, resolve_precision(encoder)) - CONTEXT_BYTES
    measured = peak_bytes(encoder, batch_size)
    return {"estimated_gb": estimated / 1e9, "measured_gb": measured / 1e9, "ratio": estimated / measured}


def out_of_memory(encoder: EncoderSettings, small: int = 8, large: int = 512) -> dict[str, float]:
    """Train with batches that do not fit, and return how many rows were computed at once and how far the loss is from
    that of the same batches in enough memory; dropout masks differ between the two.
    """
    roomy = train(encoder, large, MEMORY_STEPS)
    least, most = peak_bytes(encoder, small), peak_bytes(encoder, large)
    allowed = least + SHORT_OF_MEMORY * (most - least)
    with _no_more_than(allowed), _silent("trainables.model.token_budget"):
        short = train(encoder, large, MEMORY_STEPS)
    return {
        "batch_size": float(large),
        "rows_at_once": float(short.micro_batch),
        "loss_difference": short.mean_loss - roomy.mean_loss,
    }


def nccl() -> dict[str, float]:
    """Average 400 MB of gradients among one process by nccl, and return its GB a second and the greatest error."""
    with tempfile.TemporaryDirectory() as folder:
        dist.init_process_group("nccl", init_method=f"file://{folder}/met", rank=0, world_size=1)
        try:
            assert World.from_distributed() == World.single()
            values = torch.arange(REDUCED_NUMBERS, device="cuda", dtype=torch.float32)
            expected = values.clone()
            dist.all_reduce(values)  # sets up the communicator
            torch.cuda.synchronize()
            started = time.perf_counter()
            for _ in range(REDUCTIONS):
                dist.all_reduce(values)
            torch.cuda.synchronize()
            seconds = time.perf_counter() - started
            return {
                "gb_per_second": REDUCTIONS * values.nbytes / seconds / 1e9,
                "greatest_error": float((values - expected).abs().max()),
            }
        finally:
            dist.destroy_process_group()


@contextmanager
def _no_more_than(allowed: float) -> Iterator[None]:
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, allowed / total))
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()


@contextmanager
def _silent(name: str) -> Iterator[None]:
    log = logging.getLogger(name)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def measure() -> dict[str, Any]:
    """Return all figures, or ``{"gpu": None, "reason": …}`` where there is no GPU."""
    if not torch.cuda.is_available():
        return {"gpu": None, "reason": "skipped: torch sees no CUDA device, so nothing was measured"}
    with tempfile.TemporaryDirectory() as folder:
        encoders = {name: write_encoder(Path(folder) / name, shape) for name, shape in SHAPES.items()}
        return {
            "gpu": torch.cuda.get_device_name(),
            "precision": str(resolve_precision(encoders["bert-base"])).removeprefix("torch."),
            "bert-base": {str(size): speed(encoders["bert-base"], size) for size in BATCH_SIZES},
            "memory": {
                name: {str(size): memory(encoder, size) for size in BATCH_SIZES}
                for name, encoder in encoders.items()
            },
            "out_of_memory": out_of_memory(encoders["minilm"]),
            "nccl": nccl(),
            "trials_per_hour": {str(n): trials_per_hour(encoders["minilm"], n) for n in TRIALS_TOGETHER},
        }

"""The training core on a GPU: BERT-base's shape at 128 real tokens, and small trials that share the GPU.

It needs only torch and transformers; weights are random, so that nothing is downloaded. Run it with
``python -m benchmarks.training --gpu``.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

from benchmarks.processes import process_pool
from trainables.model.encoder import build_classifier, resolve_precision
from trainables.settings import EncoderSettings
from trainables.texts.labelled import LabelledTexts
from trainables.texts.tokens import TokenisedTexts
from trainables.training.stage import StageReport, train_stage
from trainables.training.stage_settings import StageSettings

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
    tokens, labels = texts(16 * batch_size, shortest)
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
            "trials_per_hour": {str(n): trials_per_hour(encoders["minilm"], n) for n in TRIALS_TOGETHER},
        }

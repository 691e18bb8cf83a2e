"""Rows a second and validation macro-F1 of the training core: ours against Hugging Face's Trainer.

Command::

    python -m benchmarks.training [--data labels_pk.jsonl.gz]

It takes under ten minutes on two quiet processors without units for bfloat16. For narrower figures, and scores that
tell more: ``--seeds 5 --scored-seeds 5 --rows 512``, which takes an hour there.

Three programs train the same encoder with the same fresh head on the same rows: effective batch 16, AdamW, linear
decay without warm-up, clipping at 1.0, the same learning rate and epochs.

- ``ours``: :func:`trainables.training.stage.train_stage`;
- ``example``: Trainer as in transformers' text classification example, padded to 128, float32;
- ``best``: Trainer with dynamic padding (multiples of 8), batches of similar length and, where the processor multiplies
  bfloat16, its autocast: elsewhere float32, in which ours trains there too.

They alternate, seed by seed, each in its own process with the same number of threads, and with our setting of the C
library's allocator, which speeds up all three. Trainer's own evaluation, logging and saving are off, and neither its
set-up nor its first step is timed; of ours the whole stage is timed, after a warm-up of two steps. Ratios are medians
over seeds. ``mfu`` counts the arithmetic of the whole model; ``share_of_gemm_peak`` counts what ours computes, which
leaves out the parts of the last layer that no head reads.

Scores are compared by paired differences; for that ours and ``best`` get further seeds, since five tell too little.
The yardstick is how much one program's score changes with its seed: ``best`` runs a second time on the same rows, with
other batches and dropout. A program is ``within_seed_noise`` of ours if the 95 % interval of the mean difference lies
inside the range that holds 95 % of the differences between two such runs of ``best``. ``best`` goes through its rows by
length, longest first, several times an epoch, while ours mixes lengths; so ``best_on_its_batches`` compares it with
ours on batches in Trainer's order, untimed. ``gradient_error`` needs no seeds: it is how far the gradients of ours and
of bfloat16 autocast lie from float32's, on the same batches without dropout.

With ``--gpu`` it measures this machine's GPU instead.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import os
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import transformers

from benchmarks import training_gpu
from benchmarks.breakdown import breakdown
from benchmarks.executed import executed_share
from benchmarks.gradient_error import gradient_error
from benchmarks.hf_trainer import SETTINGS, settings_of, train, trainers_batches
from benchmarks.output import leave_stdout_to_the_json
from benchmarks.processes import process_pool
from benchmarks.training_rows import Rows, corpus_rows, generated_rows
from study.command.cli import run_command
from study.run.facts import machine
from trainables.corpora.drug_labels.adme import read_adme
from trainables.cpu.kernels import compiled_kernels
from trainables.cpu.memory import keep_freed_memory
from trainables.interval import mean_interval
from trainables.metrics import evaluate
from trainables.model.encoder import build_classifier, load_tokenizer, resolve_precision
from trainables.model.flops import peak_flops
from trainables.model.forward import predict
from trainables.settings import PACKAGED, EncoderSettings
from trainables.texts.batching import steps_of
from trainables.texts.labelled import LabelledTexts
from trainables.training.stage import StageReport, train_stage
from trainables.training.stage_settings import StageSettings

PROGRAMS = ("ours", *SETTINGS)
Runs = dict[str, list[dict[str, float]]]  # each program's figures on each seed
BATCH_SIZE = 16
_PROFILED_STEPS = 12
_OTHER_SEED = 1000


@dataclasses.dataclass(frozen=True)
class Run:
    """Settings that all programs share."""

    encoder: EncoderSettings
    epochs: float
    learning_rate: float


def start(threads: int) -> None:
    """Set up a program's process."""
    leave_stdout_to_the_json()  # PyTorch's profiler writes there
    torch.set_num_threads(threads)
    transformers.logging.set_verbosity_error()
    logging.getLogger("torch").setLevel(logging.ERROR)
    keep_freed_memory()


def train_and_score(program: str, run: Run, rows: Rows, seed: int, *, again: bool = True) -> dict[str, float]:
    """Train once with one program and return speed and score; with ``again``, ``best`` trains twice for its score."""
    model = build_classifier(run.encoder, len(rows.classes), seed)
    found: dict[str, float] = {}
    if program == "ours":
        warm_up = build_classifier(run.encoder, len(rows.classes), seed)
        _ours(warm_up, dataclasses.replace(run, epochs=2 * BATCH_SIZE / len(rows.labels)), rows, seed)
        report = _ours(model, run, rows, seed)
        found["rows_per_second"] = report.rows / report.seconds
        found["padding_share"] = 1.0 - report.real_tokens / report.padded_tokens
        found["flops_per_second"] = report.flops / report.seconds
        executed = executed_share(model, rows.tokens.lengths)
        found["executed_flops_per_second"] = found["flops_per_second"] * executed
    else:
        found["rows_per_second"] = _trainer(program, model, run, rows, seed)
    found["macro_f1"] = _macro_f1(model, rows)
    if program == "ours":
        found["macro_f1_on_trainers_batches"] = _score_on_trainers_batches(run, rows, seed)
    if program == "best" and again:
        twin = build_classifier(run.encoder, len(rows.classes), seed)
        _trainer(program, twin, run, rows, seed + _OTHER_SEED)
        found["macro_f1_again"] = _macro_f1(twin, rows)
    return found


def _macro_f1(model: Any, rows: Rows) -> float:
    logits = predict(model, rows.validation_tokens)
    return evaluate(logits, rows.validation_labels, rows.classes)["macro_f1"]


def _score_on_trainers_batches(run: Run, rows: Rows, seed: int) -> float:
    """Return the macro-F1 of ours on Trainer's batches, grouped by length with the longest first."""
    model = build_classifier(run.encoder, len(rows.classes), seed)
    with mock.patch("trainables.training.stage.training_batches", trainers_batches):
        _ours(model, run, rows, seed)
    return _macro_f1(model, rows)


def parts(program: str, run: Run, rows: Rows) -> dict[str, float]:
    """Return the breakdown of a few steps of a program."""
    few = dataclasses.replace(run, epochs=_PROFILED_STEPS * BATCH_SIZE / len(rows.labels))
    model = build_classifier(run.encoder, len(rows.classes), 0)
    if program == "ours":
        return breakdown(lambda after_step: _ours(model, few, rows, 0, after_step))
    return breakdown(lambda after_step: _trainer(program, model, few, rows, 0, after_step))


def peak(encoder: EncoderSettings) -> float | None:
    """Return the measured peak speed of matrix products in the precision of ours."""
    return peak_flops(torch.device("cpu"), resolve_precision(encoder))


def _ours(
    model: Any, run: Run, rows: Rows, seed: int, after_step: Callable[[], None] | None = None
) -> StageReport:
    return train_stage(
        model,
        LabelledTexts(rows.tokens, rows.labels),
        StageSettings(
            steps=steps_of(len(rows.tokens), BATCH_SIZE, run.epochs),
            learning_rate=run.learning_rate,
            warmup=0.0,
            batch_size=BATCH_SIZE,
            seed=seed,
            precision=resolve_precision(run.encoder),
        ),
        after_step=None if after_step is None else lambda stage: after_step(),
    )


def _trainer(
    program: str,
    model: Any,
    run: Run,
    rows: Rows,
    seed: int,
    after_step: Callable[[], None] = lambda: None,
) -> float:
    return train(
        program,
        model,
        load_tokenizer(run.encoder),
        rows.tokens,
        rows.labels,
        epochs=run.epochs,
        learning_rate=run.learning_rate,
        batch_size=BATCH_SIZE,
        max_length=run.encoder.max_length,
        seed=seed,
        after_step=after_step,
    )


def compare(
    shared: Run, rows_of_seed: Sequence[Rows], threads: int, further: Sequence[Rows] = ()
) -> dict[str, Any]:
    """Run all programs on all seeds, alternating, and return ratios, scores and breakdowns.

    On the rows of the ``further`` seeds only ours and ``best`` run, untimed, for their scores.
    """
    pools = {program: process_pool(1, start, threads) for program in PROGRAMS}
    try:
        runs: Runs = {program: [] for program in PROGRAMS}
        for seed, rows in enumerate(rows_of_seed):
            for program, pool in pools.items():
                runs[program].append(pool.submit(train_and_score, program, shared, rows, seed).result())
                figures = ", ".join(f"{name} {value:.4g}" for name, value in runs[program][-1].items())
                print(f"seed {seed}, {program}: {figures}", file=sys.stderr)
        more: Runs = {"ours": [], "best": []}
        for seed, rows in enumerate(further, start=len(rows_of_seed)):
            for program, found in more.items():
                # One after the other, because side by side their threads would wait for each other.
                running = pools[program].submit(train_and_score, program, shared, rows, seed, again=False)
                found.append(running.result())
                print(f"seed {seed}, {program}: {found[-1]}", file=sys.stderr)
        profiled = {
            program: pools[program].submit(parts, program, shared, rows_of_seed[0]).result()
            for program in ("ours", "best")
        }
        peak_found = pools["ours"].submit(peak, shared.encoder).result()
        errors = pools["ours"].submit(gradient_error, shared.encoder, rows_of_seed[0]).result()
    finally:
        for pool in pools.values():
            pool.shutdown()
    assert peak_found is not None  # a CPU's peak can always be measured
    ours = runs["ours"]
    return {
        **{f"ratio_{program}": _ratio(ours, runs[program]) for program in SETTINGS},
        "rows_per_second": {
            program: statistics.median(r["rows_per_second"] for r in found) for program, found in runs.items()
        },
        "macro_f1": {program: [r["macro_f1"] for r in found] for program, found in runs.items()},
        **compare_scores(runs, more),
        "gradient_error": errors,
        "mfu": statistics.median(r["flops_per_second"] for r in ours) / peak_found,
        "share_of_gemm_peak": statistics.median(r["executed_flops_per_second"] for r in ours) / peak_found,
        "gemm_peak_tflops": peak_found / 1e12,
        "padding_share": statistics.median(r["padding_share"] for r in ours),
        "step": profiled,
        "runs": runs,
        "further_runs": more,
    }


def _ratio(ours: list[dict[str, float]], reference: list[dict[str, float]]) -> float:
    return statistics.median(
        a["rows_per_second"] / b["rows_per_second"] for a, b in zip(ours, reference, strict=True)
    )


def compare_scores(timed: Runs, more: Runs) -> dict[str, Any]:
    """Return ours minus each reference over the seeds that both have, and the seed noise to compare that with.

    ``seed_noise`` is 1.96 times the root mean square of the differences between two seeds of ``best``.
    """
    again = [r["macro_f1_again"] - r["macro_f1"] for r in timed["best"]]
    noise = 1.96 * statistics.fmean(difference**2 for difference in again) ** 0.5
    runs = {program: [*found, *more.get(program, ())] for program, found in timed.items()}
    pairs = {program: ("macro_f1", program) for program in SETTINGS}
    pairs["best_on_its_batches"] = ("macro_f1_on_trainers_batches", "best")
    differences = {
        name: [a[score] - b["macro_f1"] for a, b in zip(runs["ours"], runs[program], strict=False)]
        for name, (score, program) in pairs.items()
    }
    return {
        "seed_noise": noise,
        "macro_f1_difference": {
            name: _against(noise, found) for name, found in {**differences, "best_again": again}.items()
        },
    }


def _against(noise: float, differences: Sequence[float]) -> dict[str, Any]:
    interval = mean_interval(differences)
    low, high = interval.ci_low, interval.ci_high
    within = None if low is None or high is None else -noise <= low and high <= noise
    return {
        "mean": interval.mean,
        "ci_low": low,
        "ci_high": high,
        "seeds": interval.n,
        "difference_shown": interval.leaves_out_zero,
        "within_seed_noise": within,
    }


def measure(args: argparse.Namespace) -> int:
    """Print the figures as one JSON object."""
    if args.gpu:
        print(json.dumps(training_gpu.measure()))
        return 0
    encoder = EncoderSettings(name=args.encoder, device="cpu")
    corpus = read_adme(args.data) if args.data is not None else None
    n, n_validation = (64, 100) if args.quick else (args.rows, args.validation_rows)
    timed, scored = (2, 1) if args.quick else (args.seeds, args.scored_seeds)
    rows = [
        generated_rows(encoder, n, n_validation, seed)
        if corpus is None
        else corpus_rows(corpus, encoder, n, n_validation, seed)
        for seed in range(timed + scored)
    ]
    shared = Run(encoder, 1.0 if args.quick else args.epochs, args.learning_rate)
    figures = compare(shared, rows[:timed], args.threads, rows[timed:])
    figures["setting"] = {
        "text": "generated" if corpus is None else Path(args.data).name,
        "rows": len(rows[0].labels),
        "validation_rows": len(rows[0].validation_labels),
        "mean_tokens": float(rows[0].tokens.lengths.mean()),
        "epochs": shared.epochs,
        "learning_rate": shared.learning_rate,
        "batch_size": BATCH_SIZE,
        "threads": args.threads,
        "machine": machine(),
        "precision": str(resolve_precision(encoder)).removeprefix("torch."),
        "kernels": "torch" if compiled_kernels() is None else "compiled",
        "trainer": {program: settings_of(program, torch.device("cpu")) for program in SETTINGS},
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    print(json.dumps(figures))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training", description=(__doc__ or "").splitlines()[0]
    )
    add = parser.add_argument
    add("--data", help="openFDA label records or SPL XML to train on, in place of generated text")
    add("--encoder", default=PACKAGED, help="encoder, packaged or a folder (default: %(default)s)")
    add("--seeds", type=int, default=3, help="seeds that are timed and scored (default: %(default)s)")
    add(
        "--scored-seeds",
        type=int,
        default=2,
        help="further seeds of ours and 'best' that are only scored (default: %(default)s)",
    )
    add("--rows", type=int, default=192, help="training rows (default: %(default)s)")
    add("--validation-rows", type=int, default=400, help="(default: %(default)s)")
    add("--epochs", type=float, default=2.0, help="(default: %(default)s)")
    add("--learning-rate", type=float, default=3e-4, help="(default: %(default)s)")
    add(
        "--threads",
        type=int,
        default=os.cpu_count(),
        help="threads of each program (default: all processors)",
    )
    add("--quick", action="store_true", help="few rows and two seeds, to see that it runs")
    add("--gpu", action="store_true", help="measure this machine's GPU instead")
    return run_command(measure, parser, argv)


if __name__ == "__main__":
    sys.exit(main())

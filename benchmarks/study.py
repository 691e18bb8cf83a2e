"""The platform against the naive program on the first configurations that the ``adme`` search proposes.

Command::

    python -m benchmarks.study [--data labels.jsonl.gz]

Both train the same configurations, without feedback, on the same rows and replicates; racing is off, so that both
do all of the work. The platform runs as a launch does (plan, ledger, Optuna, MLflow, Tune, warm processes, stage
tree, one vanilla for all) and is timed from the start of Ray to the end of the last search trial, including the
preparation of the corpus. The naive program (:mod:`benchmarks.naive`) is given the prepared corpus and runs two
configurations at a time with one thread each. That is its faster way: two configurations on two cores took 85 s so, but
more than 108 s one after the other with two threads, because the start of a worker keeps one core busy.

By default texts keep 128 tokens, as in the text-classification example, and there are few rows, so that the benchmark
ends within an hour on two cores. Scores of so few rows mean nothing. Those of the timed runs are printed, but whether
both programs score the same is measured separately, untimed, at the size of the laptop preset
(:mod:`benchmarks.study_scores`).

``ratio`` is naive over platform in wall-clock time, each from the start of Ray to the last result. ``working_s`` is the
seconds in which trials made augmentations, trained and scored, summed over processes; the rest is the start of workers
and idle time. For ``savings`` the platform runs again with one thing switched off at a time. A saving's share is the
wall-clock time that this adds, over all the time that the platform saves against the naive program. Shares need not add
up to one: savings overlap, and not starting worker groups saves time too. Each is run once, so a second or two is
noise. Without ``precision`` the compiled kernels are off as well, because they only compute in bfloat16. Without
``stage_tree`` every trial has its own cache, so its augmentations are made anew too. ``cache_hits`` says how many first
stages and augmentations of the search's replicates came from the cache; random proposals rarely share them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray import tune

from benchmarks import study_scores
from benchmarks.naive import METRIC, Machine, NaiveScores, run_naive
from benchmarks.overhead import report_nothing
from benchmarks.workload import Work, add_sizes, prepare_work, run_search
from study.command.cli import run_command
from study.record.ledger import Ledger, TrialRecord
from study.run import cluster
from study.run.tuning import report_to_tune, trial_in_process
from trainables.prepared import PreparedCorpus, RunSettings
from trainables.settings import TrialSettings
from trainables.texts.tokens import TokenisedTexts, tokenise
from trainables.worker import run_in_process, run_locally

SAVINGS = ("stage_tree", "shared_vanilla", "batching", "precision", "warm_processes")
_OBJECTIVE = f"val/{METRIC}"


def run_platform(work: Work, folder: Path, without: str | None = None) -> tuple[float, Ledger]:
    """Return the seconds and the ledger of a study, with one of :data:`SAVINGS` switched off.

    Raises
    ------
    RuntimeError
        A trial did not finish.
    """
    run = replace(work.run, cache_dir=str(folder / "cache"))
    if without == "precision":
        run = replace(run, encoder=replace(run.encoder, precision="float32"))
    prepared = padded_corpus(work.prepared, run) if without == "batching" else work.prepared
    trainable = tune.with_parameters(
        _trial,
        prepared=prepared,
        run=run,
        storage=str(folder / "ray"),
        without=without,
        vanilla=work.vanilla(),
    )
    seconds, ledger = run_search(work, folder, trainable, reuse_processes=without != "warm_processes")
    return seconds + work.preparing_s, ledger


def _trial(
    config: dict[str, Any],
    *,
    prepared: PreparedCorpus,
    run: RunSettings,
    storage: str,
    without: str | None,
    vanilla: Mapping[float | str, TrialSettings],
) -> None:
    """Run one job as :func:`study.run.tuning.trial_in_process` does, with one saving switched off."""
    job = config["job"]
    if without == "shared_vanilla":
        if job.settings.arm == "vanilla":
            run_locally(lambda: report_nothing(job, report_to_tune), storage)
            return
        own = replace(job, settings=vanilla[job.settings.imbalance_ratio], reference={}, known={})
        run_in_process(own, prepared, run, lambda report: None, storage)
    if without == "stage_tree":
        run = replace(run, cache_dir=tempfile.mkdtemp(dir=storage))
    if without == "batching":
        _pad_what_is_tokenised(run)
    trial_in_process(config, prepared=prepared, run=run, storage=storage)


def padded_corpus(prepared: PreparedCorpus, run: RunSettings) -> PreparedCorpus:
    """Return a corpus whose texts all have the greatest length, as in :func:`padded`."""
    length, pad_id = run.encoder.max_length, _pad_id(run)
    return replace(
        prepared,
        train_tokens=padded(prepared.train_tokens, length, pad_id),
        validation_tokens=padded(prepared.validation_tokens, length, pad_id),
    )


def padded(tokens: TokenisedTexts, length: int, pad_id: int) -> TokenisedTexts:
    """Return texts filled up to ``length`` tokens, so that batches cost what fixed padding costs.

    The padding is treated as text, which takes as long as masking it; the scores then mean nothing.
    """
    ids = np.full((len(tokens), length), pad_id, np.int32)
    ids[np.arange(length) < tokens.lengths[:, None]] = tokens.ids
    return TokenisedTexts(ids.ravel(), np.arange(len(tokens) + 1, dtype=np.int64) * length)


def _pad_what_is_tokenised(run: RunSettings) -> None:
    """Let replicates of this process tokenise stage-1 texts with fixed padding."""
    from trainables import replicate

    pad_id = _pad_id(run)

    def tokenise_padded(texts: Sequence[str], tokenizer: Any, max_length: int) -> TokenisedTexts:
        return padded(tokenise(texts, tokenizer, max_length), max_length, pad_id)

    assert hasattr(replicate, "tokenise")
    replicate.tokenise = tokenise_padded


def _pad_id(run: RunSettings) -> int:
    from trainables.model.encoder import load_tokenizer

    return int(load_tokenizer(run.encoder).pad_token_id)


def timed_scores(
    trials: Sequence[TrialRecord], configurations: Sequence[TrialSettings], naive: Sequence[NaiveScores]
) -> dict[str, float]:
    """Return the mean macro-F1 of both programs' timed runs.

    Raises
    ------
    RuntimeError
        The platform did not run the same configurations.
    """
    ours = {TrialSettings.from_config(trial.config): trial.values(_OBJECTIVE) for trial in trials}
    if set(ours) != set(configurations):
        raise RuntimeError("the platform and the naive program ran different configurations")
    return {
        "ours": float(np.mean([list(ours[settings].values()) for settings in configurations])),
        "naive": float(np.mean([scores.prefinetune for scores in naive])),
    }


def cache_hits(trials: Sequence[TrialRecord]) -> dict[str, int]:
    """Return how many replicates of a search took their augmentations and their first stage from the cache."""
    found = [record.diagnostics for trial in trials for record in trial.replicates.values()]
    names = {"augmentations": "augmentation_cache_hits", "stage1": "stage1_cache_hits"}
    return {
        **{short: sum(diagnostics[name] > 0 for diagnostics in found) for short, name in names.items()},
        "stage1_continued": sum(diagnostics.get("stage1_resumed_at", 0) > 0 for diagnostics in found),
        "replicates": len(found),
    }


def measure(args: argparse.Namespace) -> int:
    """Print the figures as one JSON object."""
    with redirect_stdout(sys.stderr):  # so that Ray's own warnings go there
        figures = measured(args)
    print(json.dumps(figures))
    return 0


def measured(args: argparse.Namespace) -> dict[str, Any]:
    """Run both programs and return the figures."""
    cluster.quieten()
    work = prepare_work(args)
    configurations = work.configurations()
    machine = Machine(args.at_a_time, max(1, (os.cpu_count() or 1) // args.at_a_time))
    seconds: dict[str, float] = {}
    for without in (None, *args.without):
        with tempfile.TemporaryDirectory() as folder:
            taken, found = run_platform(work, Path(folder), without)
        if without is None:
            ours_s, ledger = taken, found
        else:
            seconds[without] = taken
        print(f"platform{f' without {without}' if without else ''}: {taken:.1f} s", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        naive_s, naive = timed_naive(work, configurations, machine, Path(folder))
    print(f"naive: {naive_s:.1f} s", file=sys.stderr)
    trials = ledger.of_phase("search")
    return {
        "ratio": naive_s / ours_s,
        "savings": {name: (taken - ours_s) / (naive_s - ours_s) for name, taken in seconds.items()},
        "ours_s": ours_s,
        "naive_s": naive_s,
        "without_s": seconds,
        "working_s": {
            "ours": sum(trial.seconds for trial in ledger.trials.values()),
            "naive": sum(scores.working_s for scores in naive),
        },
        "cache_hits": cache_hits(trials),
        "macro_f1_timed": timed_scores(trials, configurations, naive),
        "macro_f1": study_scores.compare(args.scored, args) if args.scored else None,
        "configurations": len(configurations),
        "replicates": work.config.replicates,
        "naive_at_a_time": machine.at_a_time,
        "naive_threads": machine.threads,
    }


def timed_naive(
    work: Work, configurations: Sequence[TrialSettings], machine: Machine, folder: Path
) -> tuple[float, list[NaiveScores]]:
    """Return the seconds from the start of Ray to the last result of the naive program, and its scores."""
    started = time.perf_counter()
    cluster.start_here(replace(work.config, workers_per_trial=2))  # worker groups need Ray's dashboard
    try:
        ended, scores = run_naive(
            configurations,
            work.vanilla(),
            work.prepared,
            work.run,
            work.config.replicates,
            machine,
            folder,
        )
    finally:
        ray.shutdown()
    return ended - started, scores


def build_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.study", description=(__doc__ or "").splitlines()[0]
    )
    add_sizes(
        parser, configurations=24, replicates=2, rows=36, validation_rows=40, max_length=128, layers=None
    )
    parser.add_argument(
        "--at-a-time",
        type=int,
        metavar="N",
        default=2,
        help="configurations that the naive program runs at a time (default: %(default)s)",
    )
    parser.add_argument(
        "--without", nargs="*", choices=SAVINGS, default=SAVINGS, help="savings to measure (default: all)"
    )
    parser.add_argument(
        "--scored",
        type=int,
        metavar="N",
        default=12,
        help="pairs of runs whose scores are compared, untimed; 0 for none (default: %(default)s)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(measure, build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())

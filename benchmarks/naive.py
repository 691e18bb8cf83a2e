"""The naive program: Ray Tune, Ray Train and Hugging Face Trainer without a platform around them.

Every configuration is a Tune trial that starts a ``TorchTrainer`` with one worker. For every run that worker loads the
encoder anew, makes the augmentations anew, and trains stage 1, stage 2 and its own vanilla with
``transformers.Trainer`` as in transformers' text-classification example: padded to the maximum length, in float32.
Rows, lengths, batch size and the learning rate of every step are the platform's, as are the operators and the metrics;
the seeds of the head, the batches and dropout are its own. Two things favour it over a user's program: it is given the
corpus tokenised, and it never writes a checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ray import tune

from trainables.prepared import PreparedCorpus, RunSettings
from trainables.settings import TrialSettings
from trainables.texts.batching import steps_of, steps_per_epoch
from trainables.texts.tokens import TokenisedTexts, tokenise
from trainables.training.stage_settings import learning_rate_at

METRIC = "macro_f1"
# Settings that it does not know, so they must keep their defaults.
_UNKNOWN = ("stage1_trainable", "head", "layer_decay", "dropout")


@dataclass(frozen=True)
class Machine:
    """How the naive program shares the machine; its user would choose what is fastest.

    Attributes
    ----------
    at_a_time
        Number of configurations that run side by side.
    threads
        Number of processor threads of each.
    """

    at_a_time: int
    threads: int


@dataclass(frozen=True)
class NaiveScores:
    """Validation macro-F1 of one configuration and of its own vanilla, per replicate.

    ``working_s`` is the seconds that augmentation, training and scoring took, without the start of its worker.
    """

    prefinetune: tuple[float, ...]
    vanilla: tuple[float, ...]
    working_s: float


def run_naive(
    configurations: Sequence[TrialSettings],
    vanilla: Mapping[float | str, TrialSettings],
    prepared: PreparedCorpus,
    run: RunSettings,
    replicates: int,
    machine: Machine,
    folder: Path,
) -> tuple[float, list[NaiveScores]]:
    """Run every configuration on its own, in a Ray session that is already running.

    Parameters
    ----------
    configurations
        What to train.
    vanilla
        Settings of vanilla at each imbalance ratio.
    prepared, run
        The corpus, and the settings that all configurations share.
    replicates
        Number of replicates of each configuration.
    machine
        How many configurations run at a time, and with how many threads.
    folder
        For Ray's files.

    Returns
    -------
    The time, on the clock of ``time.perf_counter``, at which the last configuration reported, and all scores.

    Raises
    ------
    RuntimeError
        A configuration did not finish.
    """
    found: dict[int, NaiveScores] = {}
    ends: list[float] = []

    class Scores(tune.Callback):  # type: ignore[misc]
        def on_trial_result(
            self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
        ) -> None:
            scores = NaiveScores(tuple(result["prefinetune"]), tuple(result["vanilla"]), result["working_s"])
            found[trial.config["index"]] = scores
            ends.append(time.perf_counter())

    trial = tune.with_parameters(
        _trial,
        configurations=tuple(configurations),
        vanilla=dict(vanilla),
        prepared=prepared,
        run=run,
        replicates=replicates,
        machine=machine,
        folder=str(folder),
    )
    tune.Tuner(
        # The trial itself only waits; if it held a share of a CPU, the last worker could not start.
        tune.with_resources(trial, {"memory": 2.0**20}),
        param_space={"index": tune.grid_search(list(range(len(configurations))))},
        tune_config=tune.TuneConfig(max_concurrent_trials=machine.at_a_time),
        run_config=tune.RunConfig(name="naive", storage_path=str(folder), verbose=0, callbacks=[Scores()]),
    ).fit()
    if len(found) < len(configurations):
        raise RuntimeError(f"{len(configurations) - len(found)} configurations of the naive program failed")
    return ends[-1], [found[index] for index in range(len(configurations))]


def _trial(
    config: dict[str, Any],
    *,
    configurations: Sequence[TrialSettings],
    vanilla: Mapping[float | str, TrialSettings],
    prepared: PreparedCorpus,
    run: RunSettings,
    replicates: int,
    machine: Machine,
    folder: str,
) -> None:
    from ray.train import RunConfig, ScalingConfig, report
    from ray.train.torch import TorchTrainer
    from ray.tune.integration.ray_train import TuneReportCallback

    settings = configurations[config["index"]]
    own_vanilla = vanilla[settings.imbalance_ratio]

    def loop() -> None:
        import torch

        torch.set_num_threads(machine.threads)
        started = time.perf_counter()
        pairs = [
            naive_replicate(settings, own_vanilla, prepared, run, replicate)
            for replicate in range(replicates)
        ]
        working_s = time.perf_counter() - started
        ours, theirs = zip(*pairs, strict=True)
        report({"prefinetune": list(ours), "vanilla": list(theirs), "working_s": working_s})

    TorchTrainer(
        loop,
        scaling_config=ScalingConfig(num_workers=1, resources_per_worker={"CPU": machine.threads}),
        run_config=RunConfig(
            storage_path=folder, name=tune.get_context().get_trial_id(), callbacks=[TuneReportCallback()]
        ),
    ).fit()


def naive_replicate(
    settings: TrialSettings,
    vanilla: TrialSettings,
    prepared: PreparedCorpus,
    run: RunSettings,
    replicate: int,
) -> tuple[float, float]:
    """Return the score of the configuration and of vanilla on one replicate.

    Raises
    ------
    ValueError
        The configuration has a setting that the naive program does not know.
    """
    for asked in (settings, vanilla):
        _check_known(asked)
    from trainables.augment.registry import make_operator
    from trainables.augment.stage1_set import DrawnRows, build_stage1_set
    from trainables.model.encoder import load_tokenizer
    from trainables.replicate import draw_rows
    from trainables.seeds import derive_seed

    rows = draw_rows(prepared, run, settings.imbalance_ratio, replicate)
    labels = prepared.train_labels[rows]
    stage1_set = build_stage1_set(
        settings.stage1_data,
        DrawnRows([prepared.train_texts[i] for i in rows], labels, len(prepared.classes)),
        make_operator(
            settings.operator, settings.strength, run.encoder, run.operator_options.get(settings.operator)
        ),
        copies=settings.copies,
        seed=derive_seed(run.study_seed, "augment", replicate),
    )
    tokenizer = load_tokenizer(run.encoder)
    length, pad_id = run.encoder.max_length, tokenizer.pad_token_id
    stage1 = padded_rows(tokenise(stage1_set.texts, tokenizer, length), stage1_set.labels, length, pad_id)
    stage2 = padded_rows(prepared.train_tokens.select(rows), labels, length, pad_id)
    validation = padded_rows(prepared.validation_tokens, prepared.validation_labels, length, pad_id)
    seed = derive_seed(run.study_seed, f"naive/{settings.digest()}", replicate)

    model = _pretrained_classifier(run, len(prepared.classes), seed)
    _train(model, stage1, settings, "stage1", seed)
    trainer = _train(model, stage2, settings, "stage2", seed + 1)
    ours = _score(trainer, validation, prepared)
    model = _pretrained_classifier(run, len(prepared.classes), seed)
    return ours, _score(_train(model, stage2, vanilla, "stage2", seed + 1), validation, prepared)


def _check_known(settings: TrialSettings) -> None:
    default = TrialSettings()
    faults = [
        f"it leaves {name} at {getattr(default, name)!r} and was given {getattr(settings, name)!r}"
        for name in _UNKNOWN
        if getattr(settings, name) != getattr(default, name)
    ]
    if settings.arm not in ("prefinetune", "vanilla"):
        faults.append(f"it trains prefinetune and vanilla, not {settings.arm}")
    if faults:
        raise ValueError(f"the naive program cannot do this: {'; '.join(faults)}")


def padded_rows(
    tokens: TokenisedTexts, labels: npt.NDArray[np.int64], length: int, pad_id: int
) -> list[dict[str, Any]]:
    """Return n rows as ``transformers.Trainer`` takes them, each padded to ``length`` tokens."""
    rows = []
    for place, label in enumerate(labels.tolist()):
        ids = tokens.ids[tokens.offsets[place] : tokens.offsets[place + 1]].tolist()
        padding = length - len(ids)
        mask = [1] * len(ids) + [0] * padding
        rows.append({"input_ids": ids + [pad_id] * padding, "attention_mask": mask, "labels": label})
    return rows


def _pretrained_classifier(run: RunSettings, n_classes: int, seed: int) -> Any:
    from transformers import AutoConfig, AutoModelForSequenceClassification, set_seed

    set_seed(seed % 2**32)
    source, revision = run.encoder.source, run.encoder.revision
    config = AutoConfig.from_pretrained(source, revision=revision, num_labels=n_classes)
    if run.encoder.layers is not None:
        config.num_hidden_layers = run.encoder.layers
    return AutoModelForSequenceClassification.from_pretrained(source, revision=revision, config=config)


def _train(model: Any, rows: list[dict[str, Any]], settings: TrialSettings, stage: str, seed: int) -> Any:
    """Train one stage in place and return its Trainer."""
    from tempfile import TemporaryDirectory

    import torch
    from transformers import Trainer, TrainingArguments

    config = settings.to_config()
    schedule = config[f"{stage}_schedule"]
    steps = config[f"{stage}_steps"] or steps_of(len(rows), settings.batch_size, config[f"{stage}_epochs"])
    risen_over = steps if schedule == "linear" else steps_per_epoch(len(rows), settings.batch_size)
    warmup_steps = round(settings.warmup * risen_over)

    class PlatformsRates(Trainer):  # type: ignore[misc]
        """The platform's schedule: Trainer's own would spend the first step of a warm-up at a rate of 0."""

        def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
                optimizer or self.optimizer,
                lambda step: learning_rate_at(step, steps, 1.0, schedule, warmup_steps),
            )
            return self.lr_scheduler

    with TemporaryDirectory() as folder:  # Trainer wants a folder for checkpoints
        arguments = TrainingArguments(
            output_dir=folder,
            max_steps=steps,
            per_device_train_batch_size=settings.batch_size,
            learning_rate=config[f"{stage}_learning_rate"],
            weight_decay=settings.weight_decay,
            max_grad_norm=settings.max_grad_norm,
            seed=seed % 2**32,
            use_cpu=True,
            report_to="none",
            logging_strategy="no",
            save_strategy="no",
            disable_tqdm=True,
        )
        trainer = PlatformsRates(model=model, args=arguments, train_dataset=rows)
        trainer.train()
    return trainer


def _score(trainer: Any, validation: list[dict[str, Any]], prepared: PreparedCorpus) -> float:
    from trainables.metrics import evaluate

    logits = np.asarray(trainer.predict(validation).predictions, np.float32)
    return evaluate(logits, prepared.validation_labels, prepared.classes)[METRIC]

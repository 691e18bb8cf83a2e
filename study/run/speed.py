"""How fast this machine is at what a study does: a few of its own steps, timed a moment before it begins.

As many of them run at once as trials will, because processors that share caches and memory are slower together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from study.config.study import StudyConfig
from study.run.capacity import alive, places
from study.run.cluster import TrialResources
from study.run.place import cpus_here
from trainables.augment.registry import OPERATORS, make_operator
from trainables.class_offsets import cross_fitted, fit_offsets
from trainables.method.arms import ARM_TABLE, MASKED_LM_ARMS, PAPER_ARM
from trainables.method.linear_classifiers import FROZEN, TFIDF, train_linear
from trainables.model.encoder import build_classifier, resolve_precision
from trainables.model.forward import predict
from trainables.model.masked_lm import build_masked_lm
from trainables.prepared import PreparedCorpus, RunSettings
from trainables.settings import TrialSettings
from trainables.texts.labelled import LabelledTexts
from trainables.training.losses import MaskedTokenLoss
from trainables.training.stage import train_stage
from trainables.training.stage_settings import StageSettings
from trainables.world import World

_TIMED_STEPS = 6
_ASK_S = 300.0
_SCORED, _FITTED, _AUGMENTED = 64, 96, 8  # rows that are timed


@dataclass(frozen=True)
class Speed:
    """Seconds that one of the trials takes that run at a time.

    Attributes
    ----------
    trained_row, scored_row, masked_row
        A row of classifier training with all layers, of scoring, and of masked-language training (0: not asked for).
    replicate
        Of every replicate of a network, beside its rows: the encoder is built, class offsets are fitted.
    fitted_row
        A training row of a linear classifier, by its features, without the encoder's.
    augmented_text
        An augmentation, by operator.
    loading
        What a trial's process loads once for the operators.
    stands_in
        Whether this machine was timed in place of a cluster's nodes, on which the trials will run.
    """

    trained_row: float
    scored_row: float
    masked_row: float = 0.0
    replicate: float = 0.0
    fitted_row: Mapping[str, float] = field(default_factory=dict)
    augmented_text: Mapping[str, float] = field(default_factory=dict)
    loading: float = 0.0
    stands_in: bool = False


def stand_in_sentence(speed: Speed) -> str:
    """Return that estimates were timed on a machine that runs no trials; empty where they were not."""
    if not speed.stands_in:
        return ""
    return (
        "No node for trials is up yet, or none has time: what follows was timed on the processors of this machine. On "
        "the cluster's nodes, above all on GPUs, the study takes another time."
    )


def speed_of_trials(
    config: StudyConfig,
    prepared: PreparedCorpus,
    run: RunSettings,
    resources: TrialResources,
    *,
    joined: bool,
) -> Speed:
    """Time what a study does where its trials will run: on a worker of a joined cluster, if one is there and has time.

    Otherwise this machine stands in for it, without a GPU, with no more trials at a time than it has processors for.

    Parameters
    ----------
    config, prepared, run, resources
        The study, its texts, what its trials share, and what each of them gets.
    joined
        Whether a running cluster was joined.
    """
    if not joined:
        return measured_speed(config, prepared, run, resources)
    import ray
    from ray.exceptions import RayError, RayTaskError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    if found := roomiest(alive(), resources):
        node, at_once = found
        ask = ray.remote(
            num_cpus=at_once * resources.cpus,
            num_gpus=resources.gpus,
            max_retries=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
        )(measured_speed)
        asked = ask.remote(config, prepared, run, replace(resources, concurrency=at_once))
        try:
            there: Speed = ray.get(asked, timeout=_ASK_S)
            return there
        except RayTaskError:
            raise
        except RayError:  # the node was lost, or is busy with what others run
            ray.cancel(asked)
    here = max(1, min(resources.concurrency, int(cpus_here() / resources.cpus)))
    return replace(
        measured_speed(config, prepared, run, replace(resources, concurrency=here)), stands_in=True
    )


def roomiest(nodes: Sequence[Mapping[str, Any]], resources: TrialResources) -> tuple[str, int] | None:
    """Return the node that holds most workers, and how many run there at a time; None where no worker fits anywhere.

    Parameters
    ----------
    nodes
        What Ray says of each node.
    resources
        What a trial gets, and how many run at a time.
    """
    room = {node["NodeID"]: places(resources.of_worker(), [node["Resources"]]) for node in nodes}
    node = max(room, key=lambda name: room[name], default="")
    if not room.get(node):
        return None
    alone = resources.gpus or resources.workers > 1
    return node, 1 if alone else min(room[node], resources.concurrency)


def measured_speed(
    config: StudyConfig,
    prepared: PreparedCorpus,
    run: RunSettings,
    resources: TrialResources,
) -> Speed:
    """Time what a study does, on the threads that a trial gets.

    Parameters
    ----------
    config, prepared, run, resources
        The study, its texts, what its trials share, and what each of them gets.
    """
    masked = any(arm in MASKED_LM_ARMS for arm in config.arms)
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, int(resources.cpus)))
    at_once = 1 if resources.gpus or resources.workers > 1 else resources.concurrency
    try:
        with ThreadPoolExecutor(at_once) as pool:
            found = list(pool.map(lambda _: _rows(prepared, run, masked), range(at_once)))
        trained, scored, of_masked, replicate = np.mean(found, axis=0).tolist()
        augmented, loading = ({}, 0.0) if resources.gpus else _augmenting(config, prepared, run)
        return Speed(
            trained, scored, of_masked, replicate, _fitting(prepared, run, scored), augmented, loading
        )
    finally:
        torch.set_num_threads(threads)


def _rows(prepared: PreparedCorpus, run: RunSettings, masked: bool) -> tuple[float, float, float, float]:
    """Return seconds per trained, scored and masked row, and of a replicate beside them."""
    texts = _some(prepared, 256)
    model = build_classifier(run.encoder, len(prepared.classes), seed=0)
    precision = resolve_precision(run.encoder)
    settings = StageSettings(steps=_TIMED_STEPS, learning_rate=1e-5, precision=precision)
    per_row = _seconds_per_row(model, texts, settings)
    scored = texts.tokens.select(np.arange(min(_SCORED, len(texts))))
    per_scored_row = _seconds(lambda: predict(model, scored, precision=precision)) / len(scored)
    replicate = _seconds(lambda: build_classifier(run.encoder, len(prepared.classes), seed=0))
    replicate += _seconds(lambda: _offsets(prepared))
    if not masked:
        return per_row, per_scored_row, 0.0, replicate
    hiding = replace(settings, loss=MaskedTokenLoss(TrialSettings.masking_rate))
    return per_row, per_scored_row, _seconds_per_row(build_masked_lm(run.encoder), texts, hiding), replicate


def _some(prepared: PreparedCorpus, most: int) -> LabelledTexts:
    """Return training rows from everywhere."""
    n = len(prepared.train_labels)
    rows = np.linspace(0, n - 1, num=min(most, n)).astype(np.int64)
    return LabelledTexts(prepared.train_tokens.select(rows), prepared.train_labels[rows])


def _seconds_per_row(model: Any, texts: LabelledTexts, settings: StageSettings) -> float:
    train_stage(model, texts, replace(settings, steps=2))  # also makes what later steps reuse
    started = time.perf_counter()
    rows = train_stage(model, texts, settings).rows
    return (time.perf_counter() - started) / rows


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _offsets(prepared: PreparedCorpus) -> None:
    """Fit class offsets to made-up scores of the validation rows, as a replicate does to its own."""
    labels, n = prepared.validation_labels, len(prepared.classes)
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(len(labels), n)).astype(np.float32)
    counts = np.bincount(prepared.train_labels, minlength=n)
    cross_fitted(logits, labels, counts, rng)
    fit_offsets(logits, labels, counts)


def _fitting(prepared: PreparedCorpus, run: RunSettings, scored_row: float) -> dict[str, float]:
    """Return what a training row of a linear classifier takes, without what the encoder computes for it."""
    texts = _some(prepared, _FITTED)
    one = {"val": texts.tokens.select(np.arange(1))}
    found = {}
    for kind in (TFIDF, FROZEN):
        fit = partial(train_linear, kind, texts, one, run.encoder, len(prepared.classes), seed=0)
        seconds = _seconds(partial(fit, world=World.single()))
        encoded = len(texts) * scored_row if kind == FROZEN else 0.0
        found[kind] = max(0.0, seconds - encoded) / len(texts)
    return found


def _augmenting(
    config: StudyConfig, prepared: PreparedCorpus, run: RunSettings
) -> tuple[dict[str, float], float]:
    """Return what an augmentation takes by operator, and what it takes to load them all; paid answers are left out."""
    paper = {**ARM_TABLE[PAPER_ARM].recipe, **config.paper}["operator"]
    names = dict.fromkeys((*config.space.get("operator", ()), config.fixed.get("operator", paper), paper))
    texts = list(prepared.train_texts[:_AUGMENTED])
    seeds = list(range(len(texts)))
    found, loading = {}, 0.0
    for name in names:
        if OPERATORS[name].caches:
            continue
        started = time.perf_counter()
        operator = make_operator(name, TrialSettings.strength, run.encoder, run.operator_options.get(name))
        operator.augment_batch(texts[:1], seeds[:1])
        loading += time.perf_counter() - started
        found[name] = _seconds(partial(operator.augment_batch, texts, seeds)) / max(1, len(texts))
    return found, loading

"""One replicate of one trial: draw the rows, make the stage-1 set, train, score.

This is all that a trial repeats. It needs only torch; who runs it (a test, a Tune trial, a group of
Ray Train workers) is decided in :mod:`trainables.worker`.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainables.augment.cached import cached_stage1_set
from trainables.augment.stage1_set import DrawnRows, n_augmented
from trainables.corpora.imbalance import Profile, draw, ranked
from trainables.diagnostics import run_diagnostics
from trainables.method.arms import stage1_recipe
from trainables.method.texts import ReplicateTexts
from trainables.method.two_stage import train_arm
from trainables.metrics import evaluate
from trainables.model.encoder import load_tokenizer
from trainables.prepared import PreparedCorpus, RunSettings
from trainables.reuse.cache import ContentCache
from trainables.reuse.stage_tree import Reuse
from trainables.seeds import ReplicateSeeds, generator
from trainables.settings import NATURAL, TrialSettings
from trainables.texts.labelled import LabelledTexts
from trainables.texts.tokens import tokenise
from trainables.training.losses import adjust_logits
from trainables.trial import ReplicateRecord
from trainables.world import World


def draw_rows(
    prepared: PreparedCorpus, run: RunSettings, imbalance_ratio: float | str, replicate: int
) -> npt.NDArray[np.int64]:
    """Return the training rows of a replicate at an imbalance ratio: the same for every arm."""
    return draw(
        prepared.train_labels,
        imbalance_ratio,
        profile=run.profile,
        n_max=run.n_max,
        max_rows=run.max_train_rows,
        rng=generator(run.study_seed, "draw", replicate),
        bound="max_train_rows",
    )


def skewed_test_rows(
    prepared: PreparedCorpus, run: RunSettings, imbalance_ratio: float | str
) -> npt.NDArray[np.int64]:
    """Return the test rows, as many as there can be, that have an imbalance ratio: the same in every replicate.

    Classes are ranked as in the training draws. Shi et al. 2022 score IMDB on the published test set, which is
    balanced, and on such a second one.
    """
    order = tuple(majority_first(prepared, run, imbalance_ratio))
    return draw(
        prepared.test_labels,
        imbalance_ratio,
        profile=dataclasses.replace(Profile.of(run.profile), order=order),
        rng=generator(run.study_seed, "skewed test"),
        n_classes=len(prepared.classes),
    )


def majority_first(prepared: PreparedCorpus, run: RunSettings, imbalance_ratio: float | str) -> list[int]:
    """Return the class indices from the majority to the minority of a draw at an imbalance ratio."""
    counts = np.bincount(prepared.train_labels, minlength=len(prepared.classes)).tolist()
    return ranked(counts, () if imbalance_ratio == NATURAL else Profile.of(run.profile).order)


def run_replicate(
    prepared: PreparedCorpus,
    run: RunSettings,
    settings: TrialSettings,
    replicate: int,
    world: World,
) -> ReplicateRecord:
    """Train and score one arm on one replicate.

    Raises
    ------
    TrialFailed
        Training diverged.
    """
    started = time.perf_counter()
    cache = ContentCache(Path(run.cache_dir), run.cache_max_bytes)
    seeds = ReplicateSeeds(run.study_seed, replicate)
    drawn = draw_rows(prepared, run, settings.imbalance_ratio, replicate)
    original = LabelledTexts(prepared.train_tokens.select(drawn), prepared.train_labels[drawn])
    stage1, diagnostics = None, {}
    recipe = stage1_recipe(settings)
    if recipe is not None:
        rows = DrawnRows([prepared.train_texts[i] for i in drawn], original.labels, len(prepared.classes))
        stage1_set = cached_stage1_set(
            cache,
            prepared.digest,
            rows,
            recipe,
            settings,
            run.encoder,
            seed=seeds.of("augment"),
            options=run.operator_options.get(settings.operator),
        )
        tokens = tokenise(stage1_set.texts, load_tokenizer(run.encoder), run.encoder.max_length)
        stage1 = LabelledTexts(tokens, stage1_set.labels)
        diagnostics = {
            "augmentations_made": float(n_augmented(recipe, stage1_set, rows)),
            "augmentations_unchanged": float(stage1_set.unchanged),
            "near_copies_kept": float(stage1_set.near_copies_kept),
            "stage1_rows_missing": float(stage1_set.rows_missing),
            "augmentation_seconds": time.perf_counter() - started,
            "augmentations_computed": float(stage1_set.computed),
            "augmentation_cache_hits": float(cache.hits.get("augmentation", 0)),
        }
    result = train_arm(
        settings,
        run.encoder,
        len(prepared.classes),
        ReplicateTexts(original, stage1),
        {"val": prepared.validation_tokens},
        seeds,
        world=world,
        reuse=Reuse(cache, run.stage1_grid, run.share_vanilla, run.checkpoint_every_s),
    )
    logits = result.logits["val"]
    adjusted = adjust_logits(logits, np.bincount(original.labels, minlength=len(prepared.classes)))
    order = majority_first(prepared, run, settings.imbalance_ratio)
    metrics, posthoc = (
        _prefixed(evaluate(x, prepared.validation_labels, prepared.classes, order))
        for x in (logits, adjusted)
    )
    seconds = time.perf_counter() - started
    diagnostics |= run_diagnostics(result, prepared.classes, len(prepared.validation_tokens), seconds)
    diagnostics |= {
        "cache_corrupt": float(sum(cache.corrupt.values())),
        "cache_evicted": float(cache.evicted),
        "cache_unwritten": float(cache.unwritten),
        "cache_unread": float(cache.unread),
    }
    return ReplicateRecord(replicate, metrics, seconds, diagnostics, posthoc)


def _prefixed(metrics: dict[str, float]) -> dict[str, float]:
    return {f"val/{name}": value for name, value in metrics.items()}

"""One replicate of one trial: draw the rows, make the stage-1 set, train, score.

This is all that a trial repeats. It needs only torch; who runs it (a test, a Tune trial, a group of
Ray Train workers) is decided in :mod:`trainables.worker`.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from trainables.augment.cached import cached_stage1_set
from trainables.augment.stage1_set import DrawnRows, Stage1Set, n_augmented
from trainables.class_offsets import cross_fitted, fit_offsets
from trainables.corpora.imbalance import Profile, draw, largest_n_max, ranked
from trainables.diagnostics import run_diagnostics
from trainables.method.arms import stage1_recipe
from trainables.method.texts import ReplicateTexts
from trainables.method.two_stage import train_arm
from trainables.metrics import evaluate, evaluate_decisions
from trainables.model.encoder import gpu_name, load_tokenizer
from trainables.prepared import PreparedCorpus, RunSettings
from trainables.priors import adjust_logits
from trainables.reuse.cache import ContentCache
from trainables.reuse.keys import texts_digest
from trainables.reuse.stage_tree import Reuse
from trainables.scores import RunScores
from trainables.seeds import ReplicateSeeds, generator
from trainables.settings import NATURAL, TrialSettings
from trainables.texts.labelled import LabelledTexts
from trainables.texts.tokens import tokenise
from trainables.trial import SET_DIGEST, ReplicateRecord, with_offsets
from trainables.world import World


def draw_rows(
    prepared: PreparedCorpus, run: RunSettings, imbalance_ratio: float | str, replicate: int
) -> npt.NDArray[np.int64]:
    """Return the training rows of a replicate at an imbalance ratio: the same for every arm.

    Where a replicate has a training part of its own, which cannot give the study's n_max, it draws as many as it can.
    """
    n_max = run.n_max
    if prepared.ranked_by and imbalance_ratio != NATURAL:
        counts = np.bincount(prepared.train_labels, minlength=len(prepared.classes))
        n_max = possible_n_max(run, counts, imbalance_ratio, run.profile)
    return draw(
        prepared.train_labels,
        imbalance_ratio,
        profile=run.profile,
        n_max=n_max,
        max_rows=run.max_train_rows,
        rng=generator(run.study_seed, "draw", replicate),
        bound="max_train_rows",
    )


def possible_n_max(
    run: RunSettings, counts: npt.NDArray[np.int64], imbalance_ratio: float | str, profile: Profile | str
) -> int:
    """Return the study's n_max, or where (C,) rows per class cannot give it the largest that they can."""
    return min(run.n_max, largest_n_max(counts.tolist(), [imbalance_ratio], profile))


def stage1_texts(
    prepared: PreparedCorpus,
    run: RunSettings,
    settings: TrialSettings,
    rows: DrawnRows,
    recipe: str,
    seed: int,
    cache: ContentCache,
) -> tuple[Stage1Set, LabelledTexts]:
    """Return what stage 1 trains on: the set made from drawn rows by an arm's recipe, and its texts as tokens."""
    made = cached_stage1_set(
        cache,
        prepared.digest,
        rows,
        recipe,
        settings,
        run.encoder,
        seed=seed,
        options=run.operator_options.get(settings.operator),
    )
    tokens = tokenise(made.texts, load_tokenizer(run.encoder), run.encoder.max_length)
    return made, LabelledTexts(tokens, made.labels)


class ScoredSet(NamedTuple):
    """A set on which a run is scored: its name, the part of the split, the rows of it, (n,), and their labels, (n,)."""

    name: str
    part: str
    rows: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]


def scored_sets(
    prepared: PreparedCorpus, run: RunSettings, imbalance_ratio: float | str
) -> Iterator[ScoredSet]:
    """Go through the sets on which a run at an imbalance ratio is scored: validation, and the study's test sets."""
    yield ScoredSet("val", "val", np.arange(len(prepared.validation_labels)), prepared.validation_labels)
    for name in run.test_sets:
        if name == "test":
            rows = np.arange(len(prepared.test_labels))
        elif name == "test_balanced":
            rows = balanced_test_rows(prepared, run)
        else:
            rows = skewed_test_rows(prepared, run, imbalance_ratio)
        yield ScoredSet(name, "test", rows, prepared.test_labels[rows])


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


def balanced_test_rows(prepared: PreparedCorpus, run: RunSettings) -> npt.NDArray[np.int64]:
    """Return as many test rows of every class, as many as the rarest has: the same in every replicate."""
    rng = generator(run.study_seed, "balanced test")
    return draw(prepared.test_labels, 1.0, rng=rng, n_classes=len(prepared.classes))


def majority_first(prepared: PreparedCorpus, run: RunSettings, imbalance_ratio: float | str) -> list[int]:
    """Return the class indices from the majority to the minority of a draw at an imbalance ratio."""
    counts = prepared.ranked_by or prepared.train_rows()[0].tolist()
    return ranked(counts, () if imbalance_ratio == NATURAL else Profile.of(run.profile).order)


def run_replicate(
    prepared: PreparedCorpus,
    run: RunSettings,
    settings: TrialSettings,
    replicate: int,
    world: World,
    kept: Path | None = None,
) -> ReplicateRecord:
    """Train and score one arm on one replicate.

    Parameters
    ----------
    prepared, run, settings, replicate, world
        The parts of this replicate, what all trials share, the trial, the replicate, and who trains it.
    kept
        File for the scores of every row, see :mod:`trainables.scores`; they need the test split.

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
        stage1_set, stage1 = stage1_texts(prepared, run, settings, rows, recipe, seeds.of("augment"), cache)
        diagnostics = {
            "augmentations_made": float(n_augmented(recipe, stage1_set, rows)),
            "augmentations_unchanged": float(stage1_set.unchanged),
            "near_copies_kept": float(stage1_set.near_copies_kept),
            SET_DIGEST: float(int(texts_digest(stage1)[:12], 16)),
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
        {"val": prepared.validation_tokens, **({"test": prepared.test_tokens} if run.test_sets else {})},
        seeds,
        world=world,
        reuse=Reuse(cache, run.stage1_grid, run.share_vanilla, run.checkpoint_every_s),
    )
    counts = np.bincount(original.labels, minlength=len(prepared.classes))
    order = majority_first(prepared, run, settings.imbalance_ratio)
    metrics: dict[str, float] = {}
    posthoc: dict[str, float] = {}
    validation = result.logits["val"], prepared.validation_labels, counts
    # The classes of each part's rows under class offsets.
    decided = {"val": cross_fitted(*validation, np.random.default_rng(seeds.of("class offsets")))}
    if run.test_sets:
        offsets = fit_offsets(*validation)
        decided["test"] = (result.logits["test"] + offsets).argmax(axis=1)
        if kept is not None and world.rank == 0:
            RunScores(
                *validation[:2],
                result.logits["test"],
                prepared.test_labels,
                prepared.test_groups,
                balanced_test_rows(prepared, run),
                offsets,
                counts,
                np.asarray(order),
            ).save(kept)
    for scored in scored_sets(prepared, run, settings.imbalance_ratio):
        logits = result.logits[scored.part][scored.rows]
        for found, x in ((metrics, logits), (posthoc, adjust_logits(logits, counts))):
            scores = evaluate(x, scored.labels, prepared.classes, order)
            found |= {f"{scored.name}/{name}": value for name, value in scores.items()}
        with_them = evaluate_decisions(
            decided[scored.part][scored.rows], scored.labels, prepared.classes, order[0]
        )
        metrics |= {
            with_offsets(f"{scored.name}/{name}"): value
            for name, value in with_them.items()
            # A class's precision follows from its recall and F1; with many classes these lines are most of a ledger.
            if not name.startswith("precision/")
        }
    seconds = time.perf_counter() - started
    scored_rows = sum(map(len, result.logits.values()))
    diagnostics |= run_diagnostics(result, prepared.classes, scored_rows, seconds)
    diagnostics |= {
        "cache_corrupt": float(sum(cache.corrupt.values())),
        "cache_evicted": float(cache.evicted),
        "cache_unwritten": float(cache.unwritten),
        "cache_unread": float(cache.unread),
    }
    gpu = "" if result.linear is not None else gpu_name(run.encoder)
    return ReplicateRecord(replicate, metrics, seconds, diagnostics, posthoc, gpu)

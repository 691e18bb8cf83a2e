"""The confirmation of a made-up study: scores of every row, and the ledger lines that belong to them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from study.record.ledger import Ledger
from trainables.metrics import evaluate
from trainables.scores import RunScores, scores_path
from trainables.trial import ReplicateRecord

ROWS = 240
# How well an arm knows a row's class: the logit of the right class above the others'.
STRENGTHS = {
    "vanilla": 1.0,
    "prefinetune": 2.2,
    "paper": 1.0,
    "vanilla_matched": 1.1,
    "tfidf_lr": 0.8,
    "frozen_lr": 0.6,
}


def runs(seed: int, replicate: int, strengths: Mapping[str, float], n_classes: int) -> dict[str, RunScores]:
    """Return the scores of all arms on one replicate: arms of one strength are alike."""
    rng = np.random.default_rng([seed, replicate])
    rows = np.random.default_rng(seed)
    shares = np.array([1.0 / (c + 1) for c in range(n_classes)])
    labels = {part: rows.choice(n_classes, ROWS, p=shares / shares.sum()) for part in ("validation", "test")}
    luck = {part: rng.normal(size=(ROWS, n_classes)) for part in labels}
    least = np.bincount(labels["test"], minlength=n_classes).min()
    balanced = np.concatenate([np.flatnonzero(labels["test"] == c)[:least] for c in range(n_classes)])
    found = {}
    for arm, strength in strengths.items():
        own = np.random.default_rng([seed, replicate, *arm.encode()])
        logits = {
            part: (luck[part] + 0.3 * own.normal(size=luck[part].shape) * (strength != strengths["vanilla"])
                   + strength * np.eye(n_classes)[labels[part]]).astype(np.float32)
            for part in labels
        }  # fmt: skip
        found[arm] = RunScores(
            logits["validation"], labels["validation"], logits["test"], labels["test"], np.arange(ROWS) // 2,
            np.sort(balanced), np.zeros(n_classes), np.bincount(labels["validation"], minlength=n_classes) + 1,
            np.arange(n_classes),
        )  # fmt: skip
    return found


def metrics_of(run: RunScores, classes: Sequence[str]) -> dict[str, float]:
    """Return the metrics of one run on all sets."""
    order = run.order.tolist()
    sets = {
        "val": (run.validation, run.validation_labels),
        "test": (run.test, run.test_labels),
        "test_balanced": (run.test[run.balanced], run.test_labels[run.balanced]),
    }
    found = {}
    for name, (logits, labels) in sets.items():
        found |= {f"{name}/{key}": value for key, value in evaluate(logits, labels, classes, order).items()}
    return found


def confirm(
    ledger: Ledger,
    *,
    replicates: int = 10,
    looks: Sequence[int] | None = None,
    strengths: Mapping[str, float] | None = None,
    ratios: Sequence[float | str] = (0.1,),
    first: int = 6,
    region: float = 0.01,
    seed: int = 0,
    only: Mapping[str, Any] | None = None,
) -> Ledger:
    """Write a confirmation into a study that :func:`tests.study.conftest.write_study` made.

    Parameters
    ----------
    ledger
        The study's ledger, with ``study.json`` beside it.
    replicates, first
        Number of replicates, and the index of the first.
    looks
        The planned looks; by default one, at all replicates.
    strengths
        Arms with how well they know a class, see :data:`STRENGTHS`.
    ratios, region, seed
        Of the study; its region of practical equivalence; of the made-up scores.
    only
        Number of replicates of arms that lack some.
    """
    path = ledger.path.with_name("study.json")
    facts = json.loads(path.read_text())
    classes = list(facts["corpus"]["classes"])
    facts["confirmation"] = {"looks": list(looks or (replicates,)), "region": region}
    path.write_text(json.dumps(facts))
    strengths = strengths or STRENGTHS
    folder = ledger.path.parent / "scores"
    for place, ratio in enumerate(ratios):
        ids = {arm: f"confirmation-{arm}-{ratio}" for arm in strengths}
        for arm, trial in ids.items():
            matched = {"matched_to": ids["prefinetune"]} if arm == "vanilla_matched" else {}
            ledger.start_trial(
                trial,
                "confirmation",
                arm,
                ratio,
                {"arm": arm, "imbalance_ratio": ratio, "seed_of": seed, **matched},
            )
            if arm == "vanilla":
                posthoc = f"confirmation-posthoc-{ratio}"
                ledger.start_trial(
                    posthoc, "confirmation", "logit_adjustment_posthoc", ratio,
                    {"arm": "logit_adjustment_posthoc", "imbalance_ratio": ratio},
                )  # fmt: skip
        for r in range(first, first + replicates):
            for arm, run in runs(seed + place, r, strengths, len(classes)).items():
                if only and arm in only and r - first >= only[arm]:
                    continue
                run.save(scores_path(folder, ids[arm], r))
                ledger.add_replicate(ids[arm], ReplicateRecord(r, metrics_of(run, classes), 3.0))
                if arm == "vanilla":
                    adjusted = metrics_of(run.adjusted(), classes)
                    ledger.add_replicate(posthoc, ReplicateRecord(r, adjusted, 0.0))
        for trial in (*ids.values(), posthoc):
            ledger.finish_trial(trial, "complete")
    for n in looks or (replicates,):
        if n <= replicates:
            ledger.append("look", replicates=n)
    return ledger

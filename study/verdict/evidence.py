"""What a confirmation rests on: the scores of two arms on the same fresh replicates and the same test rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from study.record.gains import lower_is_better
from study.record.ledger import TrialRecord
from study.statistics.counts import GroupCounts, accuracy_counts, macro_f1_counts, micro_f1_minority_counts
from study.statistics.judgement import Evidence
from study.statistics.scale import difference_scale
from trainables.method.arms import POSTHOC_ARM
from trainables.scores import RunScores, scores_path
from trainables.trial import OFFSETS, is_with_offsets

# Metrics that are made of counts, by name.
COUNTED = ("macro_f1", "micro_f1_minority", "accuracy")
Ints = npt.NDArray[np.int64]


class Scores:
    """The kept scores of a study.

    Parameters
    ----------
    folder
        Where they lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._load = lru_cache(maxsize=256)(RunScores.load)

    def of(self, trial: TrialRecord, replicate: int, vanilla: TrialRecord) -> RunScores:
        """Return the scores of one run; those of post-hoc logit adjustment are vanilla's, adjusted.

        Raises
        ------
        StudyStopped
            They cannot be read.
        """
        if trial.arm == POSTHOC_ARM:
            return self._load(scores_path(self._folder, vanilla.trial_id, replicate)).adjusted()
        return self._load(scores_path(self._folder, trial.trial_id, replicate))


def paired_replicates(first: TrialRecord, second: TrialRecord, most: int | None = None) -> list[int]:
    """Return the replicates that two trials share, of the first ``most`` of them if that is given."""
    return sorted(first.replicates.keys() & second.replicates.keys())[:most]


def evidence_of(
    arm: TrialRecord,
    other: TrialRecord,
    metric: str,
    replicates: Sequence[int],
    scores: Scores,
    vanilla: TrialRecord,
    classes: Sequence[str],
) -> Evidence:
    """Return the differences between two arms, with the counts of which their metric is made up if it is of counts.

    Parameters
    ----------
    arm, other
        The arm, and what it is compared with.
    metric
        Of the test split, or of its balanced part, with class offsets or without.
    replicates
        On which both are compared.
    scores, vanilla
        The kept scores, and the vanilla from whose scores post-hoc logit adjustment is computed.
    classes
        Their names.
    """
    differences = tuple(
        arm.replicates[r].metrics[metric] - other.replicates[r].metrics[metric] for r in replicates
    )
    runs = [[scores.of(one, r, vanilla) for r in replicates] for one in (arm, other)]
    rows = scored_rows(runs[0][0], metric)
    labels = runs[0][0].test_labels[rows]
    in_class = dict(zip(classes, np.bincount(labels, minlength=len(classes)).tolist(), strict=True))
    counts = None
    if len(replicates) > 1:
        both = tuple(_counts(of_arm, metric, len(classes)) for of_arm in runs)
        counts = None if both[0] is None or both[1] is None else (both[0], both[1])
    return Evidence(differences, difference_scale(metric, in_class), lower_is_better(metric), counts)


def scored_rows(run: RunScores, metric: str) -> Ints:
    """Return the indices of the test rows on which a metric is computed."""
    is_balanced = metric.partition("/")[0].removesuffix(OFFSETS) == "test_balanced"
    return run.balanced if is_balanced else np.arange(len(run.test_labels))


def _counts(runs: Sequence[RunScores], metric: str, n_classes: int) -> GroupCounts | None:
    """Return the counts of one arm, (R, G, K); None for a metric that is no mean of F1 or accuracy."""
    rows = scored_rows(runs[0], metric)
    labels, groups = runs[0].test_labels[rows], runs[0].test_groups[rows]
    if len(np.unique(groups)) < 2:
        return None
    offsets = [run.offsets if is_with_offsets(metric) else 0.0 for run in runs]
    predicted = np.stack(
        [(run.test[rows] + b).argmax(axis=1) for run, b in zip(runs, offsets, strict=True)]
    ).astype(np.int64)
    name = metric.partition("/")[2]
    if name == "macro_f1":
        return macro_f1_counts(predicted, labels, groups, n_classes)
    if name == "micro_f1_minority":
        return micro_f1_minority_counts(predicted, labels, groups, n_classes, int(runs[0].order[0]))
    return accuracy_counts(predicted == labels, groups) if name == "accuracy" else None

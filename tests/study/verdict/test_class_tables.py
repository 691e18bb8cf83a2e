"""What becomes of each class: differences are paired, and the texts are those that were scored."""

from __future__ import annotations

import numpy as np
import pytest

from study.verdict.class_tables import CLASS_METRICS, class_changes, class_sections
from study.verdict.comparison import build_comparison, load_study
from tests.study.confirmed_study import confirm
from trainables.scores import RunScores
from trainables.trial import ReplicateRecord


def comparison_of(tmp_path):
    facts, ledger = load_study(tmp_path, "adme")
    return build_comparison(ledger, facts)


def test_changes_are_paired_with_vanilla_in_every_metric_that_is_known(tmp_path, make_study):
    make_study(ratios=(0.1,))
    comparison = comparison_of(tmp_path)
    [section] = class_sections(comparison)
    assert (section.part, section.other) == ("validation", "leading trial")
    assert section.metrics == ("recall", "f1")  # the made-up study lacks precision
    [table] = section.tables
    assert list(table.rows) == list(comparison.study["corpus"]["classes"])
    for row in table.rows.values():
        for cell in row.values():
            assert cell.change.mean == pytest.approx(cell.other.mean - cell.vanilla.mean)
    assert max(abs(c.change.ci_high) for row in table.rows.values() for c in row.values()) <= table.scale


def test_the_confirmed_winner_comes_first_with_the_test_texts_that_were_scored(tmp_path, make_study):
    classes = {"a": 100, "b": 80, "c": 60, "d": 400}
    ledger = make_study(
        ratios=(0.1,),
        classes=classes,
        parts={"validation": dict.fromkeys(classes, 7), "test": dict.fromkeys(classes, 900)},
    )
    confirm(ledger, replicates=5)
    comparison = comparison_of(tmp_path)
    test, validation = class_sections(comparison)
    assert (test.part, test.other, validation.part) == ("test", "winner", "validation")
    assert test.metrics == tuple(CLASS_METRICS)
    # What the scores hold, not what else is said of the corpus.
    scored = RunScores.load(next((tmp_path / "adme" / "scores").iterdir())).test_labels
    assert test.texts == {name: (n, n) for name, n in zip(classes, np.bincount(scored).tolist(), strict=True)}
    assert validation.texts == dict.fromkeys(classes, (7, 7))
    [table] = test.tables
    assert table.replicates == 5
    winner = ledger.trials["confirmation-prefinetune-0.1"]
    vanilla = ledger.trials["confirmation-vanilla-0.1"]
    cell = table.rows["c"]["precision"]
    expected = [
        winner.replicates[r].metrics["test/precision/c"] - vanilla.replicates[r].metrics["test/precision/c"]
        for r in vanilla.replicates
    ]
    assert cell.change.mean == pytest.approx(sum(expected) / 5) and cell.change.n == 5


def test_differences_that_are_all_equal_have_an_interval_of_some_width(tmp_path, make_study):
    classes = {"a": 100, "b": 80, "c": 60, "d": 400}
    ledger = make_study(ratios=(0.1,), classes=classes)
    arms = []
    for arm, value in (("vanilla", 0.5), ("prefinetune", 0.6)):
        ledger.start_trial(arm, "search", arm, 0.1, {})
        for replicate in range(6):
            ledger.add_replicate(arm, ReplicateRecord(replicate, {"val/recall/a": value}, 1.0))
        arms.append(ledger.trials[arm])
    cell = class_changes(*arms, "val", tuple(classes), dict.fromkeys(classes, (10, 10)))["a"]["recall"]
    assert cell.change.mean == pytest.approx(0.1) and cell.change.ci_high - cell.change.ci_low > 0.02

"""The scores of every row: what is kept says the same as the metrics, and a damaged file says so."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.trainables.test_replicate import SETTINGS, prepared  # noqa: F401
from trainables.errors import StudyStopped
from trainables.metrics import evaluate
from trainables.prepared import RunSettings
from trainables.replicate import run_replicate
from trainables.scores import RunScores, scores_path
from trainables.trial import TrialJob
from trainables.worker import run_trial
from trainables.world import World


@pytest.fixture
def run(encoder, tmp_path):
    return RunSettings(
        study_seed=3, encoder=encoder, profile="step", n_max=24, max_train_rows=None, cache_dir=str(tmp_path / "c"),
        scores_dir=str(tmp_path / "scores"), test_sets=("test", "test_balanced"),
    )  # fmt: skip


@pytest.fixture
def corpus(prepared):  # noqa: F811
    return dataclasses.replace(prepared, test_groups=np.arange(30) // 2)


@pytest.mark.parametrize("arm", ["vanilla", "tfidf_lr"])
def test_what_is_kept_says_the_same_as_the_metrics(corpus, run, tmp_path, arm):
    settings = dataclasses.replace(SETTINGS, arm=arm)
    path = scores_path(tmp_path / "scores", "trial", 0)
    record = run_replicate(corpus, run, settings, 0, World.single(), path)
    kept = RunScores.load(path)
    order = kept.order.tolist()
    for name, scored, x in (
        ("val", kept.validation_labels, kept.validation),
        ("test", kept.test_labels, kept.test),
        ("test_balanced", kept.test_labels[kept.balanced], kept.test[kept.balanced]),
    ):
        found = evaluate(x, scored, corpus.classes, order)
        assert {f"{name}/{key}": value for key, value in found.items()}.items() <= record.metrics.items()
    adjusted = evaluate(kept.adjusted().test, kept.test_labels, corpus.classes, order)
    assert record.posthoc["test/macro_f1"] == adjusted["macro_f1"]
    decided = (kept.test + kept.offsets).argmax(axis=1)
    assert record.metrics["test_offsets/accuracy"] == np.mean(decided == kept.test_labels)
    again = kept.adjusted()
    assert (again.test + again.offsets).argmax(axis=1).tolist() == decided.tolist()
    assert kept.test_groups.tolist() == corpus.test_groups.tolist()
    balanced = np.bincount(kept.test_labels[kept.balanced])
    assert balanced.min() == balanced.max() == np.bincount(kept.test_labels).min()


def job(**values):
    values = {"test_sets": (), "keeps_scores": False, **values}
    return TrialJob(
        trial_id="t", phase="search", settings=dataclasses.replace(SETTINGS, arm="vanilla"), replicates=(0,),
        objective="val/macro_f1", **values,
    )  # fmt: skip


def test_a_job_that_does_not_confirm_computes_nothing_from_the_test_split(corpus, run, tmp_path):
    """Other test labels, or none, change nothing of it."""
    reports = []
    others = dataclasses.replace(corpus, test_labels=corpus.test_labels[::-1].copy())
    for texts in (corpus, others, corpus.without_test()):
        run_trial(job(), texts, run, reports.append, World.single())
    [first, *again] = [report["record"] for report in reports]
    assert [record["metrics"] for record in again] == [first["metrics"]] * 2
    assert not any(name.startswith("test") for name in first["metrics"] | first["posthoc"])
    assert not (tmp_path / "scores").exists()
    run_trial(job(test_sets=("test",), keeps_scores=True), corpus, run, reports.append, World.single())
    assert "test/macro_f1" in reports[-1]["record"]["metrics"]
    assert scores_path(tmp_path / "scores", "t", 0).exists()


@pytest.mark.parametrize("damage", ["missing", "empty", "cut"])
def test_scores_that_cannot_be_read_say_so(corpus, run, tmp_path, damage):
    path = tmp_path / "x-0.npz"
    zeros = np.zeros((2, 3), np.float32)
    ints = np.zeros(2, np.int64)
    RunScores(zeros, ints, zeros, ints, ints, ints, np.zeros(3), ints, ints).save(path)
    assert [found.name for found in tmp_path.glob("*.npz")] == [path.name]
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: 0 if damage == "empty" else 200])
    with pytest.raises(StudyStopped, match=r"x-0\.npz: the scores of a confirmed run cannot be read"):
        RunScores.load(path)

"""Trials that made the same stage-1 sets: they count as one, are told, and a restart counts them alike."""

from __future__ import annotations

import pytest

from study.plan.same_sets import SameSets
from study.plan.search import GainSearch
from study.record.ledger import Ledger, TrialRecord
from tests.study.simulation import SimulatedStudy, small_config
from trainables.settings import TrialSettings
from trainables.trial import SET_DIGEST, ReplicateRecord

SPACE = {"strength": (0.05, 0.1, 0.2, 0.3), "stage2_learning_rate": (5e-5, 1e-4)}


def digest_of_set(settings, replicate):
    """A strength below .2 changes one word of these texts, whatever it is."""
    return float(replicate + (1 if settings.strength < 0.2 else 100 * settings.strength))


class StudyOfShortTexts(SimulatedStudy):
    def __init__(self, folder, config):
        super().__init__(folder, config)
        self.said = []
        self.search._say = self.said.append

    def _compute(self, job, replicate, value):
        self.computed.append((job.trial_id, replicate))
        made = {SET_DIGEST: digest_of_set(job.settings, replicate)} if job.phase == "search" else {}
        steps = {"stage1_steps": 10.0, "stage2_steps": 20.0}
        metrics = {"val/macro_f1": value, "val/recall/a": value, "test/macro_f1": value}
        metrics |= {"test_balanced/macro_f1": value}
        self.plan.on_replicate(
            job, ReplicateRecord(replicate, metrics, 1.0, {**steps, **made}, dict(metrics))
        )


@pytest.fixture
def study(tmp_path):
    config = small_config(space=SPACE, first={}, trials=6, imbalance_ratios=(0.1,), grace_replicates=3)
    study = StudyOfShortTexts(tmp_path, config)
    study.run()
    return study


def test_trials_that_differ_in_a_strength_that_changed_nothing_count_as_one(study):
    trials = study.ledger.of_phase("search")
    made = {
        (digest_of_set(TrialSettings.from_config(t.config), 0), t.config["stage2_learning_rate"])
        for t in trials
    }
    assert len(made) == 6 < len(trials)
    assert study.search.opened_trials(("prefinetune", 0.1)) == 6
    assert len([s for s in study.said if "count as one" in s]) == len(trials) - 6
    said = next(s for s in study.said if "count as one" in s)
    assert said.startswith("strength 0.") and "made the very same stage-1 sets at imbalance ratio 0.1" in said


def test_a_restart_counts_them_alike_and_says_it_no_more(study, tmp_path):
    said = []
    again = GainSearch(study.config, say=said.append)
    again.replay(Ledger(tmp_path / "ledger.jsonl"))
    assert again.opened_trials(("prefinetune", 0.1)) == 6 and said == []
    more = StudyOfShortTexts(tmp_path, study.config)
    more.run()
    assert more.plan.complete and more.computed == []


def record(trial_id, digests, state="complete", **settings):
    replicates = {
        n: ReplicateRecord(n, {}, 1.0, {} if made is None else {SET_DIGEST: made})
        for n, made in digests.items()
    }
    config = TrialSettings(**settings).to_config()
    return TrialRecord(trial_id, "search", "prefinetune", 0.1, config, state, replicates)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (record("b", {0: 1.0, 1: 2.0}, strength=0.2), True),
        (record("b", {0: 1.0}, "raced_out", strength=0.2, operator="aeda"), True),
        (record("b", {0: 1.0, 1: 3.0}, strength=0.2), False),
        (record("b", {0: 1.0, 1: 2.0}, strength=0.2, stage2_epochs=3.0), False),
        (record("b", {0: 1.0, 1: 2.0}, "failed", strength=0.2), False),
        (record("b", {0: 1.0, 1: None}, strength=0.2), False),
        (record("b", {0: None, 1: None}, strength=0.2), False),
        (record("b", {}, strength=0.2), False),
    ],
)
def test_what_is_the_same_training(other, same):
    sets, first = SameSets(), record("a", {0: 1.0, 1: 2.0}, strength=0.1)
    assert sets.add(first) is None
    assert sets.add(other) is (first if same else None)

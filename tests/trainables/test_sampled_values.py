"""Sampled values reach the trainer: every setting that a space may name, from its proposal to the trained model.

A study searches one setting with two values. What its search proposes goes through plan, ledger and job into a real
training of a tiny encoder, so two trials that come out alike mean that the value was lost on its way.
"""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest

from study.config.arms import CONTROLS
from study.config.described import OF_TRIALS, described_settings
from study.config.faults import study_faults
from study.plan.sampling import TrackSampler
from study.plan.tracks import tracks_of, trial_settings
from study.record.ledger import SEARCH_PHASES
from tests.study.simulation import SimulatedStudy, small_config
from tests.trainables.arm_contract import OTHER
from tests.trainables.conftest import WORDS
from trainables.method.arms import MASKED_LM_ARMS, settings_of
from trainables.method.conditions import CONDITIONS, unread_settings
from trainables.model.encoder import load_tokenizer
from trainables.prepared import PreparedCorpus, RunSettings
from trainables.replicate import run_replicate
from trainables.settings import SEARCHABLE, TrialSettings
from trainables.texts.tokens import tokenise
from trainables.texts.words import with_words
from trainables.trial import ReplicateRecord
from trainables.worker import run_trial
from trainables.world import World

# Two values of every setting. OTHER holds one that differs from the default for those that act on training.
VALUES = {
    **{name: (getattr(TrialSettings(), name), value) for name, value in OTHER.items()},
    "imbalance_ratio": (0.25, 0.5),
    "operator": ("random_delete", "random_swap"),
    "strength": (0.1, 0.9),
    "copies": (1, 2),
    "stage1_data": ("augmented_balanced", "augmented_natural"),
    "stage1_rows_per_class": (2, 4),
    "stage1_steps": (2, 3),
    "stage2_steps": (2, 3),
    "stage1_epochs": (0.3, 0.6),
    "stage2_epochs": (0.3, 0.6),
    "head_epochs": (0.5, 1.0),
    "batch_size": (4, 8),
}
# What must be so for a setting to count.
BESIDE = {"stage1_rows_per_class": {"stage1_data": "augmented_equal"}}
SHORT = {
    "operator": "random_delete",
    "strength": 0.3,
    "batch_size": 4,
    "stage1_epochs": 0.5,
    "stage1_learning_rate": 2e-3,
    "stage2_epochs": 0.5,
    "stage2_learning_rate": 2e-3,
    "head_epochs": 0.5,
}
FILLERS = ["alpha", "beta", "gamma", "delta"]
# A value of each deciding setting beside which what it decides is not read.
_UNREAD = {"stage1_data": "duplicated_balanced", "stage1_steps": 2, "stage2_steps": 2}
SEARCHED = ("prefinetune", "vanilla", *CONTROLS)


def study_of(arm, name):
    """Return a study that searches one setting of one arm over its two values."""
    fixed = {**SHORT, **BESIDE.get(name, {})}
    for stage in ("stage1", "stage2"):
        if name == f"{stage}_steps":
            del fixed[f"{stage}_epochs"]
    fixed.pop(name, None)
    reads = {name for each in ("prefinetune", "vanilla", arm) for name in settings_of(each)}
    ratios, space = ((0.25,), {name: VALUES[name]})
    if name == "imbalance_ratio":
        ratios, space = VALUES[name], {"copies": (1,)}
    own = {"prefinetune": "space", "vanilla": "reference_space"}.get(arm)
    tuned = {} if own else {"arms": (arm,), "arm_trials": 2, "arm_spaces": {arm: space}}
    return small_config(
        **{
            "fixed": {n: v for n, v in fixed.items() if n in reads},
            "imbalance_ratios": ratios,
            "space": {},
            "first": {},
            "reference_space": {},
            "trials": 2 if arm == "prefinetune" else 0,
            "replicates": 1,
            **tuned,
            **({own: space} if own else {}),
        }
    )


class TrainedStudy(SimulatedStudy):
    """A simulated study in which the trials of one arm's search are really trained."""

    def __init__(self, folder, config, arm, prepared, run):
        super().__init__(folder, config)
        self._arm, self._prepared, self._run = arm, prepared, run
        self.trained = {}

    def _compute(self, job, replicate, value):
        if job.settings.arm != self._arm or job.phase not in SEARCH_PHASES:
            super()._compute(job, replicate, value)
            return
        reports = []
        sent = pickle.loads(pickle.dumps(job))  # as Tune hands it to a process
        run_trial(sent, self._prepared, self._run, reports.append, World.single())
        [report] = reports
        assert report["failure"] is None
        self.trained[job.trial_id] = report["record"]["metrics"]
        self.plan.on_replicate(job, ReplicateRecord(**report["record"]))


@pytest.fixture(scope="module")
def prepared(encoder):
    rng = np.random.default_rng(8)
    labels = np.repeat([0, 1, 2], 20)
    # The encoder knows the words with digits, and operators change the others.
    words = ([WORDS[label], *rng.choice(WORDS[3:], 4), *rng.choice(FILLERS, 6)] for label in labels)
    texts = [" ".join(chosen) for chosen in words]
    tokens = with_words(tokenise(texts, load_tokenizer(encoder), encoder.max_length), texts)
    held_out = rng.choice(60, 30, replace=False)
    part = tokens.select(held_out), labels[held_out]
    return PreparedCorpus(texts, tokens, labels, *part, *part, ("low", "mid", "high"), "digest")


@pytest.fixture
def run_of():
    def run(encoder, cache):
        return RunSettings(
            study_seed=3, encoder=encoder, profile="step", n_max=12, max_train_rows=None, cache_dir=str(cache)
        )

    return run


def test_every_setting_has_two_values_here():
    """A new setting needs values in this file, and in OTHER of the arms' contract where it acts on training."""
    assert VALUES.keys() == {*SEARCHABLE}
    assert VALUES.keys() == {each.name for each in described_settings().values() if each.of == OF_TRIALS}
    assert all(len({*map(repr, pair)}) == 2 for pair in VALUES.values())


@pytest.mark.parametrize("name", SEARCHABLE)
def test_two_values_of_a_setting_train_two_models(name, prepared, encoder, masked_lm, run_of, tmp_path):
    arm = next(arm for arm in SEARCHED if name in settings_of(arm))
    config = study_of(arm, name)
    assert study_faults(config) == []
    run = run_of(masked_lm if arm in MASKED_LM_ARMS else encoder, tmp_path / "cache")
    study = TrainedStudy(tmp_path, config, arm, prepared, run)
    study.run()
    assert len(study.trained) == 2
    trials = [study.ledger.trials[trial_id] for trial_id in study.trained]
    values = [vars(TrialSettings.from_config(trial.config))[name] for trial in trials]
    assert {*map(repr, values)} == {*map(repr, VALUES[name])}
    one, other = study.trained.values()
    assert one["val/nll"] != other["val/nll"]


@pytest.mark.parametrize("arm", SEARCHED)
def test_every_arms_search_puts_its_values_into_the_trial(arm):
    """Over the reference's settings, of which a length in steps would replace a searched one in epochs."""
    reference = TrialSettings(arm="vanilla", stage1_steps=7, stage2_steps=7).to_config()
    for name in {*settings_of(arm)} - {"arm", "imbalance_ratio"}:
        config = study_of(arm, name)
        [track] = [track for track in tracks_of(config) if track.arm == arm]
        sampler = TrackSampler(config, track)
        found = []
        for _ in VALUES[name]:
            proposed = sampler.sample({})
            sampler.open(proposed)
            found.append(trial_settings(config, track, reference, proposed))
        assert {*map(repr, (getattr(trial, name) for trial in found))} == {*map(repr, VALUES[name])}
        assert found[0].digest() != found[1].digest()
        stage, _, unit = name.partition("_")
        assert all(unit != "epochs" or getattr(trial, f"{stage}_steps", None) is None for trial in found)


@pytest.mark.parametrize(
    ("deciding", "name"),
    [({c.decided_by: _UNREAD[c.decided_by]}, name) for c in CONDITIONS for name in c.names],
)
def test_a_setting_that_another_value_leaves_without_effect_changes_nothing(
    deciding, name, prepared, encoder, run_of, tmp_path
):
    settings = TrialSettings(**{**SHORT, "imbalance_ratio": 0.25, **deciding})
    assert name in unread_settings(settings.to_config())
    scored = []
    for place, value in enumerate(VALUES[name]):
        run = run_of(encoder, tmp_path / str(place))  # nothing is taken from the cache
        changed = dataclasses.replace(settings, **{name: value})
        scored.append(run_replicate(prepared, run, changed, 0, World.single()).metrics)
    assert scored[0] == scored[1]

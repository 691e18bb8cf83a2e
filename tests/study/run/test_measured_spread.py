"""When a launch tells once more what its study can show."""

from __future__ import annotations

import pytest

from study.record.ledger import Ledger
from study.run.measured_spread import MeasuredSpread
from tests.study.simulation import run_to_the_end, small_config
from trainables.trial import ReplicateRecord

CONFIG = small_config(imbalance_ratios=(0.1,), confirmation_replicates=10, prior_spread=0.5)


def add(ledger, name, phase, arm, values):
    """Go through a trial's replicates and its end."""
    ledger.start_trial(name, phase, arm, 0.1, {})
    for replicate, value in enumerate(values):
        ledger.add_replicate(name, ReplicateRecord(replicate, {"val/macro_f1": value}, 1.0))
        yield ledger.trials[name]
    ledger.finish_trial(name, "complete")
    yield ledger.trials[name]


@pytest.mark.parametrize(
    ("vanilla", "after", "source"),
    [
        ((0.5, 0.56, 0.44, 0.52, 0.47), "v", "estimated from vanilla alone on 5 replicates"),
        ((0.5, 0.56, 0.44), "c", "estimated from 7 paired differences of 3 trials"),
    ],
)
def test_it_is_told_once_and_as_soon_as_replicates_tell_the_spread(tmp_path, vanilla, after, source):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    measured = MeasuredSpread(CONFIG, ledger, 600.0)
    said = []
    for name, phase, arm, values in (
        ("v", "reference", "vanilla", vanilla),
        ("a", "search", "prefinetune", (0.6, 0.55)),
        ("b", "search", "prefinetune", (0.6, 0.5)),
        ("c", "search", "prefinetune", (0.6, 0.5, 0.47)),
        ("d", "search", "prefinetune", (0.6, 0.5, 0.47)),
    ):
        sentences = map(measured.sentence, add(ledger, name, phase, arm, values))
        said += [(name, sentence) for sentence in sentences if sentence]
    [(when, sentence)] = said
    assert sentence.startswith("Vanilla is done. What this study can show: a gain of 0.")
    assert when == after and source in sentence


def test_what_the_plan_could_tell_is_not_repeated_and_without_a_confirmation_nothing_is_said(tmp_path):
    study = run_to_the_end(tmp_path, CONFIG)
    vanilla = study.ledger.reference(0.1)
    assert MeasuredSpread(CONFIG, study.ledger, 600.0).sentence(vanilla) == ""
    ledger = Ledger(tmp_path / "other.jsonl")
    measured = MeasuredSpread(small_config(imbalance_ratios=(0.1,), confirmation_replicates=0), ledger, 600.0)
    assert not any(
        measured.sentence(t) for t in add(ledger, "v", "reference", "vanilla", (0.5, 0.6, 0.4, 0.5))
    )

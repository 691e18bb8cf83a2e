"""The ladder, from two made-up studies: what each rung compares, and what it chooses on."""

from __future__ import annotations

import json

import pytest

from study.config.faults import study_faults
from study.config.files import load_study_file
from study.config.published import under_the_papers_protocol
from study.record.ledger import Ledger
from study.verdict.comparison import build_comparison
from study.verdict.ladder import build_ladders
from study.verdict.ladder_figure import ladder_figure
from study.verdict.words import arm_name
from trainables.errors import StudyStopped
from trainables.trial import ReplicateRecord

METRIC = "macro_f1"
# Scores on test; validation says the opposite of test about the two free controls.
SCORES = {
    "vanilla": 0.50,
    "paper": 0.60,
    "vanilla_matched": 0.56,
    "vanilla_tuned": 0.61,
    "logit_adjustment_posthoc": 0.58,
    "tfidf_lr": 0.90,
    "frozen_lr": 0.30,
}
ON_VALIDATION = {"frozen_lr": 0.95, "tfidf_lr": 0.2}
PHASES = {"vanilla": "reference", "logit_adjustment_posthoc": "reference", "vanilla_tuned": "control_search"}


def comparison(folder, shift=0.0, without=()):
    ledger = Ledger(folder / "ledger.jsonl")
    for arm, score in SCORES.items():
        if arm in without:
            continue
        ledger.start_trial(arm, PHASES.get(arm, "control"), arm, 0.1, {"arm": arm, "imbalance_ratio": 0.1})
        for r in range(5):
            luck = 0.01 * r
            metrics = {
                f"test/{METRIC}": score + luck + (shift if arm == "paper" else 0) + 0.001 * (r % 2),
                f"val/{METRIC}": ON_VALIDATION.get(arm, 0.5) + luck,
            }
            ledger.add_replicate(
                arm, ReplicateRecord(r, metrics, 1.0, {}, {n: v + 0.01 for n, v in metrics.items()})
            )
        ledger.finish_trial(arm, "complete")
    corpus = {"source": "s", "digest": "d", "rows": 9, "groups": 3, "classes": {"a": 5}, "is_sample": False}
    facts = {
        "study": "toy",
        "preset": "laptop",
        "corpus": {**corpus, "notice": ""},
        "encoder": "minilm",
        "ratios": [0.1],
        "config": {"objective": f"val/{METRIC}", "test_sets": ["test"]},
        "mlflow": {"tracking_uri": "sqlite:///x.db", "experiment": "toy"},
        "versions": {},
        "remarks": [],
        "tokens": {},
        "parts": {},
    }
    return build_comparison(ledger, facts)


def test_each_rung_is_the_recipe_against_its_rival_on_the_test_split(tmp_path):
    [ladder] = build_ladders("toy", comparison(tmp_path / "row", shift=0.1), comparison(tmp_path / "group"))
    assert [round(rung.gain.mean, 3) for rung in ladder.rungs] == [0.2, 0.1, 0.04, -0.01, 0.3]
    assert [rung.gain.n for rung in ladder.rungs] == [5] * 5
    # The best control is chosen on validation, though another does better on test.
    assert ladder.rungs[-1].rival == arm_name("frozen_lr")
    values = json.loads(json.dumps(ladder.to_json()))
    assert values["metric"] == f"test/{METRIC}" and len(values["rungs"]) == 5
    assert values["rungs"][3]["reading"] == "worse"


def test_the_figure_is_the_same_for_the_same_ladder_and_names_every_rung(tmp_path):
    [ladder] = build_ladders("toy", comparison(tmp_path / "row"), comparison(tmp_path / "group"))
    drawn = ladder_figure(ladder)
    assert drawn == ladder_figure(ladder) and drawn.count("against ") == 5 and "<svg" in drawn


def test_a_rung_without_its_arm_stops_with_the_arm_and_the_reason(tmp_path):
    with pytest.raises(
        StudyStopped, match=r"compute-matched vanilla at ratio .* has no score: it has not run"
    ):
        build_ladders(
            "toy", comparison(tmp_path / "r"), comparison(tmp_path / "g", without=("vanilla_matched",))
        )


@pytest.mark.parametrize("name", ["adme", "trec", "shi2022_adme"])
@pytest.mark.parametrize("preset", ["smoke", "laptop", "cluster"])
@pytest.mark.parametrize("split_by", ["row", "group"])
def test_any_study_can_be_put_under_the_papers_protocol(name, preset, split_by):
    config = load_study_file(name, preset, {})
    changed = under_the_papers_protocol(config, split_by)
    assert study_faults(changed) == [] and changed.trials == 0 and changed.test_sets == ("test",)
    assert changed.name == f"{name}-by_{split_by}" and changed.split_by == split_by
    # With the texts split at random only vanilla and the recipe are read.
    assert ("vanilla_tuned" in changed.arms) == (split_by == "group")
    assert (changed.encoder, changed.imbalance_ratios) == (config.encoder, config.imbalance_ratios)
    assert changed.replicates == config.replicates and changed.objective == config.objective

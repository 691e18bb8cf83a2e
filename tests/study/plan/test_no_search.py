"""A study of fixed recipes: nothing is searched, and the paper's recipe takes the place of the leading trial."""

from __future__ import annotations

import dataclasses

import pytest

from study.plan.owed import Owed
from study.record.gains import leading_prefinetuning
from study.verdict.answer import answer
from study.verdict.comparison import build_comparison
from study.verdict.report import render_report
from tests.study.simulation import die_and_go_on, run_to_the_end, small_config

CONFIG = small_config(
    trials=0,
    space={},
    first={},
    imbalance_ratios=(0.1,),
    reference_space={"stage2_learning_rate": (1e-4,)},
    arms=("prefinetune_duplicated", "augment_single_stage", "vanilla_tuned"),
    arm_trials={"vanilla_tuned": 3},
    arm_spaces={"vanilla_tuned": {"batch_size": (8, 16), "stage2_learning_rate": (1e-4, 5e-5)}},
    paper={"operator": "eda", "strength": 0.1},
)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return run_to_the_end(tmp_path_factory.mktemp("study"), CONFIG)


def test_it_runs_the_recipe_the_controls_and_what_is_matched_to_the_recipe(study):
    assert study.plan.complete
    assert study.ledger.of_phase("search") == []
    paper = leading_prefinetuning(study.ledger, 0.1, CONFIG.objective)
    assert paper.arm == "paper" and len(paper.replicates) == CONFIG.replicates
    matched = {t.arm: t for t in study.ledger.of_phase("control") if t.matched_to is not None}
    assert set(matched) == {"vanilla_matched", "prefinetune_duplicated", "augment_single_stage"}
    assert {trial.matched_to for trial in matched.values()} == {paper.trial_id}
    assert matched["vanilla_matched"].config["stage2_steps"] == 30  # the simulation's 10 and 20
    assert matched["prefinetune_duplicated"].config["stage1_data"] == "duplicated_equal"
    assert len(study.ledger.of_phase("control_search")) == 3


def test_the_second_search_for_vanilla_takes_over_what_the_reference_has_run(study):
    reference = study.ledger.reference(0.1)
    same = [
        t
        for t in study.ledger.of_phase("control_search")
        if {**t.config, "arm": "vanilla"} == reference.config
    ]
    assert [t.values(CONFIG.objective) for t in same] == [reference.values(CONFIG.objective)]
    assert same[0].seconds == 0.0 and not any(trial_id == same[0].trial_id for trial_id, _ in study.computed)


def test_nothing_is_matched_to_a_recipe_that_lacks_replicates(study, tmp_path):
    paper = leading_prefinetuning(study.ledger, 0.1, CONFIG.objective)
    longer = dataclasses.replace(CONFIG, replicates=4)
    paper.state = "running"
    try:
        assert list(Owed(longer, study.ledger).matched()) == []
    finally:
        paper.state = "complete"


@pytest.mark.parametrize("die_after", [1, 5, 9, 14, 20, 27])
def test_a_killed_driver_goes_on_and_computes_nothing_twice(tmp_path, study, die_after):
    resumed, computed = die_and_go_on(tmp_path, CONFIG, die_after)
    assert resumed.plan.complete
    assert sorted(set(computed)) == sorted(study.computed)
    assert len(computed) - len(set(computed)) <= 1  # what the driver died over


def test_the_answer_is_about_the_recipe_and_about_the_test_split(study):
    for trial in study.ledger.trials.values():
        for record in trial.replicates.values():
            scores = list(record.metrics.items())
            record.metrics |= {name.replace("val/", "test/"): value - 0.2 for name, value in scores}
    facts = {
        "study": "toy",
        "preset": "smoke",
        "corpus": {"source": "none", "digest": "0", "rows": 9, "groups": 9, "classes": {"a": 5, "b": 4}},
        "encoder": "minilm",
        "ratios": [0.1],
        "config": {**CONFIG.identity(), "test_sets": ["test"]},
        "mlflow": {"tracking_uri": "sqlite:///mlflow.db", "experiment": "toy"},
        "versions": {},
        "remarks": [],
        "tokens": {},
        "parts": {},
    }
    facts["corpus"] |= {"is_sample": False, "notice": ""}
    found = build_comparison(study.ledger, facts)
    assert found.metric == "test/macro_f1"
    assert not found.is_search and found.best[0.1].record.arm == "paper"
    said = answer(found)
    assert said.headline.startswith("On the test split, ") and "the paper's recipe" in said.headline
    assert "beats" not in said.headline, "that is said of a confirmation alone"
    assert "The paper's recipe at imbalance ratio 0.1" in said.paragraph
    assert "chosen on the same validation data" not in said.paragraph and "share one split" in said.paragraph
    resplit = build_comparison(study.ledger, {**facts, "config": {**facts["config"], "resplit": True}})
    assert "share one split" not in answer(resplit).paragraph
    assert (
        "cover other such splits, besides other draws and seeds, but not other test"
        in answer(resplit).paragraph
    )
    [finding] = said.findings
    assert "paper" not in {control.record.arm for control, _ in finding.controls}
    page = render_report(found)
    assert "paper's recipe minus that" in page.replace("&#39;", "'") and "leading trial minus" not in page
    paid = {b.record.arm: b.budget.settings_from for b in found.baselines}
    assert paid["prefinetune_duplicated"] == "paper" and paid["vanilla_matched"] == "vanilla"


def test_the_latest_variant_of_the_recipe_leads_not_the_better_one(tmp_path):
    run_to_the_end(tmp_path, CONFIG)
    other = dataclasses.replace(CONFIG, paper={"operator": "eda", "strength": 0.9})
    again = run_to_the_end(tmp_path, other)
    assert leading_prefinetuning(again.ledger, 0.1, CONFIG.objective).config["strength"] == 0.9

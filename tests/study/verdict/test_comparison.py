import json
import math

import pytest

from study.record.ledger import Ledger
from study.verdict.answer import budget_note
from study.verdict.comparison import build_comparison, deciding_metric, load_study, without_passwords
from study.verdict.comparison_json import comparison_json
from trainables.errors import ConfigurationError
from trainables.trial import ReplicateRecord


def comparison_of(tmp_path, name="adme", **options):
    facts, ledger = load_study(tmp_path, name)
    return build_comparison(ledger, facts, **options)


def replicates(ledger, trial_id, values, metric="val/macro_f1"):
    for r, value in values.items():
        ledger.add_replicate(trial_id, ReplicateRecord(r, {metric: value}, 1.0))


def add_trial(ledger, trial_id, phase, arm, ratio, values, state="complete", **config):
    ledger.start_trial(trial_id, phase, arm, ratio, config)
    replicates(ledger, trial_id, values)
    if state != "running":
        ledger.finish_trial(trial_id, state)


def test_json_keeps_the_contract(tmp_path, make_study):
    make_study()
    values = json.loads(json.dumps(comparison_json(comparison_of(tmp_path)), allow_nan=False))
    assert set(values) == {
        "study", "corpus", "remarks", "tokens", "encoder", "baselines", "trials", "augmentations", "confirmation",
        "report", "mlflow", "time",
    }  # fmt: skip
    assert {"source", "digest", "rows", "groups", "classes"} <= set(values["corpus"])
    assert values["confirmation"] == []
    assert values["mlflow"] == {"tracking_uri": "sqlite:///results/adme/mlflow.db", "experiment": "adme"}
    assert {b["arm"] for b in values["baselines"]} == {
        "vanilla",
        "logit_adjustment_posthoc",
        "vanilla_matched",
    }
    assert {t["state"] for t in values["trials"]} == {"complete", "raced_out", "failed", "running"}
    for trial in values["trials"]:
        assert set(trial) == {
            "trial_id", "arm", "imbalance_ratio", "config", "state", "replicates", "metrics", "gain", "seconds",
            "reason", "training_seconds", "on_pareto_front",
        }  # fmt: skip
        assert {"metric", "mean", "ci_low", "ci_high"} <= set(trial["gain"])
        assert all(set(m) == {"mean", "ci_low", "ci_high"} for m in trial["metrics"].values())
    assert all({"val/macro_f1", "val/recall/other"} <= set(b["metrics"]) for b in values["baselines"])


def test_json_gives_the_cause_of_whatever_failed(tmp_path, make_study):
    ledger = make_study(ratios=(0.1,), trials=2, failed=False)
    ledger.start_trial("m", "control", "focal", 0.1, {})
    ledger.finish_trial("m", "failed", "OSError: no route to http://me:s3cret@proxy/")
    reasons = {b["arm"]: b["reason"] for b in comparison_json(comparison_of(tmp_path))["baselines"]}
    assert reasons["focal"] == "OSError: no route to http://me:***@proxy/" and reasons["vanilla"] is None


def test_a_gain_is_paired_by_replicate_within_one_ratio(tmp_path, make_study):
    ledger = make_study(ratios=(0.1, 0.5), trials=0, reference=False)
    add_trial(ledger, "v1", "reference", "vanilla", 0.1, {0: 0.2, 1: 0.6, 2: 0.4})
    add_trial(ledger, "v5", "reference", "vanilla", 0.5, {0: 0.9, 1: 0.9, 2: 0.9})
    add_trial(ledger, "t1", "search", "prefinetune", 0.1, {0: 0.3, 1: 0.7}, "raced_out")
    add_trial(ledger, "t5", "search", "prefinetune", 0.5, {1: 0.8, 2: 0.9, 7: 0.0})
    gains = {t.record.trial_id: t.gain for t in comparison_of(tmp_path).trials}
    assert (gains["t1"].mean, gains["t1"].n) == (pytest.approx(0.1), 2)
    assert (gains["t5"].mean, gains["t5"].n) == (pytest.approx(-0.05), 2)


def test_without_a_reference_there_is_no_gain(tmp_path, make_study):
    ledger = make_study(ratios=(0.1,), trials=0, reference=False)
    add_trial(ledger, "t", "search", "prefinetune", 0.1, {0: 0.9})
    comparison = comparison_of(tmp_path)
    assert comparison_json(comparison)["trials"][0]["gain"]["mean"] is None
    assert not comparison.best


def test_trials_are_sorted_by_gain_within_ratio_and_scoreless_ones_come_last(tmp_path, make_study):
    make_study(ratios=("natural", 0.02, 0.3), trials=7)
    comparison = comparison_of(tmp_path)
    assert comparison.ratios == (0.02, 0.3, "natural")
    for ratio in comparison.ratios:
        gains = [t.gain.mean for t in comparison.trials_at(ratio)]
        scored = [gain for gain in gains if not math.isnan(gain)]
        assert gains[: len(scored)] == sorted(scored, reverse=True)
    order = [t.record.imbalance_ratio for t in comparison.trials]
    assert order == sorted(order, key=comparison.ratios.index)


def test_of_a_loss_the_smallest_comes_first(tmp_path, make_study):
    make_study(ratios=(0.1,))
    by_score, by_loss = comparison_of(tmp_path), comparison_of(tmp_path, metric="val/nll")
    assert by_loss.best[0.1].record.trial_id == by_score.best[0.1].record.trial_id
    assert by_loss.best[0.1].gain.mean == pytest.approx(-by_score.best[0.1].gain.mean)


def test_a_lucky_raced_out_or_failed_trial_does_not_lead(tmp_path, make_study):
    ledger = make_study(ratios=(0.1,), trials=0, reference=False)
    add_trial(ledger, "v", "reference", "vanilla", 0.1, {0: 0.5, 1: 0.5, 2: 0.5})
    add_trial(ledger, "lucky", "search", "prefinetune", 0.1, {0: 0.9}, "raced_out")
    add_trial(ledger, "steady", "search", "prefinetune", 0.1, {0: 0.6, 1: 0.6}, "running")
    add_trial(ledger, "broken", "search", "prefinetune", 0.1, {0: 0.8, 1: 0.8, 2: 0.8}, "failed")
    assert comparison_of(tmp_path).best[0.1].record.trial_id == "steady"
    add_trial(ledger, "complete", "search", "prefinetune", 0.1, {0: 0.4, 1: 0.4, 2: 0.4})
    assert comparison_of(tmp_path).best[0.1].record.trial_id == "complete"


def test_the_matched_control_is_the_one_of_the_leading_trial(tmp_path, make_study):
    ledger = make_study(ratios=(0.1,), trials=0, reference=False)
    add_trial(ledger, "v", "reference", "vanilla", 0.1, {0: 0.5, 1: 0.4})
    add_trial(ledger, "good", "search", "prefinetune", 0.1, {0: 0.7, 1: 0.7})
    add_trial(ledger, "poor", "search", "prefinetune", 0.1, {0: 0.3, 1: 0.3})
    add_trial(ledger, "m-good", "control", "vanilla_matched", 0.1, {0: 0.6, 1: 0.5}, matched_to="good")
    add_trial(ledger, "m-poor", "control", "vanilla_matched", 0.1, {0: 0.2, 1: 0.2}, matched_to="poor")
    comparison = comparison_of(tmp_path)
    control = comparison.baseline(0.1, "vanilla_matched")
    assert control.record.trial_id == "m-good"
    assert comparison.lead_over(control).mean == pytest.approx(0.15)
    listed = next(b for b in comparison_json(comparison)["baselines"] if b["matched_to"] == "good")
    assert listed["best_trial_minus_this"]["trial_id"] == "good"
    assert listed["gain"]["mean"] == pytest.approx(0.1)


def budget_of_arm(tmp_path, arm):
    (row,) = [b for b in comparison_json(comparison_of(tmp_path))["baselines"] if b["arm"] == arm]
    return row["tuned"], row["settings_from"], row["budget"]["trials"], row["budget"]["replicates"]


def test_every_arm_states_its_budget(tmp_path, make_study):
    ledger = make_study(ratios=(0.1,), trials=0, reference=False)
    add_trial(ledger, "tune-1", "reference_tuning", "vanilla", 0.1, {0: 0.5}, lr=1)
    add_trial(ledger, "tune-2", "reference_tuning", "vanilla", 0.1, {0: 0.4}, lr=2)
    add_trial(
        ledger, "v", "reference", "vanilla", 0.1, {0: 0.5, 1: 0.4}, lr=1
    )  # its first replicate is taken over
    add_trial(ledger, "p", "reference", "logit_adjustment_posthoc", 0.1, {0: 0.5, 1: 0.4})
    add_trial(ledger, "good", "search", "prefinetune", 0.1, {0: 0.7, 1: 0.7})
    add_trial(ledger, "poor", "search", "prefinetune", 0.1, {0: 0.3}, "raced_out")
    add_trial(ledger, "m", "control", "vanilla_matched", 0.1, {0: 0.6, 1: 0.5}, matched_to="good")
    add_trial(ledger, "a", "control", "augment_single_stage", 0.1, {0: 0.6, 1: 0.5}, matched_to="good")
    add_trial(ledger, "w", "control", "weighted", 0.1, {0: 0.6, 1: 0.5})
    add_trial(ledger, "f-1", "control_search", "focal", 0.1, {0: 0.6, 1: 0.5})
    add_trial(ledger, "f-2", "control_search", "focal", 0.1, {0: 0.2}, "raced_out")
    add_trial(ledger, "f-3", "control_search", "focal", 0.5, {0: 0.2})  # of another ratio
    assert budget_of_arm(tmp_path, "vanilla") == (True, "tuning", 2, 3)
    assert budget_of_arm(tmp_path, "logit_adjustment_posthoc") == (False, "vanilla", 0, 0)
    assert budget_of_arm(tmp_path, "vanilla_matched") == (False, "vanilla", 1, 2)
    assert budget_of_arm(tmp_path, "augment_single_stage") == (False, "leading_trial", 1, 2)
    assert budget_of_arm(tmp_path, "weighted") == (False, "vanilla", 1, 2)
    assert budget_of_arm(tmp_path, "focal") == (True, "tuning", 2, 3)
    found = comparison_json(comparison_of(tmp_path))
    assert all(
        b["best_trial_minus_this"]["budget"] == {"trials": 2, "replicates": 3} for b in found["baselines"]
    )
    ids = [t["trial_id"] for t in found["trials"]]
    assert sorted(ids) == ["f-1", "f-2", "f-3", "good", "poor"]
    note = budget_note(comparison_of(tmp_path), 0.1)
    assert "2 trials, 3 replicates" in note and "class-weighted loss" in note and "focal" not in note
    assert "ran at settings tuned for vanilla" in note


def test_beside_a_vanilla_of_a_fixed_recipe_nothing_is_called_tuned(tmp_path, make_study):
    ledger = make_study(ratios=(0.1,), trials=0, reference=False)
    add_trial(ledger, "v", "reference", "vanilla", 0.1, {0: 0.5, 1: 0.4}, lr=1)
    add_trial(ledger, "good", "search", "prefinetune", 0.1, {0: 0.7, 1: 0.7})
    add_trial(ledger, "poor", "search", "prefinetune", 0.1, {0: 0.3}, "raced_out")
    add_trial(ledger, "w", "control", "weighted", 0.1, {0: 0.6, 1: 0.5})
    comparison = comparison_of(tmp_path)
    told = [result.budget.in_words() for result in (*comparison.baselines, *comparison.best.values())]
    assert told[-1] == "chosen among 2 trials, 3 replicates"
    note = budget_note(comparison, 0.1)
    assert "vanilla's settings, a fixed recipe: class-weighted loss" in note
    assert not any(
        "tuned" in words.replace("not tuned", "").replace("Tuned themselves", "") for words in (*told, note)
    )


def test_a_tuned_control_stands_among_the_baselines_with_its_leading_trial(tmp_path, make_study):
    ledger = make_study(ratios=(0.1,), trials=0, reference=False)
    add_trial(ledger, "v", "reference", "vanilla", 0.1, {0: 0.5, 1: 0.4})
    add_trial(ledger, "good", "search", "prefinetune", 0.1, {0: 0.7, 1: 0.7})
    add_trial(ledger, "untuned", "control", "focal", 0.1, {0: 0.4, 1: 0.4})
    add_trial(ledger, "f-best", "control_search", "focal", 0.1, {0: 0.8, 1: 0.6})
    add_trial(ledger, "f-other", "control_search", "focal", 0.1, {0: 0.5, 1: 0.4})
    comparison = comparison_of(tmp_path)
    control = comparison.baseline(0.1, "focal")
    assert control.record.trial_id == "f-best"
    assert comparison.lead_over(control).mean == pytest.approx(0.0)
    assert control.gain.mean == pytest.approx(0.25)
    # A control never leads the search, however good it is, and no trial is counted twice.
    assert comparison.best[0.1].record.trial_id == "good"
    assert len(comparison.everything) == len({r.record.trial_id for r in comparison.everything}) == 5
    assert len(comparison.trials) == 1


def test_an_undefined_score_is_null_and_never_leads(tmp_path, make_study):
    ledger = make_study(ratios=(0.1,), trials=0, reference=False)
    add_trial(ledger, "v", "reference", "vanilla", 0.1, {0: 0.5, 1: 0.5})
    add_trial(ledger, "nan", "search", "prefinetune", 0.1, {0: math.nan, 1: 0.99})
    add_trial(ledger, "fine", "search", "prefinetune", 0.1, {0: 0.5, 1: 0.6})
    comparison = comparison_of(tmp_path)
    assert comparison.best[0.1].record.trial_id == "fine"
    undefined = comparison_json(comparison)["trials"][-1]
    assert undefined["trial_id"] == "nan"
    assert undefined["gain"]["mean"] is None
    assert undefined["metrics"]["val/macro_f1"] == {"mean": None, "ci_low": None, "ci_high": None}


def test_an_unknown_metric_names_the_known_ones(tmp_path, make_study):
    make_study()
    with pytest.raises(ConfigurationError, match=r"'val/f1'.*val/macro_f1.*val/recall/other"):
        comparison_of(tmp_path, metric="val/f1")


def test_a_metric_with_class_offsets_is_judged_on_the_test_set_with_them():
    config = {"objective": "val_offsets/macro_f1"}
    assert deciding_metric({"config": config}) == "val_offsets/macro_f1"
    assert deciding_metric({"config": {**config, "test_sets": ["test"]}}) == "test_offsets/macro_f1"


def test_any_metric_will_do_before_there_are_scores(tmp_path, make_study):
    make_study(trials=0, reference=False)
    assert comparison_json(comparison_of(tmp_path, metric="val/mcc"))["trials"] == []


def test_a_missing_study_is_told_with_its_neighbours_and_the_command(tmp_path, make_study):
    make_study("trec", trials=0)
    with pytest.raises(ConfigurationError) as caught:
        load_study(tmp_path, "adme")
    message = str(caught.value)
    assert str(tmp_path) in message
    assert "trec" in message
    assert "python -m study.launch adme" in message


@pytest.mark.parametrize("name", ["", "..", "a/b"])
def test_a_path_is_not_a_study_name(tmp_path, name):
    with pytest.raises(ConfigurationError, match="not a path"):
        load_study(tmp_path, name)


@pytest.mark.parametrize("text", ["{", "[]", "\xff"])
def test_damaged_facts_are_a_configuration_fault(tmp_path, make_study, text):
    make_study(trials=0)
    (tmp_path / "adme" / "study.json").write_text(text, encoding="latin-1")
    with pytest.raises(ConfigurationError, match=r"study\.json"):
        load_study(tmp_path, "adme")


def test_all_missing_facts_are_named_at_once(tmp_path):
    (tmp_path / "adme").mkdir()
    (tmp_path / "adme" / "study.json").write_text(json.dumps({"study": "adme", "corpus": {"rows": 1}}))
    with pytest.raises(ConfigurationError, match=r"preset.*corpus\.digest.*mlflow\.tracking_uri"):
        load_study(tmp_path, "adme")


def test_a_study_without_a_ledger_is_empty(tmp_path, make_study):
    make_study(trials=0, reference=False)
    assert not (tmp_path / "adme" / "ledger.jsonl").exists()
    assert comparison_of(tmp_path).trials == ()


def test_passwords_do_not_reach_the_comparison(tmp_path, make_study):
    make_study(tracking_uri="postgresql://me:pa%73s@db.local:5432/mlflow", trials=1)
    assert "pa%73s" not in json.dumps(comparison_json(comparison_of(tmp_path)))
    assert without_passwords({"a": ["https://u:p@h/x?y=1"]}) == {"a": ["https://u:***@h/x?y=1"]}
    assert without_passwords("sqlite:////data/a:b@c/mlflow.db") == "sqlite:////data/a:b@c/mlflow.db"


def test_a_reopened_ledger_gives_the_same_comparison(tmp_path, make_study):
    ledger = make_study()
    facts, reread = load_study(tmp_path, "adme")
    assert isinstance(reread, Ledger)
    assert comparison_json(build_comparison(ledger, facts)) == comparison_json(
        build_comparison(reread, facts)
    )

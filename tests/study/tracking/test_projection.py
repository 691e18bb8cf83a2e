"""Names that MLflow takes."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from study.record.ledger import Ledger, TrialRecord
from study.tracking.projection import metric_name, run_name, view_of
from tests.study.tracked import small_study
from trainables.method.arms import ARMS, LINEAR_ARMS
from trainables.settings import TrialSettings


@pytest.mark.parametrize(
    ("phase", "arm", "expected"),
    [
        ("control", "focal", "focal natural gamma=2 (control)"),
        ("control", "crt", "crt natural (control)"),
        ("control", "feature_smote", "feature_smote natural k=5 (control)"),
        (
            "control",
            "augment_single_stage",
            "augment_single_stage natural embedding_neighbours 0.1 (control)",
        ),
        ("control", "two_stage_reweight", "two_stage_reweight natural beta=0.999 (control)"),
        ("reference_tuning", "vanilla", "vanilla natural lr=0.0001 epochs=2 (tuning) #1762"),
    ],
)
def test_runs_of_every_arm_are_named_for_people(phase, arm, expected):
    config = TrialSettings(arm=arm).to_config()
    assert run_name(TrialRecord("t", phase, arm, "natural", config)) == expected


@pytest.mark.parametrize("arm", [arm for arm in ARMS if arm not in LINEAR_ARMS])
def test_trials_of_a_tuned_arm_are_told_apart(arm):
    configs = [TrialSettings(arm=arm, stage2_learning_rate=rate).to_config() for rate in (1e-5, 2e-5)]
    first, second = (run_name(TrialRecord("t", "control_search", arm, 0.1, config)) for config in configs)
    assert first != second and f"{arm} r=0.1" in first and "lr=1e-05" in first


def test_settings_that_played_no_part_are_not_shown(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.start_trial(
        "t", "control", "focal", 0.1, TrialSettings(arm="focal", imbalance_ratio=0.1).to_config()
    )
    params = view_of(ledger.trials["t"], ledger, "val/macro_f1").params
    assert params["gamma"] == "2.0" and params["stage2_epochs"] == "2.0" and params["arm"] == "focal"
    assert not {"operator", "stage1_epochs", "head", "tau", "beta"} & params.keys()


def test_an_operator_that_has_nothing_to_do_is_not_shown(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    config = TrialSettings(stage1_data="duplicated_natural", stage1_steps=5).to_config()
    ledger.start_trial("t", "search", "prefinetune", "natural", config)
    params = view_of(ledger.trials["t"], ledger, "val/macro_f1").params
    assert not {"operator", "strength", "stage1_rows_per_class", "stage1_epochs"} & params.keys()
    assert params["stage1_steps"] == "5" and "0.1" not in run_name(ledger.trials["t"])


def test_a_gain_with_class_offsets_stands_beside_the_plain_one(tmp_path):
    ledger = small_study(tmp_path)
    for trial_id, values in (("v", (0.5, 0.6, 0.7)), ("t", (0.5, 0.5, 0.9))):
        for index, record in list(ledger.trials[trial_id].replicates.items()):
            record.metrics["val_offsets/macro_f1"] = values[index]
    view = view_of(ledger.trials["t"], ledger, "val/macro_f1")
    assert view.means["val_offsets/gain_macro_f1"] == (pytest.approx(1 / 30), 3)
    assert view.means["val_offsets/gain_ci_low"][0] < 0 < view.means["val/gain_ci_low"][0]
    assert view.points["values/val_offsets/gain_macro_f1", 2][0] == pytest.approx(0.2)
    pursued = view_of(ledger.trials["t"], ledger, "val_offsets/macro_f1")
    gained = {name for name in pursued.means if "gain_macro_f1" in name}
    assert gained == {"val_offsets/gain_macro_f1"}, "it has no offsets on top"
    assert {f"val_offsets/macro_f1_{bound}" for bound in ("ci_low", "ci_high")} <= pursued.means.keys()
    earlier = view_of(ledger.trials["u"], ledger, "val/macro_f1")
    assert not any("offsets" in name for name in earlier.means)


def original_name(name: str) -> str:
    """Undo :func:`metric_name`, for names within MLflow's limit."""
    segments = ["" if segment == "_x_" else segment for segment in name.split("/")]
    return re.sub(r"_x([0-9A-F]+)_", lambda m: chr(int(m.group(1), 16)), "/".join(segments))


@settings(deadline=None)  # the first call imports MLflow
@example("_x0:")  # what is escaped behind it closes an escape that nobody opened
@given(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
    | st.text("._/x25 %", min_size=1, max_size=12)
)
def test_any_class_name_becomes_a_metric_name_that_mlflow_takes_and_that_stays_unique(name):
    from mlflow.utils.validation import _validate_metric_name

    safe = metric_name(name)
    _validate_metric_name(safe)
    assert original_name(safe) == name


@settings(deadline=None)
@given(st.text(min_size=300, max_size=400))
def test_long_names_are_cut_to_what_mlflow_takes(name):
    from mlflow.utils.validation import _validate_metric_name

    _validate_metric_name(metric_name(name))
    assert len(metric_name(name)) <= 250
    assert metric_name(name) != metric_name(name + "x")

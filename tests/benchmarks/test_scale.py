from __future__ import annotations

import json

import pytest

from benchmarks.scale import Costs, Workload, costs_of, main, saturating_gpus, simulate

FREE = Costs(trial_s=0.0, report_s=0.0, growth=0.0, memory_kb=0.0, stored_kb=0.0)
CALM = Workload(trials=2000, replicates=3.0, replicate_s=100.0, lost_per_hour=0.0, replaced_s=0.0)


def test_a_driver_that_costs_nothing_keeps_every_gpu_busy():
    outcome = simulate(8, CALM, FREE)
    assert outcome.efficiency > 0.98 and outcome.driver == 0.0 and outcome.wait_s == 0.0 and outcome.lost == 0
    assert outcome.trained == pytest.approx(6000, rel=0.05)  # trials times replicates
    assert outcome.hours == pytest.approx(outcome.trained * 100.0 / 3600 / 8, rel=0.03)


def test_a_saturated_driver_sets_the_pace():
    busy = Costs(trial_s=3.0, report_s=3.0, growth=0.0, memory_kb=0.0, stored_kb=0.0)
    outcome = simulate(256, CALM, busy)
    assert outcome.driver > 0.95
    assert outcome.hours == pytest.approx(3.0 * (CALM.trials + outcome.trained) / 3600, rel=0.05)
    assert outcome.efficiency < 0.2
    assert 8 < saturating_gpus(CALM, busy) < 256


def test_what_grows_with_the_trials_slows_the_study_down():
    growing = Costs(trial_s=1.0, report_s=0.0, growth=5.0, memory_kb=0.0, stored_kb=0.0)
    even = Costs(trial_s=1.0, report_s=0.0, growth=0.0, memory_kb=0.0, stored_kb=0.0)
    assert simulate(64, CALM, growing).driver > 3 * simulate(64, CALM, even).driver


def test_lost_machines_cost_what_was_in_flight_and_the_replacement():
    spot = Workload(trials=2000, replicates=3.0, replicate_s=100.0, lost_per_hour=0.5, replaced_s=600.0)
    outcome = simulate(64, spot, FREE)
    hours_of_gpus = outcome.trained * 100.0 / 3600
    assert outcome.lost == pytest.approx(hours_of_gpus * 0.69, rel=0.2)  # -ln(1 - .5) an hour
    assert outcome.efficiency < 0.93


def test_the_costs_are_read_from_what_the_control_plane_took(tmp_path, capsys):
    measured = {
        "trials": 2000,
        "replicates_per_trial": 3.0,
        "seconds_per_trial": 0.4,
        "driver_growth": 1.5,
        "memory_per_trial_kb": 80.0,
        "stored_per_trial_kb": 30.0,
    }
    costs = costs_of(measured)
    assert costs.trial_s == costs.report_s == pytest.approx(0.1)
    # Half of .4 s more over 2,000 trials, all of it in the start.
    assert costs.trial_s * costs.growth * 2.0 == pytest.approx(0.2)
    file = tmp_path / "costs.json"
    file.write_text(json.dumps(measured))
    assert main(["--costs", str(file), "--trials", "50", "--gpus", "2", "4", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [outcome["gpus"] for outcome in printed["outcomes"]] == [2, 4]
    assert printed["stored_gb"] == pytest.approx(50 * 30.0 / 1e6)


def test_another_file_is_refused(tmp_path, capsys):
    file = tmp_path / "other.json"
    file.write_text(json.dumps({"trials": 5}))
    assert main(["--costs", str(file)]) == 2
    assert "benchmarks.control_plane" in capsys.readouterr().err
    file.write_text("{")
    assert main(["--costs", str(file)]) == 2

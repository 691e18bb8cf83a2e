from __future__ import annotations

import json
from dataclasses import replace

import pytest

from benchmarks.scale import Cost, Costs, Workload, costs_of, main, saturating_gpus, simulate

FREE = Costs({})
CALM = Workload(trials=2000, replicates=3.0, replicate_s=100.0, lost_per_hour=0.0, replaced_s=0.0)


def test_a_driver_that_costs_nothing_keeps_every_gpu_busy():
    outcome = simulate(8, CALM, FREE)
    assert outcome.efficiency > 0.98 and outcome.driver == 0.0 and outcome.wait_s == 0.0 and outcome.lost == 0
    assert outcome.trained == pytest.approx(6000, rel=0.05)  # trials times replicates
    assert outcome.hours == pytest.approx(outcome.trained * 100.0 / 3600 / 8, rel=0.03)


def test_a_saturated_driver_sets_the_pace():
    busy = Costs({"mlflow": Cost(2.0, 2.0), "rest": Cost(1.0, 1.0)})
    outcome = simulate(256, CALM, busy)
    assert outcome.driver > 0.95
    assert outcome.hours == pytest.approx(3.0 * (CALM.trials + outcome.trained) / 3600, rel=0.05)
    assert outcome.efficiency < 0.2
    assert outcome.parts["mlflow"] == pytest.approx(2 * outcome.parts["rest"])
    assert sum(outcome.parts.values()) == pytest.approx(outcome.driver)
    # A trial takes 300 s of a GPU, and 12 s of the driver: 8 s for MLflow, 4 s for the rest.
    assert saturating_gpus(CALM, busy) == {"driver": 26, "mlflow": round(308 / 8), "rest": 76}


def test_with_few_gpus_a_part_works_as_often_as_it_is_asked():
    costs = Costs({"searcher": Cost(0.3, 0.0), "ledger": Cost(0.01, 0.02)})
    outcome = simulate(8, CALM, costs)
    seconds = 3600 * outcome.hours
    assert outcome.parts["searcher"] == pytest.approx(0.3 * CALM.trials / seconds)
    assert outcome.parts["ledger"] == pytest.approx(
        (0.01 * CALM.trials + 0.02 * outcome.trained) / seconds, rel=1e-6
    )
    assert 0.0 < outcome.driver < 0.1 and outcome.storage == 0.0


def test_a_storage_that_is_too_slow_sets_the_pace_too():
    heavy = replace(CALM, written_mb=500.0, storage_mb_s=100.0)
    few, many = simulate(4, heavy, FREE), simulate(64, heavy, FREE)
    assert few.storage == pytest.approx(4 * 5.0 / 105.0, rel=0.1) and few.efficiency > 0.9
    assert many.storage > 0.95 and many.driver == 0.0
    assert many.hours == pytest.approx(5.0 * many.trained / 3600, rel=0.05)
    assert saturating_gpus(heavy, FREE) == {"storage": 21}  # 100 s of training, 5 s of writing


def test_what_grows_with_the_trials_slows_the_study_down():
    growing, even = Costs({"searcher": Cost(1.0, 0.0, 5.0)}), Costs({"searcher": Cost(1.0, 0.0)})
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
        "parts": {
            "searcher": {"seconds_per_trial": 0.2, "growth": 2.0},
            "ledger": {"seconds_per_trial": 0.004, "growth": 0.9},
            "mlflow": {"seconds_per_trial": 0.4, "growth": 1.5},
            "rest": {"seconds_per_trial": 0.04, "growth": 1.0},
        },
        "memory_per_trial_kb": 80.0,
        "stored_per_trial_kb": 30.0,
        "written_per_replicate_kb": 50.0,
    }
    costs = costs_of(measured)
    mlflow, searcher = costs.parts["mlflow"], costs.parts["searcher"]
    assert mlflow.trial_s == mlflow.report_s == pytest.approx(0.1)
    # Half of .4 s more over 2,000 trials, all of it in the start.
    assert mlflow.start_s(2000) - mlflow.start_s(0) == pytest.approx(0.2)
    assert (searcher.start_s(0), searcher.start_s(2000), searcher.report_s) == pytest.approx((0.2, 0.4, 0.0))
    assert costs.parts["ledger"].growth == costs.parts["rest"].growth == 0.0
    file = tmp_path / "costs.json"
    file.write_text(json.dumps(measured))
    assert main(["--costs", str(file), "--trials", "50", "--gpus", "2", "4", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [outcome["gpus"] for outcome in printed["outcomes"]] == [2, 4]
    assert printed["stored_gb"] == pytest.approx(50 * 30.0 / 1e6)
    assert {*printed["saturating_gpus"]} == {"driver", "searcher", "ledger", "mlflow", "rest", "storage"}
    assert main(["--costs", str(file), "--trials", "50", "--gpus", "2", "4"]) == 0
    table = " ".join(capsys.readouterr().out.split())
    # 120.0 s of training against (440 + .05) / 125 s of writing; the driver takes .68 s of a trial of 420 s.
    assert "First the storage would be what a study waits for, from about 35 GPUs on" in table


def test_another_file_is_refused(tmp_path, capsys):
    file = tmp_path / "other.json"
    file.write_text(json.dumps({"trials": 5}))
    assert main(["--costs", str(file)]) == 2
    assert "benchmarks.control_plane" in capsys.readouterr().err
    file.write_text("{")
    assert main(["--costs", str(file)]) == 2


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--storage-mb-per-second", "0", "a number above 0"),
        ("--replicate-seconds", "nan", "a number above 0"),
        ("--written-mb", "-1", "a number of at least 0"),
        ("--lost-per-hour", "1", "a probability from 0 to below 1"),
        ("--gpus", "8.5", "a whole number above 0"),
        ("--trials", "many", "a whole number above 0"),
        ("--replicates", "0.5", "a number of at least 1"),
    ],
)
def test_a_number_that_cannot_be_is_refused(option, value, expected, capsys):
    with pytest.raises(SystemExit):
        main(["--costs", "costs.json", option, value])
    assert f"argument {option}: expected {expected}, got '{value}'" in capsys.readouterr().err


def test_machines_on_which_no_replicate_ends_are_refused(tmp_path, capsys):
    costs = tmp_path / "costs.json"
    costs.write_text("{}")
    assert main(["--costs", str(costs), "--lost-per-hour", "0.99", "--replicate-seconds", "36000"]) != 0
    assert "--lost-per-hour 0.99 with --replicate-seconds 36000" in capsys.readouterr().err

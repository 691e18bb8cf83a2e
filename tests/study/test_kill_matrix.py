"""Every cell of the kill matrix, and (fast) what its script reads; ``python -m tests.kill_matrix`` prints the table."""

from __future__ import annotations

import pytest

from study.record.ledger import Ledger
from tests.kill_matrix import MOMENTS, VICTIMS, Left, Matrix, has_come, table, without_times
from tests.study.simulation import SimulatedStudy, small_config


@pytest.fixture(scope="module")
def matrix(tmp_path_factory):
    matrix = Matrix(tmp_path_factory.mktemp("matrix"))
    yield matrix
    matrix.close()


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("victim", VICTIMS)
def test_whatever_is_killed_whenever_the_same_command_ends_at_the_same(matrix, victim, moment):
    assert matrix.undisturbed.runs.keys() == {"FINISHED"}
    assert matrix.undisturbed.optuna.keys() == {"COMPLETE"}
    _, differences = matrix.cell(victim, moment)
    assert differences == []


def test_the_moments_come_in_their_order(tmp_path):
    config = small_config(confirmation_replicates=2, finalists=1, imbalance_ratios=(0.1,))
    study = SimulatedStudy(tmp_path, config)
    came = []
    while (job := study.plan.next_job()) is not None:
        ledger = Ledger(study.ledger.path)
        came += [moment for moment in MOMENTS if moment not in came and has_come(moment, ledger)]
        study._run_job(job)
    assert came == list(MOMENTS)


def test_what_differs_is_told():
    whole = Left({"COMPLETE": 4}, {"FINISHED": 9}, 0, {"a": {0: {"val/macro_f1": 0.5}}}, {"best": "a"})
    assert whole.differences(whole) == []
    other = Left({"COMPLETE": 3, "FAIL": 1}, {"FINISHED": 9}, 1, {}, {"best": "b"})
    assert other.differences(whole) == [
        "optuna {'COMPLETE': 3, 'FAIL': 1} instead of {'COMPLETE': 4}",
        "1 replicates twice",
        "other scores",
        "another table",
    ]
    assert "| driver | racing | 4 COMPLETE | 3 COMPLETE, 1 FAIL | 9 FINISHED | 9 FINISHED | 1 |" in table(
        {("driver", "racing"): (other, other.differences(whole))}, whole
    )


def test_times_and_the_studys_name_make_no_difference():
    found = {"study": "x", "trials": [{"seconds": 3.0, "gain": 0.1, "report": "storage/x"}]}
    assert without_times(found, "x") == {
        "study": "NAME",
        "trials": [{"gain": 0.1, "report": "storage/NAME"}],
    }

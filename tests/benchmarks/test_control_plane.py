from __future__ import annotations

import pytest

from benchmarks.control_plane import Mark, figures_of, report_made_up, study_of
from tests.study.simulation import SimulatedStudy


def test_the_figures_tell_growth_from_the_first_trials_to_the_last():
    at, worked, marks = 0.0, 0.0, []
    for number in range(1002):
        at, worked = at + (0.1 if number < 500 else 0.2), worked + 0.05
        spent = {"searcher": 0.3 * at, "ledger": 0.001 * number, "mlflow": 0.02 * number}
        marks.append(Mark(at, worked, 1 + 0.007 * number, spent))
    figures = figures_of(marks, at_a_time=2)
    assert figures["growth"] == pytest.approx(2.0) and figures["driver_growth"] == pytest.approx(1.0)
    assert figures["driver_seconds_per_trial"] == pytest.approx(0.05)
    assert figures["seconds_per_trial"] == pytest.approx(0.15, abs=0.001)
    assert figures["memory_per_trial_kb"] == pytest.approx(7.0)
    parts = figures["parts"]
    assert sum(part["seconds_per_trial"] for part in parts.values()) == pytest.approx(
        figures["seconds_per_trial"]
    )
    assert parts["ledger"] == pytest.approx({"seconds_per_trial": 0.001, "growth": 1.0})
    assert parts["searcher"]["growth"] == pytest.approx(2.0)
    assert parts["rest"]["growth"] == pytest.approx((0.14 - 0.021) / (0.07 - 0.021))


def test_the_space_outlasts_the_trials():
    for trials in (10, 2000, 10_000):
        space = study_of(trials, 2).space
        combinations = 1
        for grid in space.values():
            combinations *= len(set(grid))
        assert combinations > 2 * trials


def test_made_up_trials_report_what_real_ones_do(tmp_path):
    study = SimulatedStudy(tmp_path, study_of(4, 1))
    job = study.plan.next_job()
    reports = []
    report_made_up(job, reports.append)
    assert [report["replicates"] for report in reports] == list(range(1, len(job.replicates) + 1))
    assert all(
        report["failure"] is None and job.objective in report["record"]["metrics"] for report in reports
    )

"""A search that runs late gives up trials, never the confirmation, and says so in the ledger."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from study.plan.deadline import Deadline, Expected, ExpectedRuns
from study.record.ledger import Ledger, ReplicateRecord
from study.run.runs import runs_of
from study.verdict.study_time import study_time
from tests.study.simulation import SimulatedStudy, small_config

CONFIG = small_config(
    imbalance_ratios=(0.1,),
    trials=8,
    reference_space={"stage2_learning_rate": (5e-5, 1e-4), "stage2_epochs": (1.0, 2.0, 3.0, 4.0)},
    finalists=1,
    screening_replicates=1,
    confirmation_replicates=4,
)
EXPECTED = Expected(
    tuple(
        ExpectedRuns(runs.phase, runs.arm, 0.1, runs.trials, runs.replicates, 1.0)
        for runs in runs_of(CONFIG, 0.1)
    ),
    concurrency=1,
)
ENDING = 5.0


def run(folder, budget, slow=1.0, **options):
    """Run a study whose every replicate takes ``slow`` seconds where one was expected."""
    spent = lambda: slow * len(study.computed)  # noqa: E731
    deadline = None if budget is None else Deadline(budget, spent, EXPECTED, ENDING)
    study = SimulatedStudy(folder, CONFIG, deadline=deadline, **options)
    plain = study._compute

    def compute(job, replicate, value):
        plain(job, replicate, value)
        record = study.ledger.trials[job.trial_id].replicates[replicate]
        record.seconds = slow

    study._compute = compute
    study.run()
    return study, spent()


def counted(study):
    return Counter(trial.phase for trial in study.ledger.trials.values())


@pytest.fixture
def whole(tmp_path):
    folder = tmp_path / "whole"
    folder.mkdir()
    return run(folder, None)


def test_a_study_that_is_in_time_is_run_as_planned(tmp_path, whole):
    study, _ = run(tmp_path, EXPECTED.seconds() + ENDING + 10.0)
    assert study.ledger.trial_limit is None
    assert counted(study) == counted(whole[0]) and study.plan.complete


def test_a_slow_machine_costs_trials_of_all_searches_alike_and_nothing_of_the_confirmation(tmp_path, whole):
    budget = EXPECTED.seconds() + ENDING
    study, spent = run(tmp_path, budget, slow=1.5)
    assert study.plan.complete
    tried = counted(study)
    assert 1 <= study.ledger.trial_limit < 8
    assert tried["reference_tuning"] == tried["search"] == study.ledger.trial_limit
    confirmed = list(study.ledger.of_phase("confirmation"))
    assert {len(trial.replicates) for trial in confirmed} == {4}
    assert tried["confirmation"] == counted(whole[0])["confirmation"]
    assert spent <= budget


def test_the_time_left_falls_to_nothing_and_follows_the_pace(tmp_path):
    ledger = Ledger(tmp_path / "empty.jsonl")
    assert EXPECTED.seconds_left(ledger) == sum(run.replicates * run.each for run in EXPECTED.runs)
    study, _ = run(tmp_path, None)
    assert EXPECTED.seconds_left(study.ledger) == 0.0
    for trial in study.ledger.trials.values():
        for record in trial.replicates.values():
            record.seconds *= 3.0
    assert EXPECTED.pace(study.ledger) == 3.0


def test_with_no_time_left_every_search_has_its_first_trial_and_the_confirmation_is_run(tmp_path):
    study, _ = run(tmp_path, 1.0)
    assert study.plan.complete and study.ledger.trial_limit == 1
    assert counted(study)["search"] == 1
    assert {len(trial.replicates) for trial in study.ledger.of_phase("confirmation")} == {4}


def test_what_was_given_up_stays_so_in_a_later_launch(tmp_path):
    first, _ = run(tmp_path, EXPECTED.seconds() + ENDING, slow=1.5)
    again = SimulatedStudy(tmp_path, CONFIG)
    assert again.ledger.trial_limit == first.ledger.trial_limit
    assert again.plan.complete and again.plan.next_job() is None


def test_another_budget_gives_the_searches_their_trials_back(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append("launched", began=0.0, budget_s=600.0)
    ledger.append("trial_limit", trials=2)
    ledger.append("launched", began=0.0, budget_s=600.0)
    assert Ledger(ledger.path).trial_limit == 2
    ledger.append("launched", began=0.0, budget_s=1200.0)
    assert Ledger(ledger.path).trial_limit is None


def test_the_time_of_a_study_is_that_of_its_launches_without_what_lay_between(tmp_path, monkeypatch):
    ledger = Ledger(tmp_path / "ledger.jsonl")

    def at(seconds, event, **values):
        monkeypatch.setattr("time.time", lambda: seconds)
        ledger.append(event, **values)

    at(1010.0, "launched", began=1000.0, budget_s=600.0)
    at(1100.0, "trial_limit", trials=2)  # and is killed
    at(9003.0, "launched", began=9000.0, budget_s=600.0)
    at(9050.0, "ended")
    again = Ledger(ledger.path)
    assert again.seconds_taken() == 150.0
    assert again.seconds_taken(now=9060.0) == 160.0
    study = {"time": {"planned_s": 120.0, "budget_s": 600.0, "trials_a_ratio": 4}}
    found = study_time(again, study)
    assert found.in_words() == "It took 2.5 min of a budget of 10 min; 2.0 min were planned."
    assert "2 trials a ratio instead of 4" in found.cut_in_words()
    assert study_time(again, {}).cut_in_words() == "", "a study of an earlier version planned with no time"


def test_a_launch_that_has_nothing_to_do_leaves_no_trace(tmp_path, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 1100.0)
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.launch(1000.0, 600.0)
    ledger.append("look", replicates=5)
    ledger.end_launch()
    written = ledger.path.read_bytes()
    idle = Ledger(ledger.path)
    idle.launch(9000.0, 600.0)
    idle.end_launch()
    assert ledger.path.read_bytes() == written
    assert idle.seconds_taken() == ledger.seconds_taken() == 100.0
    assert idle.seconds_taken(now=9030.0) == 130.0  # what a deadline goes by while it runs


def test_trials_with_long_settings_do_not_count_as_a_slow_machine(tmp_path):
    """What a replicate takes follows its own epochs, whose mean was planned."""
    by_epochs = replace(EXPECTED, at_settings=lambda run, settings: settings["stage2_epochs"] / 2.5)
    ledger = Ledger(tmp_path / "ledger.jsonl")
    for number in range(3):
        start(ledger, f"v{number}", "reference_tuning", "vanilla", epochs=4.0, seconds=1.6)
    assert EXPECTED.pace(ledger) == 1.6 and by_epochs.pace(ledger) == pytest.approx(1.0)
    # Half of vanilla's search is over: its eight trials are planned with some raced out.
    budget = EXPECTED.seconds() + 60 * 0.6
    spent = 3 * 1.6
    found = [
        Deadline(budget, lambda: spent, expected, ENDING).trials_in_time(ledger)
        for expected in (EXPECTED, by_epochs)
    ]
    assert found[0] < found[1] == 8


def test_what_is_confirmed_is_expected_to_take_what_it_took_in_the_search(tmp_path):
    by_epochs = replace(EXPECTED, at_settings=lambda run, settings: settings["stage2_epochs"] / 2.5)
    ledger = Ledger(tmp_path / "ledger.jsonl")
    start(ledger, "long", "reference_tuning", "vanilla", epochs=5.0, seconds=2.0)
    start(ledger, "lost", "reference_tuning", "vanilla", epochs=1.0, seconds=0.4, state="raced_out")
    each = {(run.phase, run.arm): run.each for run in by_epochs.known(ledger).runs}
    assert each["confirmation", "vanilla"] == 2.0
    assert each["reference_tuning", "vanilla"] == each["confirmation", "prefinetune"] == 1.0
    assert each["confirmation", "vanilla_matched"] == each["confirmation", "paper"] == 1.0
    assert each["confirmation", "tfidf_lr"] == 1.0
    start(ledger, "short", "search", "prefinetune", epochs=1.25, seconds=0.5)
    each = {(run.phase, run.arm): run.each for run in by_epochs.known(ledger).runs}
    assert each["confirmation", "prefinetune"] == each["confirmation", "vanilla_matched"] == 0.5, (
        "at its settings"
    )


def start(ledger, trial_id, phase, arm, *, epochs, seconds, state="complete"):
    ledger.start_trial(trial_id, phase, arm, 0.1, {"stage2_epochs": epochs})
    ledger.add_replicate(trial_id, ReplicateRecord(0, {}, seconds, {}))
    ledger.finish_trial(trial_id, state)

from __future__ import annotations

import contextlib
from collections import Counter

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from study.plan.search import GainSearch
from tests.study.simulation import Killed, SimulatedStudy, die_and_go_on, run_to_the_end, small_config


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kills=st.lists(st.integers(0, 12), min_size=1, max_size=3))
def test_a_killed_study_ends_as_an_uninterrupted_one_and_repeats_nothing(tmp_path_factory, kills):
    config = small_config()
    whole = run_to_the_end(tmp_path_factory.mktemp("whole"), config)
    folder = tmp_path_factory.mktemp("killed")
    computed = []
    for kill_after in [*kills, None]:
        study = SimulatedStudy(folder, config, kill_after=kill_after)
        with contextlib.suppress(Killed):
            study.run()
        computed += study.computed
    assert len(computed) == len(set(computed))
    assert sorted(computed) == sorted(whole.computed)
    assert list(study.ledger.trials) == list(whole.ledger.trials)
    assert {t: r.state for t, r in study.ledger.trials.items()} == {
        t: r.state for t, r in whole.ledger.trials.items()
    }


def test_a_driver_may_die_after_any_event_of_the_ledger(tmp_path_factory):
    """Between a replicate and the end of its trial, between vanilla and its post-hoc arm: everywhere."""
    config = small_config(trials=2, replicates=2, imbalance_ratios=(0.1,))
    whole = run_to_the_end(tmp_path_factory.mktemp("whole"), config)
    events = (whole.ledger.path).read_text().count("\n")
    assert events > 20
    for die_after in range(events):
        study, computed = die_and_go_on(tmp_path_factory.mktemp("dead"), config, die_after)
        assert study.plan.complete and study.plan.finished, die_after
        # What was computed but not yet recorded is computed again, and nothing else.
        assert len(computed) - len(set(computed)) <= 1, die_after
        assert {t: r.state for t, r in study.ledger.trials.items()} == {
            t: r.state for t, r in whole.ledger.trials.items()
        }, die_after
        for trial_id, trial in study.ledger.trials.items():
            assert trial.values("val/macro_f1") == whole.ledger.trials[trial_id].values("val/macro_f1")


def test_any_line_of_the_ledger_may_be_damaged(tmp_path_factory):
    """What it recorded is computed again; a trial of the search that is forgotten is followed by another proposal."""
    config = small_config(
        trials=2, replicates=2, imbalance_ratios=(0.1,), confirmation_replicates=2, finalists=1
    )
    whole = run_to_the_end(tmp_path_factory.mktemp("whole"), config)
    # These have found the reference and what is confirmed, and change nothing any more.
    still_count = {
        t for t, r in whole.ledger.trials.items() if r.phase not in ("reference_tuning", "screening")
    }
    lines = whole.ledger.path.read_bytes().splitlines(keepends=True)
    wrong = []
    for damaged, line in enumerate(lines):
        folder = tmp_path_factory.mktemp("damaged")
        kept = [*lines[:damaged], line.replace(b"e", b"?"), *lines[damaged + 1 :]]
        (folder / "ledger.jsonl").write_bytes(b"".join(kept))
        study = run_to_the_end(folder, config)
        ends = study.plan.complete and study.plan.finished and study.plan.stopped is None
        begins = b'"trial_started"' in line
        same = begins or all(
            study.ledger.trials[trial_id].values(metric) == whole.ledger.trials[trial_id].values(metric)
            for trial_id in still_count
            for metric in ("val/macro_f1", "test/macro_f1")
        )
        if not ends or not same or len(study.computed) > (8 if begins else 1):
            wrong.append((line[:150], ends, same, len(study.computed)))
    assert wrong == []


def test_failed_tuning_is_tried_again_by_the_next_launch(tmp_path):
    config = small_config(imbalance_ratios=(0.1,))
    study = SimulatedStudy(tmp_path, config, fails=lambda job: job.phase == "reference_tuning")
    study.run()
    assert "same command again" in str(study.plan.stopped)
    assert run_to_the_end(tmp_path, config).plan.complete


def test_a_kill_while_the_tunings_replicates_are_taken_over_repeats_none_of_them(tmp_path_factory):
    config = small_config(trials=1, replicates=3, imbalance_ratios=(0.1,))
    whole = run_to_the_end(tmp_path_factory.mktemp("whole"), config)
    lines = whole.ledger.path.read_text().splitlines(keepends=True)
    start = next(
        n for n, line in enumerate(lines) if '"reference"' in line and '"event": "trial_started"' in line
    )
    for kept in range(start + 1, start + 7):
        folder = tmp_path_factory.mktemp("killed")
        (folder / "ledger.jsonl").write_text("".join(lines[:kept]))
        study = run_to_the_end(folder, config)
        reference = study.ledger.reference(0.1)
        assert not any(trial_id == reference.trial_id for trial_id, _ in study.computed)
        (candidate,) = (t for t in study.ledger.of_phase("reference_tuning") if t.config == reference.config)
        assert candidate.seconds + reference.seconds == 3.0


def test_a_candidate_that_failed_is_not_tried_again_once_there_is_a_reference(tmp_path):
    config = small_config(imbalance_ratios=(0.1,))
    study = run_to_the_end(
        tmp_path,
        config,
        fails=lambda job: job.phase == "reference_tuning" and job.settings.stage2_learning_rate == 5e-5,
        failures_can_pass=True,
    )
    assert study.plan.complete and study.ledger.reference(0.1).config["stage2_learning_rate"] == 1e-4
    again = run_to_the_end(tmp_path, config)
    assert again.computed == []
    vanilla = [t for t in again.ledger.of_phase("reference") if t.arm == "vanilla"]
    assert len(vanilla) == 1


def test_a_failed_control_that_is_no_longer_asked_for_keeps_its_end(tmp_path):
    asked = small_config(arms=("focal",), imbalance_ratios=(0.1,))
    run_to_the_end(tmp_path, asked, fails=lambda job: job.settings.arm == "focal")
    without = run_to_the_end(tmp_path, small_config(imbalance_ratios=(0.1,)))
    (control,) = [t for t in without.ledger.of_phase("control") if t.arm == "focal"]
    assert control.state == "failed" and control.error == "made to fail"


def test_a_control_that_nobody_asks_for_any_more_is_ended_with_the_reason(tmp_path):
    asked = small_config(arms=("focal",), imbalance_ratios=(0.1,))
    study = SimulatedStudy(tmp_path, asked)
    while (job := study.plan.next_job()).settings.arm != "focal":
        study._run_job(job)
    without = run_to_the_end(tmp_path, small_config(imbalance_ratios=(0.1,)))
    assert without.plan.complete
    (control,) = [t for t in without.ledger.of_phase("control") if t.arm == "focal"]
    assert control.state == "failed" and "earlier launch" in control.error
    back = run_to_the_end(tmp_path, asked)
    assert back.ledger.trials[control.trial_id].state == "complete"


def test_a_resumed_search_is_told_results_in_the_order_in_which_they_came(tmp_path):
    """With several trials at a time that is not the order in which they started."""
    config = small_config(imbalance_ratios=(0.1,), trials=8, startup_trials=2)
    study = run_to_the_end(tmp_path, config)
    searched = study.ledger.of_phase("search")
    for trial, moment in zip(searched, (3.0, 1.0, 4.0, 2.0, 8.0, 7.0, 6.0, 5.0), strict=True):
        trial.finished = moment
    told = []
    search = GainSearch(config)
    search.tell = lambda trial, ledger: told.append(trial.trial_id)
    search.replay(study.ledger)
    told = [trial_id for trial_id in told if trial_id in {trial.trial_id for trial in searched}]
    assert told == [trial.trial_id for trial in sorted(searched, key=lambda trial: trial.finished)]
    assert search.opened_trials(("prefinetune", 0.1)) == 8


def test_a_torn_last_line_is_lost_alone(tmp_path):
    config = small_config()
    study = SimulatedStudy(tmp_path, config, kill_after=9)
    with pytest.raises(Killed):
        study.run()
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(path.read_bytes()[:-7])
    resumed = run_to_the_end(tmp_path, config)
    assert resumed.plan.complete
    assert path.read_bytes().count(b"\n") > 0
    assert run_to_the_end(tmp_path, config).computed == []


def test_raising_the_number_of_trials_continues_the_search(tmp_path):
    run_to_the_end(tmp_path, small_config(trials=4))
    more = run_to_the_end(tmp_path, small_config(trials=6))
    assert len(more.ledger.of_phase("search")) == 6
    assert {trial_id.split("-")[0] for trial_id, _ in more.computed} <= {"search", "control"}


def test_the_next_launch_tries_again_what_failed_for_a_cause_that_can_pass(tmp_path):
    def fails(job):
        return job.phase == "search" and job.settings.strength == 0.05

    for can_pass in (False, True):
        folder = tmp_path / str(can_pass)
        study = run_to_the_end(folder, small_config(), fails=fails, failures_can_pass=can_pass)
        failed = {t.trial_id for t in study.ledger.of_phase("search") if t.state == "failed"}
        assert failed
        again = run_to_the_end(folder, small_config(), stores_optuna=True)
        assert again.plan.complete
        assert {name for name, _ in again.computed if name.startswith("search")} == (
            failed if can_pass else set()
        )
        states = Counter(again.ledger.trials[name].state == "failed" for name in failed)
        assert states == {not can_pass: len(failed)}
        stored = optuna.load_study(study_name="toy", storage=f"sqlite:///{folder / 'optuna.db'}")
        assert len(stored.trials) == len(again.ledger.of_phase("search"))
        assert run_to_the_end(folder, small_config()).computed == []


def test_a_stop_for_a_cause_that_can_pass_is_mended_by_the_same_command(tmp_path):
    study = SimulatedStudy(
        tmp_path, small_config(), fails=lambda job: job.phase == "search", failures_can_pass=True
    )
    study.run()
    assert "same command again, which retries what failed" in str(study.plan.stopped)
    again = run_to_the_end(tmp_path, small_config())
    assert again.plan.complete
    assert all(trial.state != "failed" for trial in again.ledger.trials.values())

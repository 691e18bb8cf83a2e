from __future__ import annotations

import pytest

from study.plan.failures import (
    LOSSES_THAT_FAIL,
    NODES_THAT_FAIL,
    SAME_FAULTS_THAT_STOP,
    Death,
    Losses,
    SameFault,
)
from study.record.ledger import TrialRecord
from tests.study.simulation import run_to_the_end, small_config
from trainables.errors import TrialFailed

JOB = ("a", 1)


def failures(*messages, phase="search", can_pass=False):
    same = SameFault()
    stopped = None
    for number, message in enumerate(messages):
        trial = TrialRecord(f"{phase}-{number}", phase, "prefinetune", 0.1, {})
        assert stopped is None
        stopped = same.stops(trial, TrialFailed(message, can_pass=can_pass))
    return stopped


def test_deaths_count_until_a_replicate_arrives():
    losses = Losses()
    for _ in range(3):
        for _ in range(LOSSES_THAT_FAIL):
            assert losses.failure(JOB, Death("out of memory", LOSSES_THAT_FAIL, "node1")) is None
        losses.forget(JOB)
    for _ in range(LOSSES_THAT_FAIL):
        assert losses.failure(JOB, Death("out of memory", LOSSES_THAT_FAIL, "node1", {"node2"})) is None
    failure = losses.failure(JOB, Death("out of memory", LOSSES_THAT_FAIL, "node1", {"node2"}))
    assert failure.can_pass and "died 3 times, most recently with: out of memory" in str(failure)


def test_one_machine_that_takes_several_jobs_of_a_trial_counts_once_for_each():
    losses = Losses()
    for replicate in range(LOSSES_THAT_FAIL + 2):
        assert losses.failure(("a", replicate), Death("out of memory")) is None


def test_deaths_with_a_node_are_the_nodes_even_where_that_is_known_later_only():
    losses = Losses()
    nodes = [f"node{number}" for number in range(NODES_THAT_FAIL)]
    for number, node in enumerate(nodes):
        assert losses.failure(JOB, Death("node gone", LOSSES_THAT_FAIL, node, nodes[:number])) is None
    assert losses.failure(JOB, Death("crashed", LOSSES_THAT_FAIL, "stays", nodes)) is None
    assert losses.failure(JOB, Death("crashed", LOSSES_THAT_FAIL, "", nodes)) is None
    assert "with its node" in str(losses.failure(JOB, Death("crashed", LOSSES_THAT_FAIL, "stays", nodes)))


def test_a_trial_that_brings_node_after_node_down_fails():
    losses, nodes = Losses(), [f"node{number}" for number in range(NODES_THAT_FAIL + 1)]
    found = [losses.failure(JOB, Death("node gone", LOSSES_THAT_FAIL, node, nodes)) for node in nodes]
    assert {*found[:-1]} == {None}
    assert f"died {NODES_THAT_FAIL + 1} times, {NODES_THAT_FAIL + 1} of them with its node" in str(found[-1])


@pytest.mark.parametrize(
    ("can_pass", "again"),
    [(True, "it retries what failed"), (False, "goes on with the trials that are left")],
)
def test_one_cause_is_known_whatever_replicate_step_and_file_it_names(can_pass, again):
    messages = [f"replicate {n}: no kernel at step {n}e-05 (traceback: /x/{n}.txt)" for n in range(5)]
    stopped = failures(*messages, can_pass=can_pass)
    assert "5 trials failed one after another of the same cause" in str(stopped)
    assert messages[-1] in str(stopped) and again in str(stopped)
    assert failures(*messages[:-1]) is None


def test_different_causes_a_success_and_one_controls_search_stop_nothing():
    assert failures(*["disk full", "diverged"] * 5) is None
    assert failures(*["no head"] * 9, phase="control_search") is None
    same = SameFault()
    for number in range(20):
        if number % 4 == 0:
            same.is_over()
        trial = TrialRecord(str(number), "search", "prefinetune", 0.1, {})
        assert same.stops(trial, TrialFailed("no kernel")) is None


def test_a_trial_that_fails_at_several_replicates_is_one():
    same, trial = SameFault(), TrialRecord("a", "confirmation", "prefinetune", 0.1, {})
    for _ in range(10):
        assert same.stops(trial, TrialFailed("no kernel")) is None


def test_a_fault_that_comes_later_stops_the_study_and_the_same_command_goes_on(tmp_path):
    config = small_config(trials=12, imbalance_ratios=(0.1,))
    started = []

    def fails(job):
        if job.phase != "search":
            return False
        started.append(job.trial_id)
        return len(started) > 2

    study = run_to_the_end(tmp_path, config, fails=fails, failures_can_pass=True)
    failed = [trial for trial in study.ledger.trials.values() if trial.state == "failed"]
    assert len(failed) == SAME_FAULTS_THAT_STOP and "made to fail" in str(study.plan.stopped)
    later = run_to_the_end(tmp_path, config)
    assert later.plan.complete and later.plan.stopped is None
    assert {trial.state for trial in later.ledger.trials.values()} <= {"complete", "raced_out"}

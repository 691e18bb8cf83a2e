from __future__ import annotations

import os
import pickle
import signal
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray
from ray.tune.search import ConcurrencyLimiter

from benchmarks.overhead import report_nothing
from study.plan.plan import Plan
from study.plan.search import GainSearch
from study.record.ledger import Ledger
from study.run import cluster
from study.run.hanging import Hanging
from study.run.node_watch import NodeWatch
from study.run.plan_callback import STOPS, PlanCallback, PlanSearcher, for_tune, records_of
from study.run.tuning import WarmRacing, report_to_tune, run_trials
from tests.study.simulation import SimulatedStudy, small_config
from trainables.errors import TrialFailed
from trainables.worker import report_of_failure


class CountingCache:
    def __init__(self) -> None:
        self.bound: dict[str, int] = {}

    def increase_max(self, key: str, by: int = 1) -> None:
        self.bound[key] = self.bound.get(key, 0) + by


def trial(number: int) -> SimpleNamespace:
    return SimpleNamespace(
        trial_id=str(number),
        config={"job": SimpleNamespace(phase="reference")},
        placement_group_factory="one CPU",
    )


def test_tune_is_told_once_to_keep_as_many_processes_as_trials_run_at_a_time():
    cache = CountingCache()
    controller = SimpleNamespace(_tune_controller=SimpleNamespace(_actor_cache=cache))
    racing = WarmRacing(SimpleNamespace(config=small_config()), processes=3)
    for number in range(5):
        racing.on_trial_add(controller, trial(number))
    assert cache.bound == {"one CPU": 3}


def test_a_tune_without_such_a_cache_runs_all_the_same():
    WarmRacing(SimpleNamespace(config=small_config()), processes=3).on_trial_add(SimpleNamespace(), trial(0))


def test_a_trial_is_stopped_by_the_result_that_shows_that_it_trains_too_long(tmp_path):
    """Tune asks its scheduler before it tells the plan of the replicate."""
    study = SimulatedStudy(tmp_path, small_config(max_seconds_per_trial=40.0))
    while (job := study.plan.next_job()).phase != "search":
        study._run_job(job)
    racing = WarmRacing(study.plan, processes=1)
    pickle.dumps(racing)  # as Tune does with all that it is given
    of_tune = SimpleNamespace(trial_id="a", config={"job": job}, placement_group_factory="one CPU")
    racing.on_trial_add(SimpleNamespace(), of_tune)
    decisions = []
    for replicate, seconds in enumerate((35.0, 36.0, 70.0)):
        record = {"replicate": replicate, "metrics": {"val/macro_f1": 0.9}, "seconds": 1.0}
        record |= {"diagnostics": {"stage2_steps": 9.0, "stage2_seconds": seconds}, "posthoc": {}}
        result = {"replicates": replicate + 1, "objective": 0.3, "training_iteration": replicate + 1}
        result = for_tune({**result, "record": record, "failure": None})
        decisions.append(racing.on_trial_result(SimpleNamespace(), of_tune, result))
        study.plan.on_replicate(job, *records_of(result))
    assert decisions[:2] == ["CONTINUE", "CONTINUE"] and decisions[2] == "STOP"  # 47 s on average
    study.plan.on_end(job, None)
    assert study.ledger.trials[job.trial_id].state == "infeasible"


def test_a_folder_that_cannot_be_written_stops_the_study_with_advice(tmp_path):
    study = SimulatedStudy(tmp_path, small_config())
    searcher = PlanSearcher(study.plan)
    config = searcher.suggest("a")
    callback = PlanCallback(study.plan, searcher, lambda: None)

    def full(*args, **values):
        raise OSError(28, "No space left on device")

    study.ledger.append = full
    record = {
        "replicate": 0,
        "metrics": {"val/macro_f1": 0.5},
        "seconds": 1.0,
        "diagnostics": {},
        "posthoc": {},
    }
    callback.on_trial_result(
        0, [], SimpleNamespace(trial_id="a", config=config), for_tune({"record": record, "failure": None})
    )
    assert "No space left" in str(study.plan.stopped) and "same command again" in str(study.plan.stopped)
    assert str(tmp_path) in str(study.plan.stopped)
    searcher.on_trial_complete("a", {})
    assert searcher.suggest("b") == "FINISHED"


def search_job(study, searcher):
    """Run the study until its first job of the search is handed out; its name and its job."""
    for number in range(1000):
        job = searcher.suggest(str(number))["job"]
        if job.phase == "search":
            return str(number), job
        study._run_job(job)
        searcher.jobs.clear()
    raise AssertionError


def of_replicate(replicate):
    record = {"replicate": replicate, "metrics": {"val/macro_f1": 0.5}, "seconds": 1.0}
    record |= {"diagnostics": {"stage2_steps": 9.0, "stage2_seconds": 1.0}, "posthoc": {}}
    return for_tune({"record": record, "failure": None})


def test_a_trial_one_of_whose_replicates_could_not_be_recorded_has_not_ended(tmp_path):
    study = SimulatedStudy(tmp_path, small_config())
    searcher = PlanSearcher(study.plan)
    name, job = search_job(study, searcher)
    callback = PlanCallback(study.plan, searcher, lambda: None)
    append = study.ledger.append

    def full(kind, **values):
        if kind == "replicate" and values["replicate"] == 1:
            raise OSError(28, "No space left on device")
        return append(kind, **values)

    study.ledger.append = full
    for replicate in job.replicates:
        callback.on_trial_result(0, [], SimpleNamespace(trial_id=name), of_replicate(replicate))
    searcher.on_trial_complete(name, {})
    assert "No space left" in str(study.plan.stopped)
    assert study.ledger.trials[job.trial_id].state == "running" and len(job.replicates) == 3


def test_a_failure_that_was_told_counts_although_the_process_then_died(tmp_path):
    study = SimulatedStudy(tmp_path, small_config())
    searcher = PlanSearcher(study.plan)
    name, job = search_job(study, searcher)
    callback = PlanCallback(study.plan, searcher, lambda: None)
    dead = SimpleNamespace(trial_id=name, get_error=lambda: RuntimeError("died"))
    callback.on_trial_result(0, [], dead, for_tune(report_of_failure(TrialFailed("diverged"))))
    callback.on_trial_error(0, [], dead)
    trial = study.ledger.trials[job.trial_id]
    assert trial.state == "failed" and "diverged" in trial.error


def test_a_trial_that_tune_ends_without_a_word_is_handed_out_again(tmp_path):
    study = SimulatedStudy(tmp_path, small_config())
    searcher = PlanSearcher(study.plan)
    limited = ConcurrencyLimiter(searcher, max_concurrent=1)
    limited.set_search_properties(None, None, {})
    job = limited.suggest("a")["job"]
    assert limited.suggest("b") is None
    callback = PlanCallback(study.plan, searcher, lambda: None)
    of_tune = SimpleNamespace(trial_id="a", status="PENDING", get_error=lambda: None)
    others = [SimpleNamespace(trial_id=name, status="ERROR") for name in "xyz"]  # that it has told of
    callback.on_step_end(0, [of_tune, *others])
    assert "a" in searcher.jobs
    of_tune.status = "ERROR"
    callback.on_step_end(1, [*others, of_tune])
    assert not searcher.jobs and limited.suggest("again")["job"].trial_id == job.trial_id


def test_a_process_that_dies_after_its_job_was_told_changes_nothing(tmp_path):
    study = SimulatedStudy(tmp_path, small_config())
    searcher = PlanSearcher(study.plan)
    config = searcher.suggest("a")
    searcher.on_trial_complete("a", {})
    dead = SimpleNamespace(trial_id="a", config=config, get_error=lambda: RuntimeError("died"))
    before = study.ledger.path.read_bytes()
    PlanCallback(study.plan, searcher, lambda: None).on_trial_error(0, [], dead)
    assert study.ledger.path.read_bytes() == before


def test_a_plan_that_would_wait_for_ever_ends_as_a_fault(tmp_path):
    study = SimulatedStudy(tmp_path, small_config())
    searcher = PlanSearcher(study.plan)
    searcher.suggest("a")
    study.plan.next_job = lambda: None  # as if it had lost sight of what is due
    assert [searcher.suggest("b") for _ in range(100)] == [None] * 100  # one runs
    searcher.jobs.clear()
    with pytest.raises(KeyboardInterrupt):
        for _ in range(100):
            searcher.suggest("c")
    assert "the plan is not finished" in str(study.plan.fault)


def test_no_more_jobs_are_handed_out_than_the_cluster_has_room_for(tmp_path):
    study, room = SimulatedStudy(tmp_path, small_config()), [1]
    searcher = PlanSearcher(study.plan, lambda: room[0])
    assert isinstance(searcher.suggest("a"), dict)
    assert searcher.suggest("b") is None
    room[0] = 2
    assert isinstance(searcher.suggest("c"), dict)
    assert searcher.suggest("d") is None


def test_a_node_that_cannot_take_part_stops_the_study_and_costs_no_trial(tmp_path):
    study = SimulatedStudy(tmp_path, small_config())
    searcher = PlanSearcher(study.plan)
    given = {name: searcher.suggest(name) for name in "acd"}
    assert len({config["job"].trial_id for config in given.values()}) == 1
    refused = {**report_of_failure(TrialFailed("Node 10.0.0.2 (late) does not share it")), STOPS: True}
    callback = PlanCallback(study.plan, searcher, lambda: None)
    for name, config in given.items():
        callback.on_trial_result(0, [], SimpleNamespace(trial_id=name, config=config), for_tune(refused))
        searcher.on_trial_complete(name, {})
    assert str(study.plan.stopped) == "Node 10.0.0.2 (late) does not share it"
    assert searcher.suggest("b") == "FINISHED"
    assert {trial.state for trial in study.ledger.trials.values()} == {"running"}


@pytest.mark.parametrize(("hangs", "state"), [(1, "running"), (2, "failed")])
def test_a_trial_that_hangs_loses_its_process_and_is_tried_once_more(tmp_path, monkeypatch, hangs, state):
    study, now, killed = SimulatedStudy(tmp_path, small_config()), [0.0], []
    monkeypatch.setattr(ray, "kill", killed.append)
    searcher = PlanSearcher(study.plan)
    hanging = Hanging(1.0, study.ledger, lambda: now[0])
    callback = PlanCallback(study.plan, searcher, lambda: None, hanging)
    for time in range(hangs):
        name = f"tune-{time}"
        job = searcher.suggest(name)["job"]
        hung = SimpleNamespace(
            trial_id=name,
            config={"job": job},
            temporary_state=SimpleNamespace(ray_actor=f"process {time}"),
            get_error=lambda: RuntimeError("the actor died"),
        )
        callback.on_trial_start(0, [], hung)
        for _ in range(21):
            assert killed == [f"process {earlier}" for earlier in range(time)]
            now[0] += 30.0
            callback.on_step_end(0, [])
        assert killed[-1] == f"process {time}"
        callback.on_step_end(0, [])
        assert len(killed) == time + 1
        callback.on_trial_error(0, [], hung)
    trial = study.ledger.trials[job.trial_id]
    assert trial.state == state
    if state == "failed":
        assert trial.can_pass and "its process died 2 times" in trial.error
        assert "no replicate ended within 10 minutes" in trial.error


@pytest.mark.parametrize(("taken", "state"), [(True, "running"), (False, "failed")])
def test_lost_nodes_cost_a_trial_no_more_than_the_replicates_in_flight(tmp_path, taken, state):
    study, nodes = SimulatedStudy(tmp_path, small_config()), []
    watching = NodeWatch(lambda: nodes, lambda line: None, place=str)
    searcher = PlanSearcher(study.plan)
    callback = PlanCallback(study.plan, searcher, lambda: None, nodes=watching)
    for number in range(5):
        name = f"tune-{number}"
        job = searcher.suggest(name)["job"]
        lost = SimpleNamespace(
            trial_id=name,
            config={"job": job},
            temporary_state=SimpleNamespace(ray_actor=number),
            get_error=lambda: RuntimeError("the actor died"),
        )
        nodes.append({"NodeID": str(number), "Alive": True})
        callback.on_trial_start(0, [], lost)
        nodes[number]["Alive"] = not taken
        callback.on_trial_error(0, [], lost)
        if study.ledger.trials[job.trial_id].state == "failed":
            break
    assert number == (4 if taken else 2)
    assert study.ledger.trials[job.trial_id].state == state


@pytest.fixture(scope="module")
def two_slots():
    cluster.quieten()
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def noted_trial(config, *, folder, once=None):
    """An empty trial that writes down its process; one of the search may kill or stop its process, once."""
    job = config["job"]
    happened = Path(folder) / "happened"
    if once is not None and job.phase == "search" and not happened.exists():
        happened.touch()
        os.kill(os.getpid(), once)
    with (Path(folder) / "processes").open("a") as file:
        file.write(f"{job.phase} {os.getpid()}\n")
    report_nothing(job, report_to_tune)


def run_study(folder, **options):
    config = small_config(trials=8, grace_replicates=3)
    ledger = Ledger(folder / "ledger.jsonl")
    plan = Plan(config, ledger, GainSearch(config, folder / "optuna.db"))
    resources = cluster.trial_resources(config, cluster.Connection(False, ""))
    assert resources.concurrency == 2
    trainable = partial(noted_trial, folder=str(folder), **options)
    run_trials(plan, trainable, resources, folder / "ray", hanging=Hanging(0.0, ledger))
    assert plan.complete and plan.stopped is None
    lines = (folder / "processes").read_text().splitlines()
    return ledger, {line.split()[1] for line in lines}, {line.split()[0] for line in lines}


@pytest.mark.slow
def test_two_processes_serve_all_phases(two_slots, tmp_path):
    ledger, processes, phases = run_study(tmp_path)
    assert {"reference_tuning", "reference", "search", "control"} <= phases
    assert len(processes) <= 2
    assert {t.state for t in ledger.trials.values()} == {"complete"}


@pytest.mark.slow
@pytest.mark.parametrize("what", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_that_dies_or_hangs_is_replaced_and_its_trial_runs_again(
    two_slots, tmp_path, caplog, monkeypatch, what
):
    monkeypatch.setattr("study.run.hanging._LEAST_S", 8.0)
    ledger, processes, _ = run_study(tmp_path, once=what)
    assert (tmp_path / "happened").exists()
    assert "Trials did not complete" not in caplog.text
    assert len(processes) <= 3
    assert {t.state for t in ledger.trials.values()} == {"complete"}
    assert len(ledger.of_phase("search")) == 8

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray
from ray import tune

from benchmarks.overhead import report_nothing
from study import cluster
from study.ledger import Ledger
from study.plan import Plan
from study.search import GainSearch
from study.tuning import WarmRacing, run_trials
from tests.study.simulation import small_config


class CountingCache:
    def __init__(self) -> None:
        self.bound: dict[str, int] = {}

    def increase_max(self, key: str, by: int = 1) -> None:
        self.bound[key] = self.bound.get(key, 0) + by


def trial(number: int) -> SimpleNamespace:
    return SimpleNamespace(
        trial_id=str(number), config={"phase": "reference"}, placement_group_factory="one CPU"
    )


def test_tune_is_told_once_to_keep_as_many_processes_as_trials_run_at_a_time():
    cache = CountingCache()
    controller = SimpleNamespace(_tune_controller=SimpleNamespace(_actor_cache=cache))
    racing = WarmRacing(small_config(), processes=3)
    for number in range(5):
        racing.on_trial_add(controller, trial(number))
    assert cache.bound == {"one CPU": 3}


def test_a_tune_without_such_a_cache_runs_all_the_same():
    WarmRacing(small_config(), processes=3).on_trial_add(SimpleNamespace(), trial(0))


@pytest.fixture(scope="module")
def two_slots():
    cluster.quieten()
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def noted_trial(config, *, folder, dies_once=False):
    """An empty trial that writes down its process; one of the search may kill its process, once."""
    job = config["job"]
    died = Path(folder) / "died"
    if dies_once and config["phase"] == "search" and not died.exists():
        died.touch()
        os._exit(1)
    with (Path(folder) / "processes").open("a") as file:
        file.write(f"{config['phase']} {os.getpid()}\n")
    report_nothing(job, tune.report)


def run_study(folder, **options):
    config = small_config(trials=8, grace_replicates=3)
    ledger = Ledger(folder / "ledger.jsonl")
    plan = Plan(config, ledger, GainSearch(config, folder / "optuna.db"))
    resources = cluster.trial_resources(config, cluster.Connection(False, ""))
    assert resources.concurrency == 2
    run_trials(plan, partial(noted_trial, folder=str(folder), **options), resources, folder / "ray")
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
def test_a_process_that_dies_is_replaced_and_its_trial_runs_again(two_slots, tmp_path):
    ledger, processes, _ = run_study(tmp_path, dies_once=True)
    assert (tmp_path / "died").exists()
    assert len(processes) <= 3
    assert {t.state for t in ledger.trials.values()} == {"complete"}
    assert len(ledger.of_phase("search")) == 8

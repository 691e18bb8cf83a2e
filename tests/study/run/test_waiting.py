"""A cluster on which no trial can ever run ends the study; one that may grow is waited for."""

from __future__ import annotations

import pytest

from study.record.ledger import Ledger
from study.run import waiting
from study.run.autoscaler_report import Launches
from study.run.capacity import HEAD as OF_THE_HEAD
from study.run.capacity import Autoscaler, Capacity
from study.run.cluster import TrialResources
from study.run.waiting import Waiting, waiting_on
from trainables.errors import StudyStopped
from trainables.trial import ReplicateRecord

HEAD, SMALL, LARGE = {"CPU": 0.0}, {"CPU": 2.0}, {"CPU": 8.0, "GPU": 1.0}


@pytest.fixture
def clock(monkeypatch):
    """The time, which each look moves on by ten seconds."""
    now = [1000.0]
    monkeypatch.setattr(waiting.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(waiting.time, "time", lambda: 1e9 + now[0])
    return now


def looks(waits, clock, seconds):
    for _ in range(0, seconds, 10):
        waits.check()
        clock[0] += 10


def make(tmp_path, nodes, *, autoscaler=False, cpus=4.0, gpus=0.0, workers=1, launches=None):
    said = []
    ledger = Ledger(tmp_path / "ledger.jsonl")
    resources = TrialResources(workers, cpus, gpus, 1)
    reports = {} if launches is None else {"launches": launches}
    waits = Waiting(resources, ledger, said.append, lambda: nodes, lambda needed: autoscaler, **reports)
    return waits, said, ledger


@pytest.mark.parametrize(
    ("asked", "nodes", "told"),
    [
        ({}, [HEAD], ("asks for 1 x (4 CPUs)", "the nodes offer 1 x (0 CPUs, 0 GPUs)")),
        ({}, [HEAD, SMALL, SMALL], ("2 x (2 CPUs, 0 GPUs)",)),
        ({"gpus": 1.0, "cpus": 1.0}, [SMALL], ("asks for 1 x (1 CPU, 1 GPU)", "gpus_per_trial (0 trains on CPUs)")),
        ({"workers": 3}, [LARGE], ("asks for 3 x (4 CPUs)", "--workers-per-trial")),
        ({}, [], ("there is no node",)),
    ],
)  # fmt: skip
def test_what_fits_nowhere_stops_the_study_after_a_minute(tmp_path, clock, asked, nodes, told):
    waits, _, _ = make(tmp_path, nodes, **asked)
    looks(waits, clock, 60)
    with pytest.raises(StudyStopped) as stopped:
        looks(waits, clock, 10)
    for part in ("No trial can run", "give the same command again", *told):
        assert part in str(stopped.value)


def test_the_progress_says_what_is_waited_for(tmp_path, clock):
    nodes = [HEAD]
    waits, said, _ = make(tmp_path, nodes)
    assert waits.reason == ""
    waits.check()
    assert waits.reason == (
        "waiting for nodes: a trial asks for 1 x (4 CPUs), and the nodes offer 1 x (0 CPUs, 0 GPUs)"
    )
    assert said == []
    nodes.append(LARGE)
    looks(waits, clock, 20)
    assert waits.reason == ""


def test_nodes_that_may_be_started_are_waited_for_and_named_now_and_then(tmp_path, clock):
    waits, said, _ = make(tmp_path, [HEAD], autoscaler=True)
    looks(waits, clock, 600)
    assert len(said) == 2 and "Waiting until the cluster has started such nodes" in said[0]


def test_busy_nodes_and_nodes_that_come_are_no_reason_to_stop(tmp_path, clock):
    nodes = [SMALL, LARGE]
    waits, said, _ = make(tmp_path, nodes, workers=2)
    looks(waits, clock, 600)
    nodes.clear()
    looks(waits, clock, 50)
    nodes.append(LARGE)
    looks(waits, clock, 600)
    assert said == []


def test_replicates_that_arrive_show_that_trials_run(tmp_path, clock):
    """A node may be lost just when it has finished something."""
    waits, _, ledger = make(tmp_path, [HEAD])
    ledger.start_trial("t", "search", "prefinetune", 0.1, {})
    for replicate in range(30):
        ledger.add_replicate("t", ReplicateRecord(replicate, {}, 1.0))
        looks(waits, clock, 10)
    with pytest.raises(StudyStopped):
        looks(waits, clock, 80)


def test_a_quarter_of_an_hour_of_refused_launches_stops_the_study_with_the_reason(tmp_path, clock):
    asked = []

    def refused(began):
        asked.append(began)
        return Launches("gpu_spot: VcpuLimitExceeded")

    waits, said, _ = make(tmp_path, [HEAD], autoscaler=True, launches=refused)
    looks(waits, clock, 890)
    assert waits.reason.endswith("; the last launch of a node failed with: gpu_spot: VcpuLimitExceeded")
    assert said[0].endswith("Its last launch failed with: gpu_spot: VcpuLimitExceeded.")
    assert {*asked} == {1e9 + 1000.0}, "what failed before this wait is told of no more"
    with pytest.raises(StudyStopped) as stopped:
        looks(waits, clock, 30)
    for part in ("gpu_spot: VcpuLimitExceeded", "15 minutes", "monitor.log", "the same command again"):
        assert part in str(stopped.value)


def test_a_node_that_comes_after_all_is_waited_for(tmp_path, clock):
    now = [Launches("no machine to be had")]
    nodes = [HEAD]
    waits, _, _ = make(tmp_path, nodes, autoscaler=True, launches=lambda began: now[0])
    looks(waits, clock, 800)
    now[0] = Launches("no machine to be had", coming=True)
    looks(waits, clock, 3600)
    now[0] = Launches("no machine to be had")
    looks(waits, clock, 800)
    nodes.append(LARGE)
    looks(waits, clock, 60)
    nodes.pop()
    looks(waits, clock, 800)
    with pytest.raises(StudyStopped):
        looks(waits, clock, 200)


def test_a_lost_machine_of_ones_own_is_waited_for_and_none_beyond_the_last(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(waiting, "launches_since", lambda began: Launches())
    monkeypatch.setattr(waiting, "may_be_started", lambda needed: True)
    nodes = [{OF_THE_HEAD: 1.0, "CPU": 0.0}, SMALL]
    resources, ledger = TrialResources(3, 1.0, 0.0, 1), Ledger(tmp_path / "ledger.jsonl")
    own = Capacity(lambda: nodes, Autoscaler(most=2))
    waits = waiting_on(resources, ledger, lambda line: None, own)
    looks(waits, clock, 600)
    nodes[1:] = [{"CPU": 1.0}, {"CPU": 1.0}]
    with pytest.raises(StudyStopped, match=r"asks for 3 x \(1 CPU\)"):
        looks(waits, clock, 80)

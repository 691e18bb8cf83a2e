"""How many trials a joined cluster is asked to run follows what it is and may become."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import psutil
import pytest

from study.run.capacity import (
    HEAD,
    Autoscaler,
    Capacity,
    Demand,
    NodeType,
    TrialLimit,
    _autoscaling_config,
    autoscaler_of,
    joined_capacity,
)
from study.run.cluster import Connection, has_gpus, may_get_gpus, trial_resources
from tests.study.simulation import small_config
from trainables.errors import ConfigurationError

EMPTY_HEAD = {HEAD: 1.0, "CPU": 0.0}
SMALL, LARGE = {"CPU": 2.0}, {"CPU": 8.0, "GPU": 1.0}
CONFIG = """
max_workers: 3
head_node_type: head
available_node_types:
  head: {resources: {CPU: 0}, max_workers: 0}
  small: {resources: {CPU: 2}, max_workers: 2}
  large: {resources: {CPU: 8, GPU: 1}}
"""


def capacity(nodes, autoscaler=None):
    return Capacity(lambda: nodes, autoscaler)


def one_cpu(workers=1):
    return Demand({"CPU": 1.0}, workers)


def test_a_configuration_says_what_may_be_started():
    assert autoscaler_of(CONFIG) == Autoscaler(
        (NodeType({"CPU": 2}, 2), NodeType({"CPU": 8, "GPU": 1}, 3)), 3
    )
    assert autoscaler_of("") is None
    by_hand = "max_workers: 2\nhead_node_type: a\navailable_node_types: {a: {}, b: {resources: {}}}"
    assert autoscaler_of(by_hand) == Autoscaler(most=2)


@pytest.mark.parametrize(
    ("nodes", "autoscaler", "demand", "slots"),
    [
        ([EMPTY_HEAD], CONFIG, one_cpu(), 24),  # three large ones
        ([EMPTY_HEAD, LARGE], CONFIG, one_cpu(), 24),  # of which one is there
        ([{HEAD: 1.0, "CPU": 4.0}], CONFIG, one_cpu(), 28),
        ([EMPTY_HEAD], CONFIG, one_cpu(workers=5), 4),
        ([EMPTY_HEAD], CONFIG, Demand({"CPU": 1.0, "GPU": 0.25}, 1), 12),
        ([EMPTY_HEAD], CONFIG, Demand({"CPU": 9.0}, 1), 0),
        ([EMPTY_HEAD, SMALL, SMALL], "", one_cpu(), 4),  # nobody starts any
        ([EMPTY_HEAD], "", one_cpu(), 0),
    ],
)  # fmt: skip
def test_trials_are_asked_for_as_many_as_will_fit(nodes, autoscaler, demand, slots):
    assert capacity(nodes, autoscaler_of(autoscaler)).slots(demand) == slots


def test_an_autoscaler_of_unknown_means_always_has_something_to_start_nodes_for():
    for nodes, slots in (([EMPTY_HEAD], 4), ([SMALL], 6), ([SMALL] * 4, 16)):
        assert capacity(nodes, Autoscaler()).slots(one_cpu()) == slots


def test_once_the_last_node_of_unknown_means_is_there_no_trial_waits_for_another_one():
    for nodes, slots in (([EMPTY_HEAD], 4), ([EMPTY_HEAD, SMALL], 6), ([EMPTY_HEAD, SMALL, SMALL], 4)):
        cluster = capacity(nodes, Autoscaler(most=2))
        assert cluster.slots(one_cpu()) == slots and cluster.is_full == (len(nodes) == 3)


def test_the_limit_follows_nodes_that_come_and_go_within_the_studys_own():
    nodes, now = [], [0.0]
    limit = TrialLimit(capacity(nodes), one_cpu(), 5, lambda: now[0])
    assert limit() == 1
    nodes += [SMALL, SMALL]
    assert limit() == 1  # counted a moment ago
    for change, expected in ((lambda: None, 4), (lambda: nodes.append(LARGE), 5), (nodes.clear, 1)):
        change()
        now[0] += 10
        assert limit() == expected


def joined(nodes, autoscaler):
    total = {"CPU": sum(node["CPU"] for node in nodes), HEAD: 1.0}
    return Connection(True, "", total, capacity(nodes, autoscaler_of(autoscaler)))


@pytest.mark.parametrize("preset_limit", [None, 32])
def test_a_study_that_begins_with_no_node_asks_for_all_of_them(preset_limit):
    resources = trial_resources(small_config(concurrency=preset_limit), joined([EMPTY_HEAD], CONFIG))
    assert resources.concurrency == 24 and resources.has_head
    assert trial_resources(small_config(concurrency=5), joined([EMPTY_HEAD], CONFIG)).concurrency == 5
    by_hand = trial_resources(small_config(concurrency=preset_limit), joined([EMPTY_HEAD, SMALL], ""))
    assert by_hand.concurrency == 2


@pytest.mark.parametrize(
    ("nodes", "autoscaler", "expected"),
    [
        ([EMPTY_HEAD], autoscaler_of(CONFIG), True),
        ([EMPTY_HEAD, LARGE], None, True),
        ([EMPTY_HEAD, SMALL], None, False),
        ([EMPTY_HEAD], Autoscaler((NodeType(SMALL, 2), NodeType(LARGE, 0)), 3), False),
        ([EMPTY_HEAD], Autoscaler((NodeType(LARGE, 2),), 0), False),
        ([EMPTY_HEAD], Autoscaler(), None),  # as on Kubernetes
        ([EMPTY_HEAD, SMALL], Autoscaler(most=2), None),  # machines of one's own, of which one is to come
        ([EMPTY_HEAD, SMALL, SMALL], Autoscaler(most=2), False),
    ],
)
def test_gpus_are_also_those_of_nodes_that_may_be_started(nodes, autoscaler, expected):
    total = {"GPU": sum(node.get("GPU", 0) for node in nodes)}
    connection = Connection(True, "", total, capacity(nodes, autoscaler))
    assert may_get_gpus(connection) is expected
    assert has_gpus(connection) == (LARGE in nodes), "those that are there now are another question"


def test_what_no_node_will_ever_hold_is_refused_at_once():
    with pytest.raises(ConfigurationError) as refused:
        trial_resources(small_config(cpus_per_trial=16.0), joined([EMPTY_HEAD, LARGE], CONFIG))
    for part in (
        "asks for 1 x (16 CPUs), the nodes offer 1 x (0 CPUs, 0 GPUs); 1 x (8 CPUs, 1 GPU), and",
        "2 x (2 CPUs); 3 x (8 CPUs, 1 GPU), 3 in all",
        "--set cpus_per_trial",
    ):
        assert part in str(refused.value)


def test_on_machines_of_ones_own_the_last_one_tells_whether_a_trial_fits():
    """They start with the cluster, for a minute: a launch that comes before them must not be refused."""
    nodes, config = [EMPTY_HEAD, SMALL], small_config(workers_per_trial=5)
    own = Connection(True, "", {"CPU": 2.0}, capacity(nodes, Autoscaler(most=2)))
    assert trial_resources(config, own).concurrency >= 1
    nodes.append(SMALL)
    with pytest.raises(ConfigurationError) as refused:
        trial_resources(config, own)
    for part in ("5 x (1 CPU)", "2 x (2 CPUs, 0 GPUs)", "no further ones", "--workers-per-trial"):
        assert part in str(refused.value)


def test_a_group_waits_for_its_workers_on_the_head():
    group = trial_resources(small_config(workers_per_trial=2), joined([EMPTY_HEAD, LARGE], ""))
    assert HEAD in group.of_trial_process() and HEAD not in group.of_worker()
    alone = trial_resources(small_config(), joined([EMPTY_HEAD, LARGE], ""))
    assert HEAD not in alone.of_trial_process()


def monitor(*options):
    """A process as Ray starts it for the autoscaler of a head."""
    command = [
        sys.executable,
        "-u",
        "/ray/autoscaler/_private/monitor.py",
        "--gcs-address=10.0.0.1:6379",
        *options,
    ]
    return SimpleNamespace(cmdline=lambda: command)


def test_the_file_that_ray_up_leaves_in_the_heads_home_folder_is_read(tmp_path, monkeypatch):
    (tmp_path / "ray_bootstrap_config.yaml").write_text(CONFIG)
    monkeypatch.setenv("HOME", str(tmp_path))
    running = [
        SimpleNamespace(cmdline=lambda: ["vi", "monitor.py"]),
        monitor("--autoscaling-config=~/ray_bootstrap_config.yaml"),
    ]
    monkeypatch.setattr(psutil, "process_iter", lambda: running)
    assert autoscaler_of(_autoscaling_config("10.0.0.1:6379")) == autoscaler_of(CONFIG)
    assert _autoscaling_config("10.0.0.2:6379") is None, "that of another cluster"
    running[1] = monitor()
    assert _autoscaling_config("10.0.0.1:6379") == "", "a head that starts nothing"
    running[1] = monitor("--autoscaling-config=~/absent.yaml")
    assert _autoscaling_config("10.0.0.1:6379") is None


@pytest.mark.slow
def test_the_heads_own_process_says_whether_there_is_an_autoscaler():
    import ray

    from study.run import cluster

    cluster.quieten()
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        found = joined_capacity()
        assert found.autoscaler is None and found.slots(one_cpu()) == 1
    finally:
        ray.shutdown()

"""A study on a cluster without nodes: its autoscaler starts all three that it may, and ends them when they are idle.

Ray's provider for tests starts each node as processes of the head's machine and says of it what its type says: one
processor and a GPU, which is made up. So the study has to train on processors. Both versions of the autoscaler are
tried: `ray up` takes the second, and Kubernetes and machines of one's own may have the first.
"""

from __future__ import annotations

import json
import time

import pytest
from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID, FAKE_HEAD_NODE_TYPE

from study.record.ledger import Ledger
from tests.hosts.hosts import HEAD, ROOT, STORAGE, lacking

MOST = 3
IDLE_MINUTES = 0.2
STUDY = (
    f"adme --preset smoke --data sample --encoder {STORAGE}/encoder --storage {STORAGE} --trials 4 --replicates 3 "
    "--confirm 0 --arms none --imbalance-ratio 0.2 --set gpus_per_trial=0 --set encoder_layers=null "
    "--set max_length=32 --set max_train_rows=400"
).split()

pytestmark = [pytest.mark.slow, pytest.mark.skipif(lacking() is not None, reason=lacking() or "")]


def autoscaling(address):
    """The cluster's file. Ray's wheels lack what the provider's short name stands for, so it is named as one's own."""
    kinds = {
        FAKE_HEAD_NODE_TYPE: {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
        "gpu": {
            "resources": {"CPU": 1, "GPU": 1, "object_store_memory": 100_000_000},
            "node_config": {},
            "min_workers": 0,
            "max_workers": MOST,
        },
    }
    provider = {
        "type": "external",
        "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
        "head_node_id": FAKE_HEAD_NODE_ID,
        "gcs_address": f"{address}:6379",
        "launch_multiple": True,
        "use_node_id_as_ip": True,
        "disable_node_updaters": True,
        "disable_launch_config_check": True,
        # As on Kubernetes. The first autoscaler reads the list of nodes before the number of those under way; where a
        # thread of its own starts them, what comes up in between is in neither, and more than the limit are started.
        "foreground_node_launch": True,
    }
    commands = ("setup", "head_setup", "worker_setup", "initialization", "head_start_ray", "worker_start_ray")
    return {
        "cluster_name": "made-up",
        "provider": provider,
        "auth": {},
        "file_mounts": {},
        "cluster_synced_files": [],
        **{f"{name}_commands": [] for name in commands},
        "available_node_types": kinds,
        "head_node_type": FAKE_HEAD_NODE_TYPE,
        "max_workers": MOST,
        "idle_timeout_minutes": IDLE_MINUTES,
    }


@pytest.fixture(params=["1", "2"], ids=["first", "second"])
def head(request, hosts):
    """A head that trains nothing, with an autoscaler of one version or the other."""
    address = hosts.address(HEAD)
    (hosts.shared / "autoscaling.json").write_text(json.dumps(autoscaling(address)))
    variables = (
        f"RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 RAY_FAKE_CLUSTER=1 AUTOSCALER_UPDATE_INTERVAL_S=1 "
        f"RAY_enable_autoscaler_v2={int(request.param == '2')} RAY_CLOUD_INSTANCE_ID={FAKE_HEAD_NODE_ID} "
        f"PYTHONPATH={ROOT} PATH=/root/venv/bin:$PATH"
    )
    ray = f'#!/bin/sh\nexec env {variables} /root/venv/bin/ray "$@"\n'
    hosts.enter(HEAD, "bash", "-ec", 'printf %s "$0" > /usr/local/bin/ray; chmod +x /usr/local/bin/ray', ray)
    hosts.enter(HEAD, "ray", "get-auth-token", "--generate")
    hosts.enter(
        HEAD, "ray", "start", "--head", "--port=6379", f"--node-ip-address={address}", "--num-cpus=0",
        "--num-gpus=0", "--object-store-memory=200000000", f"--autoscaling-config={STORAGE}/autoscaling.json",
        timeout=300,
    )  # fmt: skip
    yield request.param
    hosts.enter(HEAD, "ray", "stop", "--force")  # of this host alone


def started(hosts):
    """Return all nodes but the head that there are or were."""
    return [node for node in hosts.listed("nodes", "--detail") if not node["is_head_node"]]


def at_a_time(nodes):
    """Return how many nodes were there at most at a time."""
    changes = [(node["start_time_ms"], 1) for node in nodes]
    changes += [(node["end_time_ms"], -1) for node in nodes if node["state"] == "DEAD"]
    there = [sum(change for _, change in sorted(changes)[:number]) for number in range(len(changes) + 1)]
    return max(there)


def test_a_study_starts_all_nodes_there_may_be_and_none_is_left_after_it(hosts, head):
    assert started(hosts) == []
    name = f"made-up-{head}"
    done = hosts.enter(
        HEAD, "env", f"PYTHONPATH={ROOT}", "RAY_AUTH_MODE=token", "RAY_USAGE_STATS_ENABLED=0", "RAY_ADDRESS=auto",
        "/root/venv/bin/python", "-m", "study.launch", *STUDY, "--as", name, check=False, timeout=900,
    )  # fmt: skip
    said = " ".join(f"{done.stdout} {done.stderr}".split())
    assert done.returncode == 0, said[-6000:]
    assert "Joined the running Ray cluster (1 nodes, 0 CPUs)" in said and f"{MOST} trial(s) at a time" in said
    ended, deadline = time.monotonic(), time.monotonic() + 300
    while [node for node in started(hosts) if node["state"] == "ALIVE"]:
        assert time.monotonic() < deadline
        time.sleep(5)
    nodes = started(hosts)
    trained = {actor["node_id"] for actor in hosts.listed("actors") if actor["class_name"] == "ImplicitFunc"}
    print(
        f"{len(nodes)} nodes started, {at_a_time(nodes)} at a time, trials on {len(trained)}; all were seen gone "
        f"{time.monotonic() - ended:.0f} s after the study"
    )
    assert at_a_time(nodes) == MOST
    assert len(trained) == MOST and trained <= {node["node_id"] for node in nodes}
    states = {trial.state for trial in Ledger(hosts.shared / name / "ledger.jsonl").trials.values()}
    assert states <= {"complete", "raced_out"}

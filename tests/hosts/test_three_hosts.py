"""deploy/local.yaml on three hosts: `ray up`, a study on both workers, MLflow through a forward, `ray down`."""

from __future__ import annotations

import time

import pytest

from tests.hosts.hosts import HEAD, STORAGE, WORKERS, lacking, run
from tests.kill_matrix import what_is_left

STUDY = (
    f"study adme --preset smoke --data sample --encoder {STORAGE}/encoder --trials 4 --set gpus_per_trial=0 "
    "--set encoder_layers=null --set max_length=32"
)
OF_A_CLUSTER = "raylet|gcs_server|ray/dashboard|mlflow|autoscaler/_private"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(lacking() is not None, reason=lacking() or "")]


def left(hosts):
    """What still runs on any host, beside its first process and sshd."""
    found = {
        host: hosts.enter(host, "pgrep", "-af", OF_A_CLUSTER, check=False).stdout for host in (HEAD, *WORKERS)
    }
    return {host: lines for host, lines in found.items() if lines}


def test_a_node_without_the_token_is_refused(hosts, cluster):
    before = hosts.nodes()
    stranger = hosts.enter(
        WORKERS[0], "env", "HOME=/tmp", "RAY_AUTH_MODE=disabled", "timeout", "90", "/root/venv/bin/ray", "start",
        f"--address={hosts.address(HEAD)}:6379", "--num-cpus=1", "--temp-dir=/tmp/stranger", check=False,
    )  # fmt: skip
    assert stranger.returncode != 0, stranger.stdout
    assert hosts.nodes() == before


def test_a_study_runs_on_both_workers_and_mlflow_is_read_through_a_forward(hosts, cluster, port):
    said = run(hosts.ray("exec", cluster, STUDY))
    assert "Joined the running Ray cluster (3 nodes" in said and "Report: /mnt/study/adme/report.html" in said
    assert (hosts.shared / "adme" / "report.html").exists()
    where = hosts.nodes()
    trained = {where[a["node_id"]] for a in hosts.listed("actors") if a["class_name"] == "ImplicitFunc"}
    assert trained == {hosts.address(host) for host in WORKERS}
    with hosts.forwarded(cluster, port) as uri:
        assert what_is_left(hosts.shared, "adme", uri).runs.keys() == {"FINISHED"}


def test_ray_down_leaves_nothing(hosts, cluster):
    assert left(hosts)
    run(hosts.ray("down", "--yes", cluster))
    deadline = time.monotonic() + 240  # the workers' Ray notices that its head is gone
    while left(hosts) and time.monotonic() < deadline:
        time.sleep(5)
    assert left(hosts) == {}

"""deploy/local.yaml on three hosts: `ray up`, a study on both workers, MLflow through a forward, `ray down`."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
import urllib.request

import pytest

from tests.hosts.hosts import HEAD, STORAGE, WORKERS, Hosts, lacking
from tests.tiny_encoder import write_tiny_encoder

STUDY = (
    f"study adme --preset smoke --data sample --encoder {STORAGE}/encoder --trials 4 --set gpus_per_trial=0 "
    "--set encoder_layers=null --set max_length=32"
)
BUSY = "timed out during startup"
OF_A_CLUSTER = "raylet|gcs_server|ray/dashboard|mlflow|autoscaler/_private"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(lacking() is not None, reason=lacking() or "")]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    """Three hosts with a cluster on them."""
    made = Hosts(tmp_path_factory.mktemp("hosts"))
    write_tiny_encoder(made.shared / "encoder")
    made.end()  # what an earlier run left, if it was killed
    try:
        made.start()
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def port():
    """A port that nothing listens at: it is forwarded under the same number."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


@pytest.fixture(scope="module")
def cluster(hosts, port):
    """The cluster's file, after `ray up` and once both workers are there."""
    file = str(hosts.write_cluster(port))
    run(hosts.ray("get-auth-token", "--generate"))
    start = hosts.ray("up", "--yes", "--no-config-cache", file)
    for _ in range(2):  # Ray gives a node that starts half a minute, also where machines share two processors
        if BUSY not in run(start, codes=(0, 1)):
            break
    else:
        run(start)
    deadline = time.monotonic() + 600
    while len(nodes(hosts)) < 1 + len(WORKERS):
        assert time.monotonic() < deadline, nodes(hosts)
        time.sleep(5)
    return file


def run(command, seconds=900, codes=(0,)):
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode in codes, f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    return done.stdout + done.stderr


def listed(hosts, what):
    return json.loads(hosts.enter(HEAD, "ray", "list", what, "--format", "json", "--limit", "1000").stdout)


def nodes(hosts):
    return {node["node_id"]: node["node_ip"] for node in listed(hosts, "nodes") if node["state"] == "ALIVE"}


def left(hosts):
    """What still runs on any host, beside its first process and sshd."""
    found = {
        host: hosts.enter(host, "pgrep", "-af", OF_A_CLUSTER, check=False).stdout for host in (HEAD, *WORKERS)
    }
    return {host: lines for host, lines in found.items() if lines}


def test_a_node_without_the_token_is_refused(hosts, cluster):
    before = nodes(hosts)
    stranger = hosts.enter(
        WORKERS[0], "env", "HOME=/tmp", "RAY_AUTH_MODE=disabled", "timeout", "90", "/root/venv/bin/ray", "start",
        f"--address={hosts.address(HEAD)}:6379", "--num-cpus=1", "--temp-dir=/tmp/stranger", check=False,
    )  # fmt: skip
    assert stranger.returncode != 0, stranger.stdout
    assert nodes(hosts) == before


def test_a_study_runs_on_both_workers_and_mlflow_is_read_through_a_forward(hosts, cluster, port):
    said = run(hosts.ray("exec", cluster, STUDY))
    assert "Joined the running Ray cluster (3 nodes" in said and "Report: /mnt/study/adme/report.html" in said
    assert (hosts.shared / "adme" / "report.html").exists()
    where = nodes(hosts)
    trained = {where[a["node_id"]] for a in listed(hosts, "actors") if a["class_name"] == "ImplicitFunc"}
    assert trained == {hosts.address(host) for host in WORKERS}
    forward = subprocess.Popen(
        hosts.ray("exec", "--port-forward", str(port), cluster, "sleep 600"),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        assert runs_by_status(port, time.monotonic() + 60).keys() == {"FINISHED"}
    finally:
        forward.send_signal(signal.SIGTERM)
        forward.wait(30)


def runs_by_status(port, deadline):
    """What a tracking server says of the runs of its study, once it answers."""
    base = f"http://127.0.0.1:{port}/api/2.0/mlflow"
    while True:
        try:
            with urllib.request.urlopen(
                f"{base}/experiments/get-by-name?experiment_name=adme", timeout=5
            ) as page:
                id = json.load(page)["experiment"]["experiment_id"]
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(1)
    ask = urllib.request.Request(
        f"{base}/runs/search",
        json.dumps({"experiment_ids": [id], "max_results": 1000}).encode(),
        {"Content-Type": "application/json"},
    )
    found = {}
    with urllib.request.urlopen(ask, timeout=30) as page:
        for each in json.load(page)["runs"]:
            found.setdefault(each["info"]["status"], []).append(each["info"]["run_name"])
    return found


def test_ray_down_leaves_nothing(hosts, cluster):
    assert left(hosts)
    run(hosts.ray("down", "--yes", cluster))
    deadline = time.monotonic() + 240  # the workers' Ray notices that its head is gone
    while left(hosts) and time.monotonic() < deadline:
        time.sleep(5)
    assert left(hosts) == {}

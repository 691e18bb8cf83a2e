"""deploy/local.yaml on three hosts that lose Ray, the network, the study's driver and the shared storage.

The study has no search, so that its figures do not depend on which trial ends first. What it leaves is compared, score
by score, with what the same study left to which nothing happened.
"""

from __future__ import annotations

import re
import subprocess
import time

import pytest

from study.record.ledger import Ledger
from tests.hosts.hosts import HEAD, STORAGE, WORKERS, lacking, run
from tests.kill_matrix import what_is_left

ARMS = "oversample undersample weighted focal lp_ft prefinetune_duplicated logit_adjustment"
STUDY = (
    f"study adme --preset smoke --data sample --encoder {STORAGE}/encoder --trials 0 --replicates 8 --arms {ARMS} "
    "--imbalance-ratio 0.2 --set gpus_per_trial=0 --set encoder_layers=null --set max_length=32 "
    "--set max_train_rows=400"
)
AGAIN = re.compile(r"(\d+) replicate\(s\) of \d+ trial\(s\) were in flight")
CUT_S = 60

pytestmark = [pytest.mark.slow, pytest.mark.skipif(lacking() is not None, reason=lacking() or "")]


def test_a_node_a_driver_and_a_network_are_lost_and_the_figures_are_the_same(hosts, cluster, port):
    run(hosts.ray("exec", cluster, f"{STUDY} --as undisturbed"))
    with hosts.forwarded(cluster, port) as uri:
        undisturbed = what_is_left(hosts.shared, "undisturbed", uri)
    replicates = sum(len(scores) for scores in undisturbed.scores.values())
    command = hosts.ray("exec", cluster, f"{STUDY} --as disturbed")
    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_for(hosts, 0.4 * replicates, first)
    hosts.enter(WORKERS[0], "pkill", "-9", "raylet")
    wait_for(hosts, 0.5 * replicates, first)
    hosts.enter(HEAD, "pkill", "-9", "-f", "bin/study adme")
    said = [first.communicate(timeout=120)[0]]
    assert first.returncode != 0
    second = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_for(hosts, 0.7 * replicates, second)
    hosts.link(WORKERS[1], "down")
    time.sleep(CUT_S)
    hosts.link(WORKERS[1], "up")
    said.append(second.communicate(timeout=900)[0])
    assert second.returncode == 0, said[-1][-6000:]
    with hosts.forwarded(cluster, port) as uri:
        disturbed = what_is_left(hosts.shared, "disturbed", uri)
    again = sum(int(found) for each in said for found in AGAIN.findall(each))
    print(
        f"{replicates} replicates; {again} began again when their node was lost; {disturbed.runs} in MLflow"
    )
    print(
        "\n".join(
            line for each in said for line in each.splitlines() if "ost node" in line or "joined" in line
        )
    )
    assert [each for each in disturbed.differences(undisturbed) if "table" not in each] == []
    assert figures(disturbed.table) == figures(undisturbed.table)


def wait_for(hosts, replicates, launched):
    """Wait until so many replicates of the disturbed study are recorded."""
    path, deadline = hosts.shared / "disturbed" / "ledger.jsonl", time.monotonic() + 900
    while not path.exists() or count(path) < replicates:
        assert launched.poll() is None, launched.stdout.read()[-6000:]
        assert time.monotonic() < deadline
        time.sleep(0.5)


def count(path):
    return sum(len(trial.replicates) for trial in Ledger(path).trials.values())


def figures(table):
    """Return a table without the order of its arms, which tells which of them ended first."""
    if isinstance(table, dict):
        return {name: figures(value) for name, value in table.items()}
    return sorted(map(figures, table), key=str) if isinstance(table, list) else table


def test_a_node_whose_storage_is_its_own_is_refused_before_anything_is_computed(hosts, cluster):
    hosts.wait_for_nodes()  # one that comes later is refused, too, but once trials run
    hosts.enter(WORKERS[1], "umount", "--lazy", STORAGE)
    said = run(hosts.ray("exec", cluster, f"{STUDY} --as private"), codes=(1, 2))
    refused = [line for line in said.splitlines() if "does not share the storage folder" in line]
    assert len(refused) == 1 and f"Node {hosts.address(WORKERS[1])}" in refused[0]
    assert not (hosts.shared / "private").exists()

"""Several workers a trial on three hosts that name themselves as Debian's do: too many, and one on each of two nodes.

Debian and Ubuntu map a host's own name to 127.0.1.1. Workers that took that for their address would wait for one
another for ever, each on its own node.
"""

from __future__ import annotations

from collections import Counter

import pytest

from study.record.ledger import Ledger
from tests.hosts.hosts import HEAD, STORAGE, WORKERS, lacking, run
from tests.kill_matrix import what_is_left

STUDY = (
    f"study adme --preset smoke --data sample --encoder {STORAGE}/encoder --trials 0 --replicates 1 --confirm 0 "
    "--arms none --imbalance-ratio 0.2 --set gpus_per_trial=0 --set encoder_layers=null --set max_length=32"
)
AS_DEBIAN = (
    r'sed -i "s/^[0-9.]* $(hostname)$/127.0.1.1 $(hostname)/" /etc/hosts && getent hosts "$(hostname)"'
)
REFUSED_WITHIN_S = 300  # it takes half a minute where nothing else computes

pytestmark = [pytest.mark.slow, pytest.mark.skipif(lacking() is not None, reason=lacking() or "")]


@pytest.fixture(scope="module")
def hosts(hosts):
    """The hosts, each of whose names leads to itself alone."""
    for host in (HEAD, *WORKERS):
        assert hosts.enter(host, "bash", "-ec", AS_DEBIAN).stdout.startswith("127.0.1.1")
    return hosts


def test_a_trial_that_no_two_workers_hold_is_refused_with_what_it_asks_for_and_what_there_is(hosts, cluster):
    command = hosts.ray("exec", cluster, f"{STUDY} --as large --workers-per-trial 3")
    said = " ".join(run(command, REFUSED_WITHIN_S, codes=(1, 2)).split())
    for part in ("asks for 3 x (1 CPU), the nodes offer", "2 x (1 CPU, 0 GPUs)", "may start no further ones"):
        assert part in said, said[-3000:]
    assert not (hosts.shared / "large" / "ledger.jsonl").exists()


def test_two_workers_of_a_trial_train_on_two_nodes(hosts, cluster, port):
    run(hosts.ray("exec", cluster, f"{STUDY} --as pair --workers-per-trial 2"))
    where = hosts.nodes()
    workers = [actor for actor in hosts.listed("actors") if actor["class_name"] == "RayTrainWorker"]
    on = Counter(where[actor["node_id"]] for actor in workers)
    trained = Ledger(hosts.shared / "pair" / "ledger.jsonl").trials.values()
    print(f"{len(trained)} trials; worker processes {dict(on)}")
    assert on.keys() == {hosts.address(host) for host in WORKERS} and len({*on.values()}) == 1
    assert trained and all(trial.state == "complete" and trial.replicates for trial in trained)
    with hosts.forwarded(cluster, port) as uri:
        assert what_is_left(hosts.shared, "pair", uri).runs.keys() == {"FINISHED"}

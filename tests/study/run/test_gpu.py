"""Every GPU of a joined cluster is asked: the smallest decides how many trials share one, and a busy one is told."""

from __future__ import annotations

import pytest
import ray
import torch
from ray.exceptions import RayActorError, RayTaskError

from study.run import gpu
from study.run.gpu import Gpu, find_gpu, gpu_share
from tests.study.simulation import small_config
from tests.tiny_encoder import write_tiny_encoder
from trainables.errors import ConfigurationError, StudyStopped

L4 = Gpu(24 * 10**9, torch.bfloat16, "NVIDIA L4")
T4 = Gpu(16 * 10**9, torch.float32, "Tesla T4")
SMALL = Gpu(12 * 10**9, torch.bfloat16, "NVIDIA A2")


def node_id(name):
    return name.encode().hex().ljust(56, "0")


@pytest.fixture
def cluster(monkeypatch):
    """Return a function that makes Ray one whose GPU nodes answer so; None: what holds the GPU lets nobody in."""
    gpu._of_nodes.cache_clear()
    told = {"asked": [], "cancelled": []}

    def make(**answers):
        nodes = [
            {
                "NodeID": node_id(name),
                "Alive": name != "gone",
                "Resources": {"CPU": 4.0} if name == "head" else {"CPU": 4.0, "GPU": 1.0},
                "NodeManagerAddress": f"10.0.0.{number}",
                "NodeManagerHostname": name,
            }
            for number, name in enumerate(("head", "gone", *answers), start=1)
        ]

        class Ask:
            def __init__(self, node=""):
                self.node = node

            def options(self, scheduling_strategy):
                assert not scheduling_strategy.soft
                return Ask(bytes.fromhex(scheduling_strategy.node_id).rstrip(b"\0").decode())

            def remote(self):
                told["asked"].append(self.node)
                return self.node

        def remote(num_cpus, num_gpus, max_retries):
            assert 0 < num_gpus <= 0.001, "Ray gives a process that asks for none no GPU to look at"
            return lambda ask: Ask()

        def wait(asked, num_returns, timeout):
            assert num_returns == len(asked) and timeout < 600
            late = [node for node in asked if answers[node] is None]
            return [node for node in asked if node not in late], late

        def get(node):
            if isinstance(answers[node], Exception):
                raise answers[node]
            return answers[node]

        for name, fake in (("nodes", lambda: nodes), ("remote", remote), ("wait", wait), ("get", get)):
            monkeypatch.setattr(ray, name, fake)
        monkeypatch.setattr(ray, "cancel", told["cancelled"].append)
        return told

    return make


def find():
    return find_gpu(small_config(), joined=True)


def test_every_node_with_a_gpu_is_asked_once_and_the_smallest_counts(cluster):
    told = cluster(a=L4, b=SMALL, c=L4)
    found = find()
    assert (found.memory, found.precision) == (SMALL.memory, torch.bfloat16)
    assert found.note == ", the smallest of NVIDIA L4 of 24.0 GB, NVIDIA A2 of 12.0 GB"
    assert find() == found and sorted(told["asked"]) == ["a", "b", "c"]
    cluster(a=L4, b=SMALL, d=T4)
    assert find().memory == SMALL.memory and told["asked"][3:] == ["a", "b", "d"], (
        "other nodes are asked anew"
    )


def test_gpus_that_are_alike_need_no_note(cluster):
    cluster(a=L4, b=L4)
    assert find() == L4


def test_where_one_lacks_bfloat16_all_compute_in_float32(cluster):
    cluster(a=L4, b=T4)
    found = find()
    assert found.precision == torch.float32 and "all compute in float32" in found.note
    cluster(a=SMALL, c=T4)
    found = find()
    assert (found.memory, found.precision) == (SMALL.memory, torch.float32)


def test_gpus_that_others_hold_stop_a_launch_instead_of_hanging_it(cluster):
    told = cluster(a=None, b=None)
    with pytest.raises(StudyStopped) as stopped:
        find()
    for part in ("10.0.0.3 (a), 10.0.0.4 (b)", "other work holds all of them", "the same command again"):
        assert part in str(stopped.value)
    assert told["cancelled"] == ["a", "b"]


def test_one_free_gpu_is_enough_and_the_others_are_named(cluster):
    cluster(a=None, b=L4, c=RayActorError())
    found = find()
    assert found.memory == L4.memory
    assert found.note == " (held by other work, not looked at: 10.0.0.3 (a))"


def test_an_error_of_looking_at_a_gpu_is_no_lost_node(cluster):
    cluster(a=L4, b=RayTaskError("_own_gpu", "where it stopped", ValueError("no such property")))
    with pytest.raises(RayTaskError, match="where it stopped"):
        find()


def test_every_machine_whose_gpu_torch_does_not_find_is_named(cluster):
    cluster(a=L4, b="gpu-7", c="gpu-8")
    with pytest.raises(ConfigurationError) as refused:
        find()
    assert [fault.split()[0] for fault in refused.value.faults] == ["gpu-7", "gpu-8"]


def test_the_sentence_names_the_gpu(tmp_path):
    config = small_config(encoder=str(write_tiny_encoder(tmp_path)), gpus_per_trial=None)
    _, sentence = gpu_share(config, gpu.smallest([L4, SMALL]), 4.0)
    assert "share a NVIDIA A2 of 12.0 GB, the smallest of NVIDIA L4 of 24.0 GB, NVIDIA A2" in sentence

from __future__ import annotations

import pytest

from study import cluster
from study.cluster import Connection, trains_on_gpus, trial_resources
from tests.study.simulation import small_config
from tests.tiny_encoder import write_tiny_encoder
from trainables.errors import ConfigurationError

HERE, JOINED = Connection(False, ""), Connection(True, "")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return str(write_tiny_encoder(tmp_path_factory.mktemp("encoder")))


@pytest.fixture
def machine(monkeypatch):
    """Return a function that makes Ray report so many CPUs and GPUs of so many bytes."""

    def make(cpus: float, gpus: float = 0.0, gpu_bytes: int = 0) -> None:
        resources = {"CPU": cpus, **({"GPU": gpus} if gpus else {})}
        monkeypatch.setattr(cluster.ray, "cluster_resources", lambda: resources)
        monkeypatch.setattr(cluster, "_gpu_bytes", lambda: gpu_bytes)

    return make


def test_memory_decides_how_many_trials_share_a_gpu(machine, tiny):
    machine(cpus=16, gpus=2, gpu_bytes=4 * 10**9)
    resources = trial_resources(small_config(encoder=tiny, gpus_per_trial=None), HERE)
    assert resources.gpus == pytest.approx(1 / 4, abs=1e-4)
    assert resources.concurrency == 8
    assert resources.of_trial_process()["GPU"] == resources.gpus
    assert "share a GPU of 4.0 GB" in resources.sharing and "0.8 GB" in resources.sharing


def test_the_longest_batch_of_the_search_decides(machine, tiny):
    machine(cpus=16, gpus=1, gpu_bytes=4 * 10**9)
    space = {"batch_size": (16, 4096), "strength": (0.1,)}
    config = small_config(encoder=tiny, gpus_per_trial=None, space=space, first={}, max_length=64)
    assert trial_resources(config, HERE).gpus > 1 / 4 + 1e-3


def test_trials_without_a_cpu_do_not_share(machine, tiny):
    machine(cpus=3, gpus=1, gpu_bytes=80 * 10**9)
    resources = trial_resources(small_config(encoder=tiny, gpus_per_trial=None), HERE)
    assert resources.concurrency == 3 and resources.gpus * 3 <= 1


def test_every_one_of_several_workers_gets_a_whole_gpu(machine, tiny):
    machine(cpus=16, gpus=4, gpu_bytes=80 * 10**9)
    resources = trial_resources(small_config(encoder=tiny, gpus_per_trial=None, workers_per_trial=2), HERE)
    assert resources.gpus == 1.0 and resources.concurrency == 2


def test_a_given_number_of_gpus_is_kept(machine, tiny):
    machine(cpus=16, gpus=1, gpu_bytes=80 * 10**9)
    resources = trial_resources(small_config(encoder=tiny, gpus_per_trial=0.5), HERE)
    assert resources.gpus == 0.5 and resources.concurrency == 2 and resources.sharing == ""


def test_a_machine_without_gpus_trains_on_cpus(machine, tiny, monkeypatch):
    machine(cpus=2)
    assert trial_resources(small_config(encoder=tiny, gpus_per_trial=None), HERE).gpus == 0.0
    monkeypatch.setattr(cluster.torch.cuda, "is_available", lambda: False)
    assert not trains_on_gpus(small_config(gpus_per_trial=None))
    assert trains_on_gpus(small_config(gpus_per_trial=0.5))
    assert not trains_on_gpus(small_config(gpus_per_trial=0.0))


def test_a_cluster_whose_gpus_have_not_come_is_no_cpu_cluster(machine, tiny):
    machine(cpus=4)
    with pytest.raises(ConfigurationError, match="no GPU at this moment"):
        trial_resources(small_config(encoder=tiny, gpus_per_trial=None), JOINED)


def test_what_fits_nowhere_is_a_fault(machine, tiny):
    machine(cpus=1)
    with pytest.raises(ConfigurationError, match="Lower cpus_per_trial"):
        trial_resources(small_config(encoder=tiny, cpus_per_trial=2), HERE)

from __future__ import annotations

import pytest
import ray
import torch

from study.config.encoders import trial_encoder
from study.run import cluster, gpu
from study.run.cluster import Connection, TrialResources, trains_on_gpus, trial_resources
from study.run.numerics import numerics_of
from study.run.tuning import Execution
from tests.study.simulation import small_config
from tests.tiny_encoder import write_tiny_encoder
from trainables.errors import ConfigurationError, StudyStopped
from trainables.model.encoder import gpu_name, resolve_device

HERE, JOINED = Connection(False, ""), Connection(True, "")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return str(write_tiny_encoder(tmp_path_factory.mktemp("encoder")))


@pytest.fixture
def machine(monkeypatch):
    """Return a function that makes Ray report so many CPUs and GPUs of so many bytes."""

    def make(
        cpus: float, gpus: float = 0.0, gpu_bytes: int = 0, precision: torch.dtype = torch.bfloat16
    ) -> None:
        resources = {"CPU": cpus, **({"GPU": gpus} if gpus else {})}
        monkeypatch.setattr(ray, "cluster_resources", lambda: resources)
        monkeypatch.setattr(gpu, "find_gpu", lambda config, *, joined: gpu.Gpu(gpu_bytes, precision))

    return make


def test_float32_and_the_greatest_batch_of_any_arm_take_more_of_a_gpu(machine, tiny):
    def sharing(precision=torch.bfloat16, **changes):
        machine(cpus=64, gpus=1, gpu_bytes=12 * 10**9, precision=precision)
        resources = trial_resources(
            small_config(encoder=tiny, gpus_per_trial=None, max_length=64, **changes), HERE
        )
        return resources.gpus, resources.sharing

    large = {"arm_spaces": {"focal": {"batch_size": (16, 8192)}}, "arms": ("focal",), "arm_trials": 2}
    assert "1,024 tokens a step" in sharing()[1]
    assert "524,288 tokens a step" in sharing(**large)[1]
    assert sharing()[0] < sharing(**large)[0] < sharing(torch.float32, **large)[0]


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
    monkeypatch.setattr(gpu, "torch_has_gpu", lambda: False)
    for connection in (None, HERE):
        assert not trains_on_gpus(small_config(gpus_per_trial=None), connection)
        assert trains_on_gpus(small_config(gpus_per_trial=0.5), connection)
        assert not trains_on_gpus(small_config(gpus_per_trial=0.0), connection)


@pytest.mark.parametrize("workers", [1, 2])
def test_on_a_cluster_whose_gpus_have_not_come_trials_wait_for_them(machine, tiny, workers):
    machine(cpus=0)  # the head of cluster.yaml, which trains nothing
    config = small_config(encoder=tiny, gpus_per_trial=None, workers_per_trial=workers, concurrency=32)
    resources = trial_resources(config, JOINED)
    assert (resources.gpus, resources.concurrency, resources.of_worker()["GPU"]) == (1.0, 32, 1.0)
    assert "no GPU at this moment" in resources.sharing and "gpus_per_trial=0" in resources.sharing


def test_the_device_of_a_joined_cluster_does_not_hang_on_its_nodes_of_this_moment(machine, tiny, monkeypatch):
    """A study is the same one, whether its GPU nodes are there or not when it is launched again."""
    monkeypatch.setattr(gpu, "torch_has_gpu", lambda: False)
    for gpus, device in ((None, "cuda"), (0.5, "cuda"), (0.0, "cpu")):
        config = small_config(encoder=tiny, gpus_per_trial=gpus)
        for there in (0, 2):
            machine(cpus=4, gpus=there)
            assert numerics_of(config, JOINED, trial_encoder(config))["device"] == device


def test_a_trial_without_a_gpu_computes_on_the_cpu_of_a_machine_that_has_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    devices = {
        gpus: resolve_device(trial_encoder(small_config(gpus_per_trial=gpus))).type
        for gpus in (0.0, 0, 0.5, 1.0, None)
    }
    assert devices == {0: "cpu", 0.5: "cuda", 1.0: "cuda", None: "cuda"}


def test_a_replicate_names_the_gpu_that_trains_it_and_no_processor(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"{device.type} L4")
    assert gpu_name(trial_encoder(small_config(gpus_per_trial=0.5))) == "cuda L4"
    assert gpu_name(trial_encoder(small_config(gpus_per_trial=0.0))) == ""


def test_a_gpu_that_torch_does_not_find_is_refused_before_and_in_a_trial(tiny, monkeypatch, tmp_path):
    """Trials would train on processors and be recorded as trained on a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(gpu, "torch_has_gpu", lambda: True)
    monkeypatch.setattr(gpu.socket, "gethostname", lambda: "gpu-7")
    with pytest.raises(ConfigurationError, match="gpu-7 offers a GPU to Ray, but torch finds none there"):
        gpu.find_gpu(small_config(encoder=tiny), joined=False)
    for gpus in (0.0, 0.5):
        execution = Execution(TrialResources(1, 1, gpus, 1), tmp_path, None)
        if gpus:
            with pytest.raises(StudyStopped, match="gpu-7 offers a GPU to Ray"):
                execution.check_node()
        else:
            execution.check_node()


def test_what_fits_nowhere_is_a_fault(machine, tiny):
    machine(cpus=1)
    with pytest.raises(ConfigurationError, match="Lower cpus_per_trial"):
        trial_resources(small_config(encoder=tiny, cpus_per_trial=2), HERE)


def test_a_ray_that_does_not_start_in_time_is_told_in_a_sentence(monkeypatch):
    import ray

    def busy(**options):
        raise Exception("The current node timed out during startup. This could happen because ...")

    monkeypatch.setattr(ray, "init", busy)
    monkeypatch.setattr(cluster, "demand_a_token", lambda: None)  # sets variables of this process
    with pytest.raises(StudyStopped, match="did not start in time on this machine, which is busy"):
        cluster.start_here(small_config())

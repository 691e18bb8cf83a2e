"""GPUs: whether torch finds one, what it is like, and how many trials share it."""

from __future__ import annotations

import math
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from study.config.encoders import gpu_encoder
from study.config.ranges import axis_of, largest_of
from study.config.study import StudyConfig
from study.run.place import may_have_gpus
from trainables.errors import ConfigurationError
from trainables.settings import EncoderSettings, TrialSettings

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Gpu:
    """What decides how many trials share a GPU.

    Attributes
    ----------
    memory
        Its memory in bytes.
    precision
        The precision in which trials compute on it.
    """

    memory: int
    precision: torch.dtype


def gpu_share(config: StudyConfig, gpu: Gpu, cpus_per_gpu: float) -> tuple[float, str]:
    """Return the share of a GPU that one trial gets, judged by memory, and a sentence that explains it.

    Parameters
    ----------
    config
        The study, of which the largest batch of any arm and the maximum length count.
    gpu
        The GPU to share.
    cpus_per_gpu
        CPUs per GPU; they limit the number of trials, because trials without a CPU would only wait.
    """
    from trainables.model.memory_estimate import shape_of, trial_bytes, trials_per_gpu

    spaces = (config.space, config.reference_space, *config.arm_spaces.values())
    axes = [axis_of("batch_size", space["batch_size"]) for space in spaces if "batch_size" in space]
    searched = [int(largest_of(axis)) for axis in axes]
    tokens = max(config.fixed.get("batch_size", TrialSettings.batch_size), *searched, 1) * config.max_length
    needed = trial_bytes(shape_of(gpu_encoder(config)), tokens, gpu.precision)
    by_memory = trials_per_gpu(gpu.memory, needed)
    n = max(1, min(by_memory, math.floor(cpus_per_gpu / config.cpus_per_trial + 1e-9)))
    sentence = (
        f"{n} trial(s) share a GPU of {gpu.memory / 1e9:.1f} GB: one takes about {needed / 1e9:.1f} GB with "
        f"{tokens:,} tokens a step, so that {by_memory} fit, and there are {cpus_per_gpu:g} CPUs per GPU."
    )
    return math.floor(10_000 / n) / 10_000, sentence  # Ray counts in ten-thousandths


def find_gpu(config: StudyConfig) -> Gpu:
    """Return a GPU of this machine, or else of any node of the cluster, whose GPUs are assumed to be all alike."""
    encoder = gpu_encoder(config)
    if torch_has_gpu():
        found = _own_gpu(encoder)
    else:
        import ray

        found = ray.get(ray.remote(num_cpus=0, num_gpus=0.01)(_own_gpu).remote(encoder))
    if isinstance(found, Gpu):
        return found
    raise ConfigurationError(f"{no_gpu(found)} To train on CPUs, give --set gpus_per_trial=0.")


def no_gpu(host: str) -> str:
    """Return what to say of a machine whose GPUs torch does not find."""
    return (
        f"{host} offers a GPU to Ray, but torch finds none there. Install torch's build for CUDA and the GPU's driver "
        "on that machine."
    )


def _own_gpu(encoder: EncoderSettings) -> Gpu | str:
    """Return this machine's GPU; the machine's name where torch finds none."""
    import torch

    if not torch.cuda.is_available():
        return socket.gethostname()
    from trainables.model.encoder import resolve_precision

    return Gpu(int(torch.cuda.get_device_properties(0).total_memory), resolve_precision(encoder))


def torch_has_gpu() -> bool:
    """Return whether torch finds a GPU on this machine."""
    if not may_have_gpus():
        return False
    import torch

    return torch.cuda.is_available()

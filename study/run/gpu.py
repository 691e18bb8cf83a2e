"""GPUs: whether torch finds one, what the smallest one is like, and how many trials share it."""

from __future__ import annotations

import math
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from study.config.encoders import gpu_encoder
from study.config.ranges import axis_of, largest_of
from study.config.study import StudyConfig
from study.run.capacity import LEAST, alive, node_name
from study.run.node_answers import ANSWER_S, ask_each
from study.run.place import may_have_gpus
from trainables.errors import ConfigurationError, StudyStopped
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
    name
        What its driver calls it.
    note
        What else the user has to know of how it was chosen.
    """

    memory: int
    precision: torch.dtype
    name: str = ""
    note: str = ""

    def __str__(self) -> str:
        """Return it in words: ``NVIDIA L4 of 23.7 GB``."""
        return f"{self.name or 'GPU'} of {self.memory / 1e9:.1f} GB"


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
        f"{n} trial(s) share a {gpu}{gpu.note}: one takes about {needed / 1e9:.1f} GB with "
        f"{tokens:,} tokens a step, so that {by_memory} fit, and there are {cpus_per_gpu:g} CPUs per GPU."
    )
    return math.floor(10_000 / n) / 10_000, sentence  # Ray counts in ten-thousandths


def find_gpu(config: StudyConfig, *, joined: bool) -> Gpu:
    """Return the GPU that every trial has to fit on: this machine's, or the smallest one of a joined cluster.

    Every node is asked, because a cluster may have GPUs of several kinds.

    Parameters
    ----------
    config
        The study.
    joined
        Whether a running cluster was joined.

    Raises
    ------
    ConfigurationError
        A machine offers a GPU that torch does not find.
    StudyStopped
        No node answers, because other work holds all GPUs.
    """
    encoder = gpu_encoder(config)
    found: Gpu | str | tuple[str, ...]
    if joined:
        found = _of_nodes(
            encoder, frozenset(node["NodeID"] for node in alive() if node["Resources"].get("GPU", 0))
        )
    else:
        found = _own_gpu(encoder)
    if isinstance(found, Gpu):
        return found
    hosts = (found,) if isinstance(found, str) else found
    raise ConfigurationError(
        [f"{no_gpu(host)} To train on CPUs, give --set gpus_per_trial=0." for host in hosts]
    )


def no_gpu(host: str) -> str:
    """Return what to say of a machine whose GPUs torch does not find."""
    return (
        f"{host} offers a GPU to Ray, but torch finds none there. Install torch's build for CUDA and the GPU's driver "
        "on that machine."
    )


def _own_gpu(encoder: EncoderSettings) -> Gpu | str:
    """Return this machine's smallest GPU that this process sees; the machine's name where torch finds none."""
    import torch

    if not torch.cuda.is_available():
        return socket.gethostname()
    from trainables.model.encoder import resolve_precision

    found = []
    for number in range(torch.cuda.device_count()):
        with torch.cuda.device(number):
            about = torch.cuda.get_device_properties(number)
            found.append(Gpu(int(about.total_memory), resolve_precision(encoder), about.name))
    return smallest(found)


@lru_cache(maxsize=4)
def _of_nodes(encoder: EncoderSettings, nodes: frozenset[str]) -> Gpu | tuple[str, ...]:
    """Return the smallest GPU of some nodes, given by their ids; the names of machines on which torch finds none."""
    answers = ask_each(
        [node for node in alive() if node["NodeID"] in nodes], partial(_own_gpu, encoder), gpus=LEAST
    )
    found = [answer for _, answer in answers.answered]
    held = ", ".join(map(node_name, answers.late))
    if not found:
        raise StudyStopped(
            f"No GPU of the cluster answers within {ANSWER_S:.0f} s ({held or 'its nodes were lost'}): as a rule "
            "other work holds all of them. Nothing was begun: give the same command again when there is a free one, or "
            "train on CPUs with --set gpus_per_trial=0."
        )
    if without := tuple(answer for answer in found if isinstance(answer, str)):
        return without
    least = smallest([answer for answer in found if isinstance(answer, Gpu)])
    return replace(least, note=f"{least.note} (held by other work, not looked at: {held})") if held else least


def smallest(gpus: Sequence[Gpu]) -> Gpu:
    """Return the GPU with the least memory, in the precision that all of them compute fast in, with a note on both.

    Examples
    --------
    >>> import torch
    >>> large, small = Gpu(80 * 10**9, torch.bfloat16, "A100"), Gpu(16 * 10**9, torch.float32, "T4")
    >>> str(smallest([large, small])), smallest([large, large]).note
    ('T4 of 16.0 GB', '')
    >>> smallest([large, small]).note
    ', the smallest of A100 of 80.0 GB, T4 of 16.0 GB (all compute in float32: not every one multiplies bfloat16)'
    """
    import torch

    least = min(gpus, key=lambda gpu: gpu.memory)
    kinds = dict.fromkeys(map(str, gpus))
    note = f", the smallest of {', '.join(kinds)}" if len(kinds) > 1 else ""
    if len({gpu.precision for gpu in gpus}) == 1:
        return replace(least, note=least.note or note)
    note += " (all compute in float32: not every one multiplies bfloat16)"
    return replace(least, precision=torch.float32, note=note)


def torch_has_gpu() -> bool:
    """Return whether torch finds a GPU on this machine."""
    if not may_have_gpus():
        return False
    import torch

    return torch.cuda.is_available()

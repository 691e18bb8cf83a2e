"""One precision a study: decided when it begins, recorded, and followed by every later launch and every worker.

Gains pair runs, so all of a study's runs compute alike. Which precision is fast hangs on the machine; left to each
process, a study that begins on one machine and goes on on another, or runs on a mixed cluster, would pair runs in
bfloat16 with runs in float32. So would compiled kernels, which draw other dropout masks than PyTorch's operations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import torch

from study.config.encoders import trial_encoder
from study.config.study import StudyConfig
from study.run.cluster import Connection, gpu_precision, trains_on_gpus
from study.run.nodes import ask_nodes
from trainables.cpu.bert import fits_kernels
from trainables.cpu.kernels import COMPILED_KERNELS, TORCH_KERNELS, compiled_kernels
from trainables.errors import ConfigurationError
from trainables.model.encoder import encoder_digest, resolve_precision
from trainables.model.pretrained import read_config
from trainables.reuse.keys import TRAINING_VERSION
from trainables.settings import EncoderSettings

FLOAT32, BFLOAT16 = "float32", "bfloat16"
T = TypeVar("T")


def one_precision(
    config: StudyConfig, connection: Connection | None, known: Mapping[str, Any] | None
) -> EncoderSettings:
    """Return the encoder as all trials of a study compute with it, its precision and kernels decided.

    A new study takes the precision that is fast on its trials' devices: bfloat16 where all of them multiply it. So
    does a study of an earlier version, which recorded none. A study that recorded it goes on in it wherever it is
    resumed.

    Parameters
    ----------
    config, connection
        The study, and the cluster that was joined, or None.
    known
        What ``study.json`` says of a study to resume; None for a new one.

    Raises
    ------
    ConfigurationError
        This machine lacks the compiled kernels that the study began with.
    """
    began: Mapping[str, str] = {} if known is None else known["numerics"]
    encoder = trial_encoder(config)
    if trains_on_gpus(config, connection):
        return replace(encoder, precision=began.get("precision") or _on_gpus(config, connection))
    precision = began.get("precision") or _common(_on_nodes(partial(_fast_precision, encoder), connection))
    encoder = replace(encoder, precision=precision)
    if not fits_kernels(read_config(encoder)):
        return encoder
    kernels = began.get("kernels")
    if kernels is None:
        kernels = COMPILED_KERNELS if all(_on_nodes(_has_kernels, connection)) else TORCH_KERNELS
    elif kernels == COMPILED_KERNELS and not all(_on_nodes(_has_kernels, connection)):
        raise ConfigurationError(
            "The study began with compiled kernels, which this machine lacks or STUDY_KERNELS turns off, and PyTorch's "
            "operations draw other dropout masks: resume it on an x86 machine with AVX2 and a C compiler (cc), or give "
            "--fresh to start over."
        )
    return replace(encoder, kernels=kernels)


def numerics_of(
    config: StudyConfig, connection: Connection | None, encoder: EncoderSettings
) -> dict[str, str]:
    """Return what else decides a trial's numbers; gains may only pair runs of the same code on one kind of device.

    Parameters
    ----------
    config, connection
        The study, and the cluster that was joined, or None.
    encoder
        What :func:`one_precision` returned.
    """
    device = "cuda" if trains_on_gpus(config, connection) else "cpu"
    return {
        "encoder_digest": encoder_digest(trial_encoder(config)),
        "device": device,
        "training_code": f"version {TRAINING_VERSION}",
        "precision": encoder.precision,
        **({} if encoder.kernels == "auto" else {"kernels": encoder.kernels}),
    }


def precision_sentence(encoder: EncoderSettings, connection: Connection | None) -> str:
    """Return that a study computes in a precision that is slow here; empty where it is not, or trials run elsewhere."""
    elsewhere = connection is not None and connection.joined
    if encoder.device != "cpu" or elsewhere or encoder.precision == _fast_precision(encoder):
        return ""
    if encoder.precision == FLOAT32:
        return "The study goes on in float32, in which it began, although this machine is faster in bfloat16."
    return (
        "The study goes on in bfloat16, in which it began; this machine's processor does not multiply it, so that "
        "training takes several times as long as in float32."
    )


def _on_gpus(config: StudyConfig, connection: Connection | None) -> str:
    """Return the precision that is fast on the GPUs; bfloat16 where a cluster has not started any."""
    found = gpu_precision(config, connection)
    return BFLOAT16 if found is None else _name(found)


def _common(precisions: list[str]) -> str:
    """Return the precision in which machines of which these are fast compute best together."""
    return FLOAT32 if FLOAT32 in precisions else BFLOAT16


def _fast_precision(encoder: EncoderSettings) -> str:
    """Return the precision that is fast on this machine."""
    return _name(resolve_precision(replace(encoder, precision="auto")))


def _name(precision: torch.dtype) -> str:
    return str(precision).removeprefix("torch.")


def _has_kernels() -> bool:
    return compiled_kernels() is not None


def _on_nodes(ask: Callable[[], T], connection: Connection | None) -> list[T]:
    """Return what a function says on each machine that runs trials: on all nodes of a joined cluster that have CPUs.

    Where a cluster has not started any such node, this machine answers.
    """
    if connection is None or not connection.joined:
        return [ask()]
    return [answer for _, answer in ask_nodes(ask)] or [ask()]

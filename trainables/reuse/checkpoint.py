"""Checkpoints within a stage: an interrupted stage goes on from the last one, bit for bit on a CPU.

A checkpoint is an entry of the content-addressed cache: written atomically, verified when read, named by a digest
of everything that the run depends on, so that a run never finds a checkpoint of other settings or another version.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from safetensors.torch import load, save

from trainables.reuse.cache import CHECKPOINT, ContentCache
from trainables.texts.labelled import LabelledTexts
from trainables.training.running_stage import RunningStage, StageState
from trainables.training.stage import StageReport, train_stage
from trainables.training.stage_settings import StageSettings
from trainables.world import World

EVERY_S = 300.0
_STEPS_PER_QUESTION = 20  # several workers must agree on when to write, and ask one another only this often


class StageCheckpoint:
    """The last state of an unfinished stage, in one file for all its workers.

    Parameters
    ----------
    cache
        Where it is kept, visible to every node.
    key
        Digest of everything that the stage depends on.
    every_s
        Seconds between two checkpoints; a stage shorter than that writes none.
    """

    def __init__(self, cache: ContentCache, key: str, every_s: float = EVERY_S) -> None:
        self._cache = cache
        self._key = key
        self._every_s = every_s
        self._written = time.monotonic()

    def load(self, world: World) -> StageState | None:
        """Return the state that this worker goes on from, or None unless every worker finds the same one."""
        self._written = time.monotonic()
        content = self._cache.get(CHECKPOINT, self._key)
        state = unpack_state(content, world) if content is not None else None
        steps = world.gather(state.step if state is not None else 0)
        return state if len(set(steps)) == 1 else None

    def after_step(self, stage: RunningStage, world: World) -> None:
        """Write a checkpoint if it is time; all workers must call it after the same steps."""
        if world.size > 1:
            if stage.step % _STEPS_PER_QUESTION or not world.first_says(self._is_due()):
                return
        elif not self._is_due():
            return
        content = pack_state(stage.state(), world)
        if content is not None:
            self._cache.offer(CHECKPOINT, self._key, content)
        self._written = time.monotonic()

    def remove(self, world: World) -> None:
        """Remove the checkpoint of a finished stage."""
        if world.rank == 0:
            self._cache.remove(CHECKPOINT, self._key)

    def _is_due(self) -> bool:
        return time.monotonic() - self._written >= self._every_s


def train_resumably(
    model: Any,
    texts: LabelledTexts,
    settings: StageSettings,
    *,
    checkpoint: StageCheckpoint | None,
    world: World,
    resume: StageState | None = None,
    after_step: Callable[[RunningStage], None] | None = None,
) -> StageReport:
    """Train a stage, going on from its checkpoint if there is one, and writing one now and then.

    Parameters
    ----------
    checkpoint
        The stage's checkpoint; None for none.
    resume
        A state to begin with if the checkpoint is not further along.
    model, texts, settings, world, after_step
        As in :func:`trainables.training.stage.train_stage`.

    Raises
    ------
    TrialFailed
        As in :func:`trainables.training.stage.train_stage`.
    """
    if checkpoint is None:
        return train_stage(model, texts, settings, world=world, resume=resume, after_step=after_step)
    kept = checkpoint
    found = kept.load(world)
    if found is not None and (resume is None or found.step > resume.step):
        resume = found

    def observe(stage: RunningStage) -> None:
        if after_step is not None:
            after_step(stage)
        kept.after_step(stage, world)

    report = train_stage(model, texts, settings, world=world, resume=resume, after_step=observe)
    kept.remove(world)
    return report


def pack_state(state: StageState, world: World) -> bytes | None:
    """Return a stage's state as bytes, with every worker's own part, on the first worker; None on the others.

    All workers must call it.
    """
    workers = world.gather(dict(state.worker))
    if world.rank != 0:
        return None
    tensors = {f"optimizer/{name}": tensor.cpu() for name, tensor in state.optimizer.items()}
    for rank, own in enumerate(workers):
        tensors |= {f"worker{rank}/{name}": tensor for name, tensor in own.items()}
    content: bytes = save({**tensors, "step": torch.tensor(state.step)})
    return content


def unpack_state(content: bytes, world: World) -> StageState:
    """Return a worker's state from what :func:`pack_state` made."""
    tensors = load(content)

    def part(of: str) -> dict[str, torch.Tensor]:
        prefix = f"{of}/"
        return {name.removeprefix(prefix): x for name, x in tensors.items() if name.startswith(prefix)}

    return StageState(int(tensors["step"]), part("optimizer"), part(f"worker{world.rank}"))

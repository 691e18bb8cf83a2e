"""Results of stages from the content-addressed cache: trials that differ in later stages alone share them.

Under a constant schedule a longer stage begins with every shorter one. So the lengths of one stage form a chain: a
run stores the shorter lengths of the search's grid as it passes them, and a longer stage goes on from the longest
that was stored. Both give the same result as training each length on its own, bit for bit on a CPU.

An entry ``stage1`` holds a length's trained weights, float32, and of the word embeddings the rows that the stage's
texts use: all that a later stage needs. An entry ``stage1_state``, three times as large, holds the stage's whole
state. It is stored at the end of a run, only where the grid has a longer length that is not stored yet and may go on
from it, and removed once a longer one did.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import load, save

from trainables.reuse.cache import ContentCache
from trainables.reuse.checkpoint import StageCheckpoint, pack_state, train_resumably, unpack_state
from trainables.reuse.lease import lease
from trainables.reuse.lengths import NO_LENGTHS, StageLengths
from trainables.texts.labelled import LabelledTexts
from trainables.training.losses import cross_entropy
from trainables.training.running_stage import RunningStage, StageState, load_weights
from trainables.training.stage import StageReport, stage_steps
from trainables.world import World

_WEIGHTS, _STATE = "stage1", "stage1_state"


def train_or_reuse(
    model: Any,
    rows: LabelledTexts,
    world: World,
    cache: ContentCache | None,
    key: str | None,
    *,
    epochs: float | None = None,
    steps: int | None = None,
    batch_size: int,
    schedule: str,
    grid: StageLengths = NO_LENGTHS,
    checkpoint: StageCheckpoint | None = None,
    **how: Any,
) -> StageReport | None:
    """Train a stage, or take its weights from the cache: the same result, bit for bit.

    Of several trials that need a length at the same time one trains it and the others wait.

    Parameters
    ----------
    model
        The classifier, trained in place.
    rows
        Rows of the stage.
    world
        The workers that share the run.
    cache, key
        Where the stage's weights are kept, and a digest of all that they depend on besides its length.
    epochs, steps
        Length of the stage; exactly one of both.
    grid
        Lengths that other trials may ask for. Under a constant schedule the shorter ones are stored on the way.
    checkpoint
        Where the state of the unfinished stage is kept.
    batch_size, schedule, how
        As in :func:`trainables.training.stage.train_stage`.

    Returns
    -------
    The stage's report, or None where its weights came from the cache.
    """
    how |= {"batch_size": batch_size, "schedule": schedule}
    length = stage_steps(len(rows.tokens), batch_size, epochs, steps)
    if cache is None or key is None:
        return train_resumably(
            model, rows.tokens, rows.labels, checkpoint=checkpoint, world=world, steps=length, **how
        )
    chain = _Chain(cache, key, world)
    if chain.take(model, length):
        return None
    # A loss that changes with the share of the stage that is done would break the chain.
    is_chain = schedule == "constant" and how.get("loss", cross_entropy) is cross_entropy
    others = grid.in_steps(len(rows.tokens), batch_size) if is_chain else set()
    with chain.leased(length, others):
        if chain.holds(length) and chain.take(model, length):
            return None
        resume = chain.longest_state(length) if is_chain else None

        def keep(stage: RunningStage) -> None:
            if stage.step == length and chain.lacks({n for n in others if n > length}):
                chain.store_state(stage.state())
            if stage.step == length or stage.step in others:
                chain.store(stage.step, stage.weights())

        report = train_resumably(
            model,
            rows.tokens,
            rows.labels,
            checkpoint=checkpoint,
            world=world,
            steps=length,
            resume=resume,
            after_step=keep,
            **how,
        )
        if resume is not None:
            chain.remove_state(resume.step)
    return report


@dataclass(frozen=True)
class _Chain:
    """The stored lengths of one stage, seen by one of its workers."""

    cache: ContentCache
    key: str
    world: World

    def name(self, length: int) -> str:
        return f"{self.key}-{length}"

    def holds(self, length: int) -> bool:
        """Return whether every worker sees a length."""
        return self.world.all_agree(self.cache.holds(_WEIGHTS, self.name(length)))

    def lacks(self, lengths: Collection[int]) -> bool:
        """Return whether any of these lengths is missing, as the first worker sees it."""
        return self.world.first_says(not all(self.cache.holds(_WEIGHTS, self.name(n)) for n in lengths))

    def take(self, model: Any, length: int) -> bool:
        """Give the model a length's weights, if every worker has found them."""
        stored = self.cache.get(_WEIGHTS, self.name(length))
        # Another trial may store it between two workers' look-ups: it is taken when every worker has found it.
        if not self.world.all_agree(stored is not None) or stored is None:
            return False
        load_weights(model, load(stored))
        return True

    @contextmanager
    def leased(self, length: int, others: Collection[int]) -> Iterator[None]:
        """Hold the leases of a length and of the missing ones that are stored on the way to it.

        Everybody asks for the shorter ones first, so that no two runs wait for each other.
        """
        with ExitStack() as stack:
            for wanted in sorted({length, *(n for n in others if n < length)}):
                if self.world.rank == 0 and not self.cache.holds(_WEIGHTS, self.name(wanted)):
                    stack.enter_context(lease(self.cache.path(_WEIGHTS, self.name(wanted))))
            yield

    def longest_state(self, length: int) -> StageState | None:
        """Return the state of the longest shorter length, if every worker has found the same one."""
        found = [int(key.rpartition("-")[2]) for key in self.cache.keys(_STATE, f"{self.key}-")]
        shorter = self.world.gather(max((n for n in found if n < length), default=0))[0]
        stored = self.cache.get(_STATE, self.name(shorter)) if shorter else None
        if not self.world.all_agree(stored is not None) or stored is None:
            return None
        return unpack_state(stored, self.world)

    def store(self, length: int, weights: Mapping[str, torch.Tensor]) -> None:
        if self.world.rank == 0 and not self.cache.holds(_WEIGHTS, self.name(length)):
            tensors = {name: tensor.cpu().contiguous() for name, tensor in weights.items()}
            self.cache.offer(_WEIGHTS, self.name(length), save(tensors))

    def store_state(self, state: StageState) -> None:
        content = pack_state(state, self.world)
        if content is not None:
            self.cache.offer(_STATE, self.name(state.step), content)

    def remove_state(self, length: int) -> None:
        if self.world.rank == 0:
            self.cache.remove(_STATE, self.name(length))

"""Results of stages from the content-addressed cache: trials that differ only in later stages share them.

Under a constant schedule a longer stage begins with every shorter one. So the lengths of one stage form a chain: a
run stores the shorter lengths of the search's grid as it passes them, and a longer stage goes on from the longest
that was stored. Both give the same result as training each length on its own, bit for bit on a CPU.

An entry ``stage1`` holds the float32 weights after one length (of the word embeddings, only the rows that the stage's
texts use, unless it trains them all): all that a later stage needs. An entry ``stage1_state``, three times as large,
holds the stage's whole state. It is stored at the end of a run, only if the grid has a longer length that is not stored
yet and may go on from it, and is removed once a longer one has done so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import load, save

from trainables.reuse.cache import ContentCache
from trainables.reuse.checkpoint import EVERY_S, StageCheckpoint, pack_state, train_resumably, unpack_state
from trainables.reuse.keys import stage_key
from trainables.reuse.lease import lease
from trainables.reuse.lengths import NO_LENGTHS, StageLengths
from trainables.texts.labelled import LabelledTexts
from trainables.training.losses import MaskedTokenLoss, cross_entropy
from trainables.training.running_stage import RunningStage, StageState, load_weights
from trainables.training.stage import StageReport
from trainables.training.stage_settings import Stage, StageSettings
from trainables.world import World

_WEIGHTS, _STATE = "stage1", "stage1_state"


@dataclass(frozen=True)
class Reuse:
    """What a run takes from other runs, and leaves for them.

    Attributes
    ----------
    cache
        Where weights and the states of unfinished stages are kept; None trains everything, and keeps nothing.
    stage1_grid
        Lengths of stage 1 that other trials may ask for.
    share_vanilla
        Keep the weights of arm ``vanilla`` for the arms that begin with them.
    checkpoint_every_s
        Seconds between two checkpoints within a stage.
    """

    cache: ContentCache | None = None
    stage1_grid: StageLengths = NO_LENGTHS
    share_vanilla: bool = False
    checkpoint_every_s: float = EVERY_S


class StageTree:
    """Trains the stages of one run in their order, or takes their weights from the cache.

    Each stage is stored under a key made from the key before it, so that runs that differ only in later stages share
    the earlier ones: :mod:`trainables.reuse.keys`.

    Parameters
    ----------
    root
        Key of the model before its first stage.
    reuse
        What is taken from other runs, and left for them.
    world
        The workers that share the run.
    """

    def __init__(self, root: str, reuse: Reuse, world: World) -> None:
        self._key = root
        self._reuse = reuse
        self._world = world

    def train(self, model: Any, stage: Stage, *, is_shared: bool) -> StageReport | None:
        """Train the next stage, and return its report, or None where its weights came from the cache.

        Parameters
        ----------
        model
            The classifier as the previous stage left it, or the masked language model; trained in place.
        stage
            The stage.
        is_shared
            Whether other runs begin with this stage, so that its weights are worth keeping.
        """
        cache = self._reuse.cache
        key = stage_key(self._key, stage, self._world)
        self._key = f"{key}-{stage.settings.steps}"
        return train_or_reuse(
            model,
            stage.texts,
            stage.settings,
            self._world,
            cache if is_shared else None,
            key,
            grid=self._reuse.stage1_grid if stage.name == "stage1" else NO_LENGTHS,
            checkpoint=(
                StageCheckpoint(cache, f"{self._key}-{stage.name}", self._reuse.checkpoint_every_s)
                if cache
                else None
            ),
        )


def train_or_reuse(
    model: Any,
    texts: LabelledTexts,
    settings: StageSettings,
    world: World,
    cache: ContentCache | None,
    key: str,
    *,
    grid: StageLengths = NO_LENGTHS,
    checkpoint: StageCheckpoint | None = None,
) -> StageReport | None:
    """Train a stage, or take its weights from the cache: the same result, bit for bit.

    If several trials need the same length at the same time, one trains it and the others wait.

    Parameters
    ----------
    model
        The classifier, trained in place.
    texts, settings
        The stage.
    world
        The workers that share the run.
    cache, key
        Where the stage's weights are kept, and a digest of all that they depend on besides its length.
    grid
        Lengths that other trials may ask for. Under a constant schedule the shorter ones are stored on the way.
    checkpoint
        Where the state of the unfinished stage is kept.

    Returns
    -------
    The stage's report, or None where its weights came from the cache.
    """
    if cache is None:
        return train_resumably(model, texts, settings, checkpoint=checkpoint, world=world)
    length = settings.steps
    chain = _Chain(cache, key, world)
    if chain.take(model, length):
        return None
    # A loss that changes with the stage's progress would break the chain.
    is_alike = settings.loss is cross_entropy or isinstance(settings.loss, MaskedTokenLoss)
    is_chain = settings.schedule == "constant" and is_alike
    others = grid.in_steps(len(texts), settings.batch_size) if is_chain else set()
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
            model, texts, settings, checkpoint=checkpoint, world=world, resume=resume, after_step=keep
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
        """Return whether every worker sees the weights of a length."""
        return self.world.all_agree(self.cache.holds(_WEIGHTS, self.name(length)))

    def lacks(self, lengths: Collection[int]) -> bool:
        """Return whether any of these lengths is missing, as the first worker sees it."""
        return self.world.first_says(not all(self.cache.holds(_WEIGHTS, self.name(n)) for n in lengths))

    def take(self, model: Any, length: int) -> bool:
        """Give the model a length's weights, if every worker has found them."""
        stored = self.cache.get(_WEIGHTS, self.name(length))
        # Another trial may store it between two workers' look-ups, so it is taken only if every worker has found it.
        if not self.world.all_agree(stored is not None) or stored is None:
            return False
        load_weights(model, load(stored))
        return True

    @contextmanager
    def leased(self, length: int, others: Collection[int]) -> Iterator[None]:
        """Hold the leases of a length and of the shorter ones on the way to it, where they are not stored yet.

        Every run asks for the shorter ones first, so that no two runs wait for each other.
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

"""Stages of tests, as short calls: a length in steps or in epochs, and any setting by its name."""

from __future__ import annotations

from trainables.reuse.checkpoint import train_resumably
from trainables.reuse.stage_tree import train_or_reuse
from trainables.texts.batching import steps_of
from trainables.texts.labelled import LabelledTexts
from trainables.training.stage import train_stage
from trainables.training.stage_settings import StageSettings


def settings_for(n_texts, *, epochs=None, steps=None, **settings):
    """Return the settings of a stage of so many texts."""
    length = steps if epochs is None else steps_of(n_texts, settings.get("batch_size", 16), epochs)
    return StageSettings(steps=length, **settings)


def train_with(model, tokens, labels, *, world=None, resume=None, after_step=None, **settings):
    """Train a stage: :func:`trainables.training.stage.train_stage`."""
    how = settings_for(len(tokens), **settings)
    texts = LabelledTexts(tokens, labels)
    return train_stage(model, texts, how, world=world, resume=resume, after_step=after_step)


def train_from_checkpoint(model, tokens, labels, *, checkpoint, world, after_step=None, **settings):
    """Train a stage as :func:`trainables.reuse.checkpoint.train_resumably` does."""
    how = settings_for(len(tokens), **settings)
    texts = LabelledTexts(tokens, labels)
    return train_resumably(model, texts, how, checkpoint=checkpoint, world=world, after_step=after_step)


def train_or_take(model, texts, world, cache, key, *, grid, **settings):
    """Train a stage or take it from the cache: :func:`trainables.reuse.stage_tree.train_or_reuse`."""
    return train_or_reuse(model, texts, settings_for(len(texts), **settings), world, cache, key, grid=grid)

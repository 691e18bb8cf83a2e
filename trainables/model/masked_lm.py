"""The pretrained encoder under its masked-language head, instead of a classifier's."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForMaskedLM

from trainables.errors import ConfigurationError
from trainables.model.encoder import load_tokenizer, place
from trainables.model.pretrained import quiet_loading, read_config
from trainables.settings import EncoderSettings
from trainables.texts.masking import MaskableVocabulary

_SHOWN = 3  # names of missing weights


@contextmanager
def loading(source: str) -> Iterator[None]:
    """Load a masked language model or its tokenizer within this, from a folder or Hub name.

    Raises
    ------
    ConfigurationError
        It cannot be loaded.
    """
    try:
        with quiet_loading():
            yield
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConfigurationError(
            f"masked language model {source!r} cannot be loaded ({reason}): check name, revision and network, or "
            "give a folder with config.json, model.safetensors and the tokenizer's files"
        ) from error


def load_pretrained_masked_lm(source: str, revision: str | None, **options: Any) -> Any:
    """Return a checkpoint as a masked language model of transformers, in float32 on the CPU.

    Parameters
    ----------
    source, revision
        Folder or Hub name, and its commit.
    options
        As for ``from_pretrained``.

    Raises
    ------
    ConfigurationError
        It cannot be loaded, or holds no masked-language head.
    """
    with loading(source):
        model, info = AutoModelForMaskedLM.from_pretrained(
            source, revision=revision, dtype=torch.float32, output_loading_info=True, **options
        )
    if info["missing_keys"]:
        raise ConfigurationError(
            f"{source!r} is no masked language model: its checkpoint lacks "
            f"{', '.join(sorted(info['missing_keys'])[:_SHOWN])}"
        )
    return model


def build_masked_lm(settings: EncoderSettings) -> Any:
    """Return the pretrained encoder under its own pretrained masked-language head.

    The weights are read once per process and copied for each model.

    Returns
    -------
    A transformers ``…ForMaskedLM`` in float32 on the settings' device, in evaluation mode. Its ``vocabulary`` is the
    tokenizer's :class:`~trainables.texts.masking.MaskableVocabulary`.

    Raises
    ------
    ConfigurationError
        The checkpoint holds no masked-language head, or its tokenizer no mask token.
    """
    used = EncoderSettings(name=settings.source, revision=settings.revision, layers=settings.layers)
    model = copy.deepcopy(_load(used))
    place(model, settings)
    return model


@functools.cache
def _load(settings: EncoderSettings) -> Any:
    tokenizer = load_tokenizer(settings)
    if tokenizer.mask_token_id is None:
        raise ConfigurationError(
            f"encoder {settings.source!r} has a tokenizer without a mask token, which masked-language training needs"
        )
    model = load_pretrained_masked_lm(settings.source, settings.revision, config=read_config(settings))
    if model.config.pad_token_id is None:
        model.config.pad_token_id = 0
    is_ordinary = np.zeros(model.config.vocab_size, np.bool_)
    is_ordinary[: len(tokenizer)] = True
    is_ordinary[tokenizer.all_special_ids] = False
    model.vocabulary = MaskableVocabulary(tokenizer.mask_token_id, is_ordinary)
    return model.eval()


def take_encoder(classifier: Any, masked_lm: Any) -> None:
    """Give a classifier the encoder's weights of a masked language model, in place.

    The pooler, which the latter lacks, and the classifier's head stay as they are.

    Raises
    ------
    ValueError
        The masked language model lacks other weights of the classifier's encoder.
    """
    trained = dict(masked_lm.base_model.named_parameters())
    with torch.no_grad():
        for name, parameter in classifier.base_model.named_parameters():
            if name in trained:
                parameter.copy_(trained[name])
            elif "pooler" not in name.split("."):
                raise ValueError(
                    f"{type(masked_lm).__name__} lacks the weights {name} of {type(classifier).__name__}"
                )


def head_logits(model: Any, hidden: torch.Tensor) -> torch.Tensor:
    """Return the (n, V) logits of (n, d) hidden states: what a masked language model does after its encoder.

    The model's head has to work on each position by itself; then it need not run on the others.
    """
    base = model.base_model
    base.forward = lambda *_, **__: _EncoderOutput(hidden[None])
    try:
        logits: torch.Tensor = model(input_ids=torch.zeros(1, 1, dtype=torch.long)).logits[0]
    finally:
        del base.forward
    return logits


class _EncoderOutput:
    """Hidden states in the place of an encoder's output; whatever else a model reads of it is None."""

    def __init__(self, hidden: torch.Tensor) -> None:
        self.last_hidden_state = hidden

    def __getitem__(self, index: Any) -> Any:
        return (self.last_hidden_state,)[index]

    def __getattr__(self, name: str) -> None:
        return None

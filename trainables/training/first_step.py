"""The first step of any training, tried before anything is spent: which encoders train is found out, not looked up."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from trainables.errors import ConfigurationError, TrialFailed
from trainables.model.encoder import build_classifier, load_tokenizer, resolve_precision
from trainables.model.forward import compute_token_logits, pad, predict
from trainables.model.masked_lm import build_masked_lm
from trainables.model.pretrained import (
    KNOWN_TO_TRAIN,
    greatest_length,
    load_checkpoint,
    read_config,
    reason_of,
)
from trainables.settings import EncoderSettings
from trainables.texts.labelled import LabelledTexts
from trainables.texts.tokens import TokenisedTexts, tokenise
from trainables.training.losses import MaskedTokenLoss
from trainables.training.stage import train_stage
from trainables.training.stage_settings import StageSettings

_WORD = "a "
_SHORT, _LONGER = 4, 24  # words of two texts, of which the shorter one gets padding
# Of the largest logit. Rounding leaves a millionth; an encoder that reads padding differs by tenths.
_PADDING_TOLERANCE = 0.02
_HEAD_TOLERANCE = 1e-3
_SHOWN = 3  # names of missing weights


def first_step_faults(settings: EncoderSettings, n_classes: int) -> list[str]:
    """Return why an encoder cannot be trained, after a training step on a short text and one of the greatest length.

    Also checked: that the checkpoint holds all of the encoder, that the encoder has enough positions, and that a
    text's logits do not depend on the padding beside it.

    Parameters
    ----------
    settings
        An encoder in which :func:`trainables.model.encoder.encoder_faults` finds nothing.
    n_classes
        Classes of the head.
    """
    try:
        return _tried(settings, n_classes)
    except ConfigurationError as error:
        return error.faults
    except TrialFailed as error:
        return [f"{_named(settings)} cannot be trained: its first step failed: {error}"]
    except Exception as error:  # what others' models raise cannot be foreseen
        reason = f"{type(error).__name__}: {reason_of(error)}"
        return [f"{_named(settings)} cannot be trained: its first step failed ({reason}). {KNOWN_TO_TRAIN}"]


def masked_lm_faults(settings: EncoderSettings) -> list[str]:
    """Return why an encoder's masked-language training cannot go on, after a step of it.

    Parameters
    ----------
    settings
        An encoder in which :func:`first_step_faults` finds nothing.
    """
    name = _named(settings)
    try:
        model = build_masked_lm(settings)
        words = [_WORD * n for n in (_SHORT, _LONGER, settings.max_length)]
        tokens = tokenise(words, load_tokenizer(settings), settings.max_length)
        if not _works_on_single_positions(model, tokens.select([0])):
            return [
                f"{name} has a masked-language head that does not work on positions one by one, as BERT's does: choose "
                "another encoder, or leave out the arms that train the head (--arms)"
            ]
        how = StageSettings(
            steps=1, learning_rate=1e-5, precision=resolve_precision(settings), loss=MaskedTokenLoss(0.5)
        )
        train_stage(model, LabelledTexts(tokens, np.zeros(len(tokens), np.int64)), how)
    except ConfigurationError as error:
        return error.faults
    except Exception as error:  # what others' models raise cannot be foreseen
        reason = f"{type(error).__name__}: {reason_of(error)}"
        return [
            f"{name} cannot go on with its masked-language training: its first step failed ({reason}). Choose another "
            "encoder, or leave out the arms that train the head (--arms)"
        ]
    return []


@torch.inference_mode()
def _works_on_single_positions(model: Any, text: TokenisedTexts) -> bool:
    """Return whether some positions' logits are those that transformers computes for all positions at once."""
    ids, attended = (x.to(model.device) for x in pad(text, model.config.pad_token_id))
    whole = model(input_ids=ids, attention_mask=attended).logits[0].float()
    places = np.arange(len(text.ids) - 1, -1, -2)  # another order and a selection
    some, _ = compute_token_logits(model, text, places)
    expected = whole[torch.from_numpy(places.copy())]
    return some.shape == expected.shape and torch.allclose(
        some, expected, rtol=_HEAD_TOLERANCE, atol=_HEAD_TOLERANCE
    )


def _tried(settings: EncoderSettings, n_classes: int) -> list[str]:
    name = _named(settings)
    config = read_config(settings)
    if config.is_encoder_decoder:
        return [
            f"{name} has a decoder as well ({config.model_type}): a model that is an encoder alone was expected. "
            f"{KNOWN_TO_TRAIN}"
        ]
    missing = load_checkpoint(settings, n_classes).missing_encoder
    if missing:
        some = ", ".join(missing[:_SHOWN]) + (", …" if len(missing) > _SHOWN else "")
        return [
            f"{name}: its weights do not fit its config.json: {len(missing)} of the encoder's own are missing or have "
            f"another shape ({some}) and would be drawn at random. Give the config.json that belongs to these weights, "
            "or save both anew with save_pretrained"
        ]
    model = build_classifier(settings, n_classes, seed=0)
    most = greatest_length(model)
    if most is not None and settings.max_length > most:
        table = model.config.max_position_embeddings
        return [
            f"encoder max_length is {settings.max_length}, but {settings.source!r} takes texts of at most {most} "
            f"tokens ({table} positions, of which the first {table - most} are not for tokens): give --set "
            f"max_length={most}"
        ]
    words = (_SHORT, _LONGER, settings.max_length)
    tokens = tokenise([_WORD * n for n in words], load_tokenizer(settings), settings.max_length)
    difference = _padding_difference(model, tokens.select([0, 1]))
    if difference > _PADDING_TOLERANCE:
        return [
            f"{name} ({config.model_type}) reads padding: in a batch with longer texts, a text's logits differ by "
            f"{difference:.0%} from those of the text alone, so results would depend on the batches. {KNOWN_TO_TRAIN}"
        ]
    texts = LabelledTexts(tokens.select([0, 2]), np.arange(2) % n_classes)
    train_stage(
        model, texts, StageSettings(steps=1, learning_rate=1e-5, precision=resolve_precision(settings))
    )
    return []


def _padding_difference(model: Any, tokens: TokenisedTexts) -> float:
    """Return the greatest difference in a short text's logits with and without padding, as a share of the largest."""
    together, alone = predict(model, tokens), predict(model, tokens.select([0]))
    return float(np.abs(together[0] - alone[0]).max() / max(float(np.abs(alone).max()), 1e-6))


def _named(settings: EncoderSettings) -> str:
    return f"encoder {settings.source!r}"

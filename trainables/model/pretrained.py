"""An encoder's checkpoint: its configuration, its weights, and whether they are what a classifier can begin with."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification
from transformers.utils import logging

from trainables.errors import ConfigurationError
from trainables.settings import EncoderSettings

# What the tests train. Others may train as well; every encoder's first step is tried.
FAMILIES = (
    "ALBERT", "BERT", "BigBird", "CamemBERT", "ConvBERT", "DeBERTa", "DeBERTa-v2 and -v3", "DistilBERT", "ELECTRA",
    "ERNIE", "EuroBERT", "Funnel", "GPT-2", "Longformer", "MegatronBERT", "MobileBERT", "ModernBERT", "MPNet",
    "NomicBERT", "RemBERT", "RoBERTa", "RoFormer", "SqueezeBERT", "XLM", "XLM-RoBERTa", "XLNet",
)  # fmt: skip
KNOWN_TO_TRAIN = f"Encoders of these families are known to train: {', '.join(FAMILIES)}."
# Heads that finetuning leaves, with what they are for; that of pretraining is no loss to anybody.
_FINETUNED = {
    "ForSequenceClassification": "classifying texts",
    "ForTokenClassification": "labelling tokens",
    "ForQuestionAnswering": "answering questions",
    "ForMultipleChoice": "multiple choice",
}
_LONGEST_REASON = 200  # characters


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as a classifier.

    Attributes
    ----------
    model
        In float32 on the CPU; it is only ever copied.
    missing
        Names of the parameters that the checkpoint lacks or has in another shape; they have to be drawn.
    """

    model: Any
    missing: tuple[str, ...]

    @property
    def missing_encoder(self) -> tuple[str, ...]:
        """Those of the encoder itself; a pooler, which many checkpoints lack, is drawn like a head."""
        prefix = f"{self.model.base_model_prefix}."
        return tuple(
            name for name in self.missing if name.startswith(prefix) and "pooler" not in name.split(".")
        )


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Keep transformers' progress bars and its tables of unused and missing weights off the terminal for a while."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        logging.enable_progress_bar()


def read_config(settings: EncoderSettings, **values: Any) -> Any:
    """Return the configuration of an encoder with as many layers as are used; no weights are read.

    Raises
    ------
    ConfigurationError
        It cannot be read, is of no model that transformers knows, or cannot have that many layers.
    """
    source = settings.source
    try:
        with quiet_loading():
            # Left open, transformers would ask on the terminal whether to run a model's own code.
            config = AutoConfig.from_pretrained(
                source, revision=settings.revision, trust_remote_code=False, **values
            )
    except Exception as error:  # configurations check themselves, each with exceptions of its own
        advice = (
            f"the folder needs config.json of a model that transformers knows. {KNOWN_TO_TRAIN}"
            if Path(source).is_dir()
            else "check the name and the network, or download the model elsewhere and give --encoder its folder"
        )
        raise ConfigurationError(
            f"encoder {source!r} cannot be loaded ({reason_of(error)}): {advice}"
        ) from error
    depth = getattr(config, "num_hidden_layers", None)
    if settings.layers is None or depth is None:
        return config
    if not 1 <= settings.layers <= depth:
        raise ConfigurationError(
            f"encoder layers is {settings.layers}; expected 1 to {depth}, the depth of {source!r}"
        )
    try:
        _cut(config, settings.layers, depth)
    except NotImplementedError as error:
        raise ConfigurationError(
            f"encoder layers is {settings.layers}, but {source!r} ({config.model_type}) cannot do with fewer than "
            "all of its layers: give --set encoder_layers=null"
        ) from error
    return config


def _cut(config: Any, layers: int, depth: int) -> None:
    """Set the number of layers, and shorten what the configuration lists layer by layer."""
    config.num_hidden_layers = layers
    for name, value in vars(config).items():
        if isinstance(value, list) and len(value) == depth and name != "architectures":
            setattr(config, name, value[:layers])


def load_checkpoint(settings: EncoderSettings, n_classes: int) -> Checkpoint:
    """Return an encoder's checkpoint under a head for ``n_classes`` classes, loaded once per process.

    Raises
    ------
    ConfigurationError
        Its configuration cannot be used.
    """
    used = EncoderSettings(name=settings.source, revision=settings.revision, layers=settings.layers)
    return _load(used, n_classes)


@functools.cache
def _load(settings: EncoderSettings, n_classes: int) -> Checkpoint:
    config = read_config(settings, num_labels=n_classes)
    with quiet_loading():
        model, info = AutoModelForSequenceClassification.from_pretrained(
            settings.source,
            revision=settings.revision,
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
            # A head for other classes is dropped, as every head is; `missing_encoder` tells what else differs.
            ignore_mismatched_sizes=True,
        )
    if model.config.pad_token_id is None:
        model.config.pad_token_id = 0
    mismatched = {name for name, *_ in info["mismatched_keys"]}
    return Checkpoint(model.eval(), tuple(sorted({*info["missing_keys"], *mismatched})))


def greatest_length(model: Any) -> int | None:
    """Return the most tokens of a text that a model has positions for; None where it has no limit.

    Where positions begin after that of padding (RoBERTa's family), fewer than the table's rows are left.
    """
    table = getattr(model.config, "max_position_embeddings", None)
    if table is None or table < 1:  # XLNet says -1
        return None
    offsets = (
        module.padding_idx + 1
        for name, module in model.base_model.named_modules()
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None
    )
    return int(table) - next(offsets, 0)


def dropped_head(settings: EncoderSettings) -> str | None:
    """Return a sentence about the head that finetuning has left in a checkpoint, or None if there is none."""
    config = read_config(settings)
    architecture = next(iter(getattr(config, "architectures", None) or ()), "")
    purpose = next((what for ending, what in _FINETUNED.items() if architecture.endswith(ending)), None)
    if purpose is None:
        return None
    outputs = (
        f", with {config.num_labels} outputs" if purpose.startswith(("classifying", "labelling")) else ""
    )
    return (
        f"The encoder was finetuned before: its checkpoint holds a head for {purpose} ({architecture}{outputs}). The "
        "encoder is taken from it, and its head is dropped: every trial begins with a fresh one."
    )


def reason_of(error: Exception) -> str:
    """Return an exception's first line with words in it, shortened, or its name."""
    lines = (" ".join(line.split()) for line in str(error).splitlines())
    return next((line for line in lines if line), type(error).__name__)[:_LONGEST_REASON].rstrip(". ")

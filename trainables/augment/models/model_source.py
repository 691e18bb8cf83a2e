"""Where an operator's own model is: a folder, or a name on the Hugging Face Hub with its commit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from trainables.errors import ConfigurationError
from trainables.model.encoder import encoder_digest
from trainables.model.weight_files import folder_faults
from trainables.settings import EncoderSettings

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


class ModelSource(NamedTuple):
    """What ``from_pretrained`` takes.

    Attributes
    ----------
    name
        Folder or Hub name.
    revision
        Commit of a Hub model, None for a folder.
    """

    name: str
    revision: str | None


def source_fault(operator: str, option: str, model: object) -> str | None:
    """Return what is wrong with the option that names a model, or None; looks at this machine alone."""
    where = f"option {option!r} of the operator {operator} is {model!r}"
    expected = "a folder with a model and its tokenizer, or a Hub name with its commit (NAME@REVISION)"
    if not isinstance(model, str) or not model:
        return f"{where}: expected {expected}"
    if Path(model).is_dir():
        faults = folder_faults(Path(model))
        return f"{where}: the folder {'; it '.join(faults)}" if faults else None
    name, _, revision = model.partition("@")
    if not _HUB_NAME.fullmatch(name):
        return f"{where}: there is no such folder; expected {expected}"
    if not revision:
        return f"{where}: there is no such folder, and a Hub name needs its commit; expected {expected}"
    return None


def model_source(operator: str, option: str, model: str) -> ModelSource:
    """Return folder or name, and revision, of the option that names a model.

    Raises
    ------
    ConfigurationError
        It is neither a folder with a model nor NAME@REVISION.
    """
    if fault := source_fault(operator, option, model):
        raise ConfigurationError(fault)
    if Path(model).is_dir():
        return ModelSource(model, None)
    name, _, revision = model.partition("@")
    return ModelSource(name, revision)


def model_digest(operator: str, option: str, model: str) -> str:
    """Return a digest of the files of the option's folder, or Hub name and revision."""
    source = model_source(operator, option, model)
    return encoder_digest(EncoderSettings(name=source.name, revision=source.revision))

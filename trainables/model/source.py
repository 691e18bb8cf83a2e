"""Where an encoder is, and whether it can be used, judged by names and files alone, before torch is loaded."""

from __future__ import annotations

import os
from pathlib import Path

from trainables.errors import ConfigurationError
from trainables.model.weight_files import folder_faults, holds_masked_lm_head
from trainables.settings import EncoderSettings


def source_faults(settings: EncoderSettings) -> list[str]:
    """Return what is wrong with an encoder's name or its folder's files; weights are not read."""
    try:
        source = settings.source
    except ConfigurationError as error:
        return error.faults
    if os.path.isfile(source):  # noqa: PTH113
        return [
            f"encoder {source!r} is a file: give the folder that holds it, with config.json and the tokenizer's files"
        ]
    if not os.path.isdir(source):  # noqa: PTH112  (unlike Path's, it is never too long a name)
        if os.path.lexists(source) or source.startswith((".", "/", "~")) or source.count("/") > 1:
            return [f"encoder {source!r} is not a folder; give a folder with config.json, or a Hub name"]
        if settings.revision is None:
            return [
                f"encoder {source!r} is a Hub name without a revision; pin the commit as NAME@REVISION (40 hexadecimal "
                "digits, from the model's page on the Hub), or download it and give its folder"
            ]
        return []
    return [f"encoder {source!r} {fault}" for fault in folder_faults(Path(source))]


def is_without_masked_lm_head(settings: EncoderSettings) -> bool:
    """Return whether an encoder's folder shows that it has no masked-language head; a Hub name does not show it."""
    try:
        source = Path(settings.source)
    except ConfigurationError:  # told by source_faults
        return False
    return source.is_dir() and not holds_masked_lm_head(source)

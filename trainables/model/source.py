"""Where an encoder is, and whether it can be used, judged by names and files alone, before any library is loaded."""

from __future__ import annotations

from pathlib import Path

from trainables.errors import ConfigurationError
from trainables.settings import EncoderSettings


def source_faults(settings: EncoderSettings) -> list[str]:
    """Return what is wrong with an encoder's name or its folder's files; the files are not read."""
    try:
        source = settings.source
    except ConfigurationError as error:
        return error.faults
    if not Path(source).is_dir():
        if Path(source).exists() or source.startswith((".", "/", "~")) or source.count("/") > 1:
            return [f"encoder {source!r} is not a folder; give a folder with config.json, or a Hub name"]
        if settings.revision is None:
            return [
                f"encoder {source!r} is a Hub name without a revision; pin the commit as NAME@REVISION (40 hexadecimal "
                "digits, from the model's page on the Hub), or download it and give its folder"
            ]
        return []
    needed = {"config.json": ("config.json",), "model.safetensors": ("*.safetensors", "pytorch_model*.bin")}
    missing = [
        name
        for name, patterns in needed.items()
        if not any(path for pattern in patterns for path in Path(source).glob(pattern))
    ]
    if not missing:
        return []
    return [
        f"encoder {source!r} lacks {' and '.join(missing)}: the folder needs config.json, model.safetensors and the "
        "tokenizer's files"
    ]

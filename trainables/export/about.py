"""What a model's folder says of itself; read without loading the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trainables.errors import ConfigurationError

ABOUT = "export.json"
_REMOVE = "remove the model's folder, and the study's launch command makes it anew."


def read_about(folder: Path) -> dict[str, Any] | None:
    """Return what a model's folder says of itself; None where it holds no model.

    Raises
    ------
    ConfigurationError
        What it says cannot be read.
    """
    path = folder / ABOUT
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(about, dict) and {"digest", "classes", "max_length"} <= about.keys():
            return about
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read ({error}); {_REMOVE}") from error
    raise ConfigurationError(f"{path} does not say what the model is; {_REMOVE}")


def holds_model(folder: Path, digest: str) -> bool:
    """Return whether a folder holds the model of a digest."""
    try:
        about = read_about(folder)
    except ConfigurationError:  # damaged: it is written anew
        return False
    return about is not None and about["digest"] == digest

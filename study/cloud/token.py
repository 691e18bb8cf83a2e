"""The token that a cluster's nodes and its user show to one another. Ray reads it where it lies here."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def make_token(path: Path) -> bool:
    """Write a token that nobody can guess, readable by its owner alone, unless there is one; return whether it is new.

    A token that was made earlier, as by a launch on this machine, is kept: running clusters know it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(secrets.token_hex(32))
    return True

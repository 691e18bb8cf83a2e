"""What keeps a folder from being written, and files that are written in one step."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path


def folder_problem(path: Path) -> str | None:
    """Return what keeps a folder from being written, or from being made; nothing is left in it.

    Parameters
    ----------
    path
        An absolute path.
    """
    try:
        return _found_problem(path)
    except OSError as error:
        return error.strerror


def _found_problem(path: Path) -> str | None:
    if path.is_dir():
        with tempfile.TemporaryFile(dir=path):
            return None
    nearest = next(folder for folder in (path, *path.parents) if os.path.lexists(folder))
    if nearest.is_symlink() and not nearest.exists():
        return f"{nearest} is a link to {nearest.readlink()}, which is not there"
    if not nearest.is_dir():
        return f"{nearest} is no folder"
    if not os.access(nearest, os.W_OK | os.X_OK):
        return f"{nearest} is read-only"
    return None


def write_in_one_step(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees either the old content or the new, never a mixture.

    Parameters
    ----------
    path
        The file; its folder is made where it is missing.
    content
        What it is to hold.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Processes of two machines may have the same number.
    temporary = path.with_name(f".{path.name}.writing-{secrets.token_hex(8)}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # or a machine that goes down may keep the new name and no content
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

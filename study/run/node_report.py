"""What a node of a cluster says of itself. Sent there as text, for a node that lacks the project has to answer as well.

So nothing is imported here beside Python's own library.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

# What decides a trial's numbers, or how machines understand one another.
LIBRARIES = (
    "ray",
    "torch",
    "transformers",
    "tokenizers",
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "nlpaug",
)
PACKAGES = ("study", "trainables")
_SOURCES = (".py", ".c", ".cpp", ".h")
# A file is read whole, or in three pieces: the answer is to take no second.
_WHOLE_BYTES, _PIECE_BYTES = 8 * 2**20, 2**18
_VISIBLE_S = 5.0  # within which a network mount shows a file that another machine wrote


class NodeReport(NamedTuple):
    """What a node says of itself.

    Attributes
    ----------
    host
        Its name.
    nonce
        What the driver's file holds there; None where it is missing.
    writes
        Whether the storage folder can be written.
    versions
        Versions of Python and of the libraries; None for one that is missing.
    code
        Digest of the project's sources; empty where it is not installed.
    encoder
        Digest of the encoder's folder; empty where it is not there, or the encoder is no folder.
    """

    host: str
    nonce: str | None
    writes: bool
    versions: dict[str, str | None]
    code: str
    encoder: str = ""


def node_report(nonce_file: str, distributions: Sequence[str] = (), encoder: str = "") -> NodeReport:
    """Return what this machine says of itself.

    Parameters
    ----------
    nonce_file
        A file that the driver wrote to the storage folder.
    distributions
        Names of which versions are told, beside the libraries.
    encoder
        The folder of the study's encoder; empty where that is no folder.
    """
    file = Path(nonce_file)
    last = time.monotonic() + _VISIBLE_S
    nonce = None
    while nonce is None:
        try:
            nonce = file.read_text(encoding="utf-8")
        except OSError:
            if time.monotonic() > last:
                break
            time.sleep(0.2)
    writes = os.access(file.parent, os.W_OK | os.X_OK)
    versions, files = _versions(distributions), folder_digest(encoder) if encoder else ""
    return NodeReport(socket.gethostname(), nonce, writes, versions, code_digest(), files)


def _versions(distributions: Sequence[str]) -> dict[str, str | None]:
    major, minor, _ = platform.python_version_tuple()
    found: dict[str, str | None] = {"python": f"{major}.{minor}"}
    for name in dict.fromkeys((*LIBRARIES, *distributions)):
        try:
            # A build for CUDA says so after the plus sign.
            found[name] = importlib.metadata.version(name).partition("+")[0]
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def code_digest() -> str:
    """Return a digest of the project's sources as Python finds them; empty where it does not."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            return ""
        folder = Path(next(iter(spec.submodule_search_locations)))
        for path in sorted(folder.rglob("*")):
            if path.suffix in _SOURCES:
                digest.update(f"{package}/{path.relative_to(folder).as_posix()}\0".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def folder_digest(folder: str) -> str:
    """Return a digest of a folder's files; empty where it is not there.

    Of files as large as weights it reads the size, the beginning, the middle and the end.
    """
    digest = hashlib.sha256()
    try:
        files = sorted(path for path in Path(folder).iterdir() if path.is_file())
        for path in files:
            size = path.stat().st_size
            digest.update(f"{path.name}\0{size}\0".encode())
            with path.open("rb") as file:
                if size <= _WHOLE_BYTES:
                    digest.update(file.read())
                    continue
                for start in (0, size // 2, size - _PIECE_BYTES):
                    file.seek(start)
                    digest.update(file.read(_PIECE_BYTES))
    except OSError:
        return ""
    return digest.hexdigest()[:12]

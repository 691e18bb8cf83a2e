"""Fetch single published files once: checked against their digest, kept in the user's cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from trainables.errors import ConfigurationError
from trainables.user_cache import cache_folder

_TIMEOUT = 30.0  # seconds without a byte
_CHUNK = 1 << 20
_MAX_BYTES = 1 << 30


def fetch(url: str, sha256: str) -> Path:
    """Return a local copy of a published file; it is downloaded where the cache does not hold it.

    The copy appears whole or not at all, and is checked whenever it is asked for.

    Parameters
    ----------
    url
        Published address.
    sha256
        Digest of the file's content in hexadecimal digits.

    Raises
    ------
    ConfigurationError
        Without a network, and for content with another digest.
    """
    target = cache_folder() / "published" / sha256[:16] / url.rsplit("/", 1)[-1]
    if target.is_file() and _digest(target) == sha256:
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".downloading-")
    except OSError as error:
        raise ConfigurationError(
            f"{target.parent}: cannot be written ({error.strerror}); set XDG_CACHE_HOME to a folder that can."
        ) from error
    try:
        with os.fdopen(handle, "wb") as file, urllib.request.urlopen(url, timeout=_TIMEOUT) as response:
            size = 0
            while chunk := response.read(_CHUNK):
                size += len(chunk)
                if size > _MAX_BYTES:
                    raise ConfigurationError(f"{url}: more than {_MAX_BYTES >> 20} MB; this is not the file.")
                file.write(chunk)
        found = _digest(Path(temporary))
        if found != sha256:
            raise ConfigurationError(
                f"{url}: the content has SHA-256 {found}, expected {sha256}; the file has changed or was cut. Try "
                f"again, or give a copy with --data."
            )
        os.replace(temporary, target)
    except (urllib.error.URLError, OSError) as error:
        raise ConfigurationError(
            f"{url}: cannot be downloaded ({getattr(error, 'reason', None) or error}); give a copy with --data."
        ) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    return target


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

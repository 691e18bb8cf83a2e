"""Content-addressed files that processes and nodes share: atomic to write, verified when read."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

_DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass
class ContentCache:
    """A folder of immutable entries, each named by a digest of everything that it depends on.

    Concurrent writers of one key are harmless: both write the same content, the rename is atomic. An entry
    that does not match its own checksum is removed and counts as missing.

    Attributes
    ----------
    root
        Folder; created when something is first stored.
    hits, misses
        Look-ups since this object was made, per kind of entry.
    """

    root: Path
    hits: dict[str, int] = field(default_factory=dict)
    misses: dict[str, int] = field(default_factory=dict)

    def path(self, kind: str, key: str) -> Path:
        """Return where the entry of a kind (``"augmentation"``, ``"stage1"``, …) lies."""
        return self.root / kind / key[:2] / key

    def get(self, kind: str, key: str) -> bytes | None:
        """Return the stored bytes, or None where they are missing or damaged."""
        path = self.path(kind, key)
        try:
            stored = path.read_bytes()
        except FileNotFoundError:
            stored = b""
        content = stored[_DIGEST_BYTES:]
        if len(stored) < _DIGEST_BYTES or hashlib.sha256(content).digest() != stored[:_DIGEST_BYTES]:
            if stored:
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()
            self.misses[kind] = self.misses.get(kind, 0) + 1
            return None
        self.hits[kind] = self.hits.get(kind, 0) + 1
        return content

    def put(self, kind: str, key: str, content: bytes) -> None:
        """Store bytes under a key; nothing half-written is ever visible."""
        path = self.path(kind, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(content).digest())
                file.write(content)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise

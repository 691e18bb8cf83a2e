"""Content-addressed files that processes and nodes share: atomic to write, verified when read, bounded in size."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from trainables.reuse.lease import is_made

DEFAULT_MAX_BYTES = 20 * 10**9
# An entry that was written or read within this time counts as in use and is never evicted.
GRACE_S = 900.0
# A stage that still runs may take this long to write its next checkpoint, and has only the one.
CHECKPOINT_GRACE_S = 2 * 86_400.0
CHECKPOINT = "checkpoint"
PAID_ANSWER = "paraphrase"  # a few kB each: never evicted, since getting one again costs money
_ABANDONED_S = 86_400.0  # after this time a half-written file belongs to no living process
_SHARE_BETWEEN_SWEEPS = 0.02  # of the limit; a process that has written more looks at the whole folder again
_DIGEST_BYTES = hashlib.sha256().digest_size
_WRITING = ".writing-"

_log = logging.getLogger(__name__)
_written_since_sweep: dict[Path, int] = {}
_warned: set[tuple[Path, str]] = set()


@dataclass
class ContentCache:
    """A folder of immutable entries, each named by a digest of everything that it depends on.

    Concurrent writers of one key are harmless: both write the same content, the rename is atomic. An entry
    that does not match its own checksum is removed and counts as missing.

    The folder is bounded: a process that writes removes the least recently used entries, of any kind, until the rest
    fits. Look-ups count as use. What was used in the last 15 minutes is kept even if it exceeds the bound. Several
    processes may evict at once; a reader whose entry is removed finds it missing, or reads it to the end if it had
    already opened it.

    Paid answers, checkpoints of the last two days and files that are being written are kept too, and do not count
    towards the bound: otherwise they would push out all that the trials share. So the disk must hold ``max_bytes``
    plus one checkpoint (12 bytes a parameter) for every trial that runs or was cut off in the last two days.

    Attributes
    ----------
    root
        Folder; created when something is first stored.
    max_bytes
        Limit on the size of all other entries, which each writing process may exceed by 2 %; never more than half of
        the disk space that would be free without them.
    hits, misses
        Look-ups since this object was made, per kind of entry.
    corrupt
        Damaged entries among the misses.
    evicted
        Entries that this object removed to make room.
    unwritten
        Entries that :meth:`offer` could not write.
    unread
        Those of the misses where the folder could not be read.
    """

    root: Path
    max_bytes: int = DEFAULT_MAX_BYTES
    hits: dict[str, int] = field(default_factory=dict)
    misses: dict[str, int] = field(default_factory=dict)
    corrupt: dict[str, int] = field(default_factory=dict)
    evicted: int = 0
    unwritten: int = 0
    unread: int = 0

    def path(self, kind: str, key: str) -> Path:
        """Return where the entry of a kind (``"augmentation"``, ``"stage1"``, …) lies."""
        return self.root / kind / key[:2] / key

    def keys(self, kind: str, prefix: str) -> list[str]:
        """Return the keys of a kind that begin with a prefix of two letters or more."""
        try:
            names = [path.name for path in self.path(kind, prefix).parent.iterdir()]
        except OSError:  # nothing is stored there, or the folder cannot be read
            return []
        return sorted(name for name in names if name.startswith(prefix))

    def holds(self, kind: str, key: str) -> bool:
        """Return whether an entry is there, without reading it; False where the folder cannot be read."""
        return is_made(self.path(kind, key))

    def get(self, kind: str, key: str) -> bytes | None:
        """Return the stored bytes, or None where they are missing, damaged or, with one warning, cannot be read.

        Raises
        ------
        OSError
            A paid answer cannot be read. It is not treated as missing, since getting it again costs money.
        """
        path = self.path(kind, key)
        try:
            stored = path.read_bytes()
        except FileNotFoundError:
            _count(self.misses, kind)
            return None
        except OSError as error:
            if kind == PAID_ANSWER:
                raise
            _count(self.misses, kind)
            self.unread += 1
            self._warn_once(
                "the cache %s cannot be read (%s): what it holds is computed again", self.root, error
            )
            return None
        content = stored[_DIGEST_BYTES:]
        if len(stored) < _DIGEST_BYTES or hashlib.sha256(content).digest() != stored[:_DIGEST_BYTES]:
            self.remove(kind, key)
            _count(self.misses, kind)
            _count(self.corrupt, kind)
            return None
        with contextlib.suppress(OSError):  # a folder that cannot be written to is not swept either
            os.utime(path)
        _count(self.hits, kind)
        return content

    def put(self, kind: str, key: str, content: bytes) -> None:
        """Store bytes under a key; nothing half-written is ever visible."""
        path = self.path(kind, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f"{_WRITING}{uuid.uuid4().hex}"
        try:
            # Unlike tempfile, this leaves the mode to the umask, so that other users of the folder can read the entry.
            with temporary.open("xb") as file:
                file.write(hashlib.sha256(content).digest())
                file.write(content)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        self._bound(len(content))

    def offer(self, kind: str, key: str, content: bytes) -> None:
        """Store bytes that can be computed again, or warn once that the folder takes none: a run needs no entry."""
        try:
            self.put(kind, key, content)
        except OSError as error:
            self.unwritten += 1
            self._warn_once(
                "the cache %s cannot be written (%s): training goes on, but what it finishes is not kept for other "
                "trials, and an interrupted stage begins anew",
                self.root,
                error,
            )

    def remove(self, kind: str, key: str) -> None:
        """Remove an entry, if it is there and the folder allows it; one that stays is evicted later."""
        with contextlib.suppress(OSError):
            self.path(kind, key).unlink(missing_ok=True)

    def _warn_once(self, message: str, *details: object) -> None:
        if (self.root, message) not in _warned:
            _warned.add((self.root, message))
            _log.warning(message, *details)

    def _bound(self, written: int) -> None:
        """Sweep only now and then: looking at every file of a network mount takes time."""
        pending = _written_since_sweep.get(self.root, self.max_bytes) + written
        if pending > _SHARE_BETWEEN_SWEEPS * self.max_bytes:
            self._sweep()
            pending = 0
        _written_since_sweep[self.root] = pending

    def _sweep(self) -> None:
        files = sorted(self._files())
        newest = files[-1][0] if files else 0.0  # the folder's own clock, whatever this node's says
        entries = []
        for used, size, path in files:
            if path.name.startswith(_WRITING):
                if newest - used >= _ABANDONED_S:
                    with contextlib.suppress(OSError):
                        path.unlink(missing_ok=True)
            elif not self._is_protected(path, newest - used):
                entries.append((used, size, path))
        total = sum(size for _, size, _ in entries)
        limit = min(self.max_bytes, (shutil.disk_usage(self.root).free + total) // 2)
        for used, size, path in entries:
            if total <= limit or newest - used < GRACE_S:
                break
            try:
                path.unlink()
                self.evicted += 1
            except FileNotFoundError:
                pass  # another process sweeps too
            except OSError:
                continue  # another user's: it stays, and counts
            total -= size

    def _is_protected(self, path: Path, unused_s: float) -> bool:
        kind = path.relative_to(self.root).parts[0]
        return kind == PAID_ANSWER or (kind == CHECKPOINT and unused_s < CHECKPOINT_GRACE_S)

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """Yield time of last use, size and path of every entry and every file that is being written."""
        for folder, _, names in os.walk(self.root):
            for name in names:
                if name.startswith(".") and not name.startswith(_WRITING):
                    continue
                with contextlib.suppress(OSError):
                    path = Path(folder, name)
                    status = path.stat()
                    yield status.st_mtime, status.st_size, path


def _count(counts: dict[str, int], kind: str) -> None:
    counts[kind] = counts.get(kind, 0) + 1

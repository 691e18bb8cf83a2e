"""Leases: where several processes and nodes want the same entry, one of them makes it and the others wait for it.

A lease is a file that its holder creates exclusively beside the entry and rewrites while it works. It needs no
``flock``, which network mounts often lack, and trusts no clock but the waiter's own. Entries are content-addressed
and written atomically, so a lease only saves work and no result depends on it: should two processes make an entry,
they make the same one.

filelock's ``SoftFileLease`` does not serve here: it replaces a dead holder only where a file system can exchange two
names, which NFS cannot, and waits forever for an empty lease or one in a folder that it may not write to.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path

STALE_S = 30.0
HEARTBEAT_S = 5.0
_FIRST_POLL_S, _LONGEST_POLL_S = 0.01, 0.5


@contextlib.contextmanager
def lease(entry: Path, *, stale_s: float = STALE_S, heartbeat_s: float = HEARTBEAT_S) -> Iterator[bool]:
    """Hold the lease on an entry, or wait until whoever holds it has made the entry.

    The lease of a holder that was killed is taken over: at once where it ran on this machine, else after
    ``stale_s`` without a heartbeat. A holder that ends without an entry (it raised) hands over to a waiter. Where
    the file system refuses the lease's file, or a dead holder's file cannot be read or removed because it belongs to
    another user, there is no lease, and every caller makes the entry itself.

    Parameters
    ----------
    entry
        Path of the entry; it counts as made as soon as the path exists.
    stale_s
        Seconds without a heartbeat after which a holder counts as dead; several times ``heartbeat_s``.
    heartbeat_s
        Seconds between two heartbeats.

    Yields
    ------
    bool
        True: make the entry within the ``with`` block. False: it is there now.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     entry = Path(folder) / "entry"
    ...     with lease(entry) as mine:
    ...         _ = entry.write_text("made") if mine else ""
    ...     with lease(entry) as mine:
    ...         mine
    False
    """
    held = _acquire(entry, stale_s)
    if held is None:
        yield not is_made(entry)
        return
    file, descriptor, token = held
    stop = threading.Event()
    beating = threading.Thread(target=_beat, args=(descriptor, token, heartbeat_s, stop), daemon=True)
    try:
        if is_made(entry):  # made between the caller's look-up and this lease
            yield False
        else:
            beating.start()
            yield True
    finally:
        stop.set()
        if beating.ident is not None:
            beating.join()
        os.close(descriptor)
        if token in (_content(file) or ""):  # it was not taken over meanwhile
            with contextlib.suppress(OSError):
                file.unlink()


def is_made(entry: Path) -> bool:
    """Return whether an entry is there; False where the folder cannot be read."""
    try:
        return entry.exists()
    except OSError:
        return False


def lease_file(entry: Path) -> Path:
    """Return where the lease on an entry lies while somebody holds it."""
    return entry.with_name(f".{entry.name}.lease")


def _acquire(entry: Path, stale_s: float) -> tuple[Path, int, str] | None:
    """Return the lease's file, descriptor and token; None where the entry came first or no lease can be had."""
    file = lease_file(entry)
    seen: str | None = None
    seen_at = time.monotonic()
    pause = _FIRST_POLL_S
    while True:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            if is_made(entry):
                return None
        except OSError:
            return None
        else:
            token = uuid.uuid4().hex
            with contextlib.suppress(OSError):  # even without its holder's name others can wait for it
                os.write(descriptor, _signed(token, 0))
            return file, descriptor, token
        content = _content(file)
        if content != seen:
            seen, seen_at = content, time.monotonic()
        is_stale = time.monotonic() - seen_at > stale_s
        if content is None and is_stale:
            return None  # it cannot be read, so nobody can tell whether its holder lives
        if content is not None and (is_stale or _is_dead(content)):
            if not _remove(file, content):
                return None
            continue
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_POLL_S)


def _remove(file: Path, content: str) -> bool:
    """Remove a dead holder's lease, unless another waiter has just replaced it by its own; False if that fails."""
    try:
        if _content(file) == content:
            file.unlink(missing_ok=True)
    except OSError:  # another user's
        return False
    return True


def _content(file: Path) -> str | None:
    """Return what a lease says. Opening it, unlike asking for its time stamp, makes a network mount look again."""
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _signed(token: str, beats: int) -> bytes:
    holder = {"machine": _machine(), "process": os.getpid(), "token": token, "beats": beats}
    return json.dumps(holder).encode()


def _beat(descriptor: int, token: str, heartbeat_s: float, stop: threading.Event) -> None:
    beats = 0
    while not stop.wait(heartbeat_s):
        beats += 1
        try:
            os.pwrite(descriptor, _signed(token, beats), 0)
            os.fsync(descriptor)  # a network mount sends it only now
        except OSError:
            return  # the lease is lost or its disk is full; at worst somebody else makes the entry too


def _is_dead(content: str) -> bool:
    """Return whether the holder ran on this machine and no longer does."""
    try:
        holder = json.loads(content)
        machine, process = holder["machine"], int(holder["process"])
    except (ValueError, TypeError, KeyError):
        return False  # being written
    if machine is None or machine != _machine():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


@cache
def _machine() -> str | None:
    """Return what tells this machine, since its last start, from others that share the folder; None if unknown.

    Each container of a machine numbers its own processes, so the process namespace is part of the name.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()} {boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None

"""SQLite files of a storage folder that is a network mount: written on a disk of this machine, and copied there.

SQLite relies on locks that network file systems keep badly or not at all. MLflow's and Optuna's files are therefore
written on a local disk. The storage folder gets copies, in one step each, from which another machine goes on. The
ledger stays in the storage folder: one driver appends to it under a lock, and a line must outlive the machine.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import socket
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from platformdirs import user_state_path

from study.record.writable import folder_problem, write_in_one_step
from trainables.errors import StudyStopped

OWN_DISK_VARIABLE = "STUDY_OWN_DISK"
COPIED_EVERY_S = 300.0
_LOCKED_S = 10.0  # how long another program's lock is waited for
_NETWORKS = (
    "nfs",
    "cifs",
    "smb",
    "afpfs",
    "afs",
    "lustre",
    "ceph",
    "gpfs",
    "beegfs",
    "glusterfs",
    "9p",
    "virtiofs",
    "vboxsf",
    "fuse.",
)


def network_mount(path: Path) -> str | None:
    """Return the type of the network file system that holds a path; None where it is a disk of this machine.

    What a program serves (FUSE) counts as a network: it mostly is one, and its locks are its own.

    Parameters
    ----------
    path
        A file or folder, which may be missing yet.
    """
    import psutil

    place = path.resolve()
    mounts = [part for part in psutil.disk_partitions(all=True) if place.is_relative_to(part.mountpoint)]
    if not mounts:
        return None
    # Of several mounts at one point the last one is seen.
    kind = str(max(reversed(mounts), key=lambda part: len(Path(part.mountpoint).parts)).fstype).lower()
    return kind if kind == "fuse" or kind.startswith(_NETWORKS) else None


def databases_folder(storage: Path) -> Path:
    """Return where the SQLite files of a storage folder are written.

    That is the storage folder, unless it is a network mount: then a folder of its own below ``$STUDY_OWN_DISK``, or
    below the first of the user's state folder, ``/var/tmp`` and the system's temporary folder that is a disk of this
    machine. ``$STUDY_OWN_DISK`` holds for every storage folder where it is set.

    Parameters
    ----------
    storage
        Folder for results and caches.
    """
    given = os.environ.get(OWN_DISK_VARIABLE)
    if given:
        below = Path(given).expanduser().absolute()
    elif network_mount(storage) is None:
        return storage
    else:
        local = [folder for folder in _own_folders() if network_mount(folder) is None and _is_free(folder)]
        if not local:
            return storage
        below = local[0]
    return below / hashlib.sha256(os.fsencode(storage.resolve())).hexdigest()[:16]


def databases_sentence(storage: Path, whose: str) -> str | None:
    """Return where the SQLite files of a storage folder are written, if not simply there, for a sentence.

    Parameters
    ----------
    storage
        Folder for results and caches.
    whose
        Whose files they are.
    """
    folder, network = databases_folder(storage), network_mount(storage)
    if folder != storage:
        why = (
            f"{OWN_DISK_VARIABLE} says so" if network is None else f"{storage} is a network mount ({network})"
        )
        return (
            f"{whose} SQLite files are written in {folder}, because {why}; {storage} gets copies every "
            f"{COPIED_EVERY_S / 60:.0f} minutes and at the end."
        )
    if network is None:
        return None
    return (
        f"{storage} is a network mount ({network}), and no folder on a disk of this machine was found for SQLite "
        f"files: they are written in {storage}, where they may be locked or damaged. Set {OWN_DISK_VARIABLE} to such a "
        "folder."
    )


def _own_folders() -> list[Path]:
    shared = f"imbalance-study-{os.getuid()}"  # in folders of all users
    return [
        user_state_path("imbalance-study", appauthor=False),
        Path("/var/tmp", shared),
        Path(tempfile.gettempdir(), shared),
    ]


def _is_free(folder: Path) -> bool:
    """Return whether a folder is this user's, or may be made: others write to temporary folders too."""
    is_ours = not os.path.lexists(folder) or folder.lstat().st_uid == os.getuid()
    return is_ours and folder_problem(folder) is None


@dataclass(frozen=True)
class CopiedDatabase:
    """A SQLite file that is written on this machine's disk, and its copy in the storage folder.

    Beside the file that is written stand the digests of its last copies. A copy with any other digest was written by
    somebody else since. They are noted before a copy is put in place, so that a driver may be killed at any moment.

    Attributes
    ----------
    written
        The file that is written.
    kept
        Its copy.
    is_remade
        The file is made anew at every launch, so the copy is never needed, and always replaced.
    """

    written: Path
    kept: Path
    is_remade: bool = False

    @contextmanager
    def fetched(self, say: Callable[[str], None]) -> Iterator[None]:
        """Take over what somebody else has written, unless a launch on this machine uses the file.

        Parameters
        ----------
        say
            Called with a sentence where that sets this machine's own file aside.

        Raises
        ------
        StudyStopped
            The folder cannot be made, or the copy cannot be read.
        """
        with ExitStack() as in_use:
            try:
                # mkdir(parents=True) would let others look into the upper ones.
                for folder in reversed((self.written.parent, *self.written.parent.parents)):
                    folder.mkdir(mode=0o700, exist_ok=True)
                lock = in_use.enter_context(self._file("in-use"))
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    pass
                else:
                    self._fetch(say)
                fcntl.flock(lock, fcntl.LOCK_SH)
            except OSError as error:
                raise StudyStopped(
                    f"{self.kept} cannot be fetched to {self.written}: {error}. Repair the folders, or set "
                    f"{OWN_DISK_VARIABLE} to another one on a disk of this machine, and give the same command again."
                ) from error
            yield

    def _fetch(self, say: Callable[[str], None]) -> None:
        if self.is_remade:
            return
        found, known = _digest(self.kept), self._copies()
        if self.written.exists():
            if found in known or (found is None and not known):
                return
            aside = self.written.with_name(f"{self.written.name}.until-{time.strftime('%Y%m%d-%H%M%S')}")
            what = "is no longer there" if found is None else "was written by somebody else since"
            say(f"{self.kept} {what}: this machine's earlier file is {aside}.")
            self.written.replace(aside)
            for journal in _journals(self.written):
                if journal.exists():
                    journal.replace(
                        aside.with_name(aside.name + journal.name.removeprefix(self.written.name))
                    )
        self._note(*filter(None, [found]))
        if found is None:
            return
        for journal, of_kept in zip(_journals(self.written), _journals(self.kept), strict=True):
            journal.unlink(missing_ok=True)
            if of_kept.exists():
                shutil.copyfile(of_kept, journal)
        _copy(self.kept, self.written)

    def copy(self) -> Path:
        """Write the copy in one step, and return it: under another name where somebody else has written it since.

        Raises
        ------
        sqlite3.Error
            The file is damaged, or another program keeps it locked.
        OSError
            The copy cannot be written.
        """
        if not self.written.exists():
            return self.kept
        with self._file("copying") as lock, tempfile.TemporaryDirectory(dir=self.written.parent) as folder:
            fcntl.flock(lock, fcntl.LOCK_EX)
            snapshot = Path(folder, self.written.name)
            with (
                closing(sqlite3.connect(self.written, timeout=_LOCKED_S)) as source,
                closing(sqlite3.connect(snapshot)) as copy,
            ):
                source.backup(copy)
            found, known, ours = _digest(self.kept), self._copies(), _digest(snapshot)
            elsewhere = self.kept.with_name(f"{self.kept.stem}-{socket.gethostname()}.db")
            target = self.kept if self.is_remade or found is None or found in known else elsewhere
            if target == self.kept:
                self._note(*filter(None, (found, ours)))
            _copy(snapshot, target)
            if target == self.kept and _digest(self.kept) != ours:  # at the same moment as another machine's
                _copy(snapshot, elsewhere)
                return elsewhere
        return target

    def _copies(self) -> list[str]:
        try:
            return self._beside("copies").read_text(encoding="ascii").split()
        except FileNotFoundError:
            return []

    def _note(self, *digests: str) -> None:
        write_in_one_step(self._beside("copies"), "\n".join(digests).encode())

    def _file(self, what: str) -> TextIO:
        return self._beside(what).open("a+")

    def _beside(self, what: str) -> Path:
        return self.written.with_name(f"{self.written.name}.{what}")


@contextmanager
def copied(
    databases: Sequence[CopiedDatabase], say: Callable[[str], None], every_s: float = COPIED_EVERY_S
) -> Iterator[None]:
    """Within the block, the files are in use; they are copied at intervals and at its end.

    Parameters
    ----------
    databases
        The files; none where they are written in the storage folder itself.
    say
        Called with what the user should know.
    every_s
        Seconds between two copies.
    """
    ended, told = threading.Event(), set[str]()

    def copy_all() -> None:
        for database in databases:
            try:
                target = database.copy()
            except (OSError, sqlite3.Error) as error:
                sentence = f"{database.kept} could not be brought up to date: {error}. {database.written} has it all."
            else:
                if target == database.kept:
                    continue
                sentence = (
                    f"Somebody else writes {database.kept} too: this launch's copy is {target}. For studies that run "
                    "at once on several machines start one MLflow server and give --tracking-uri."
                )
            if sentence not in told:
                told.add(sentence)
                say(sentence)

    def keep_copying() -> None:
        while not ended.wait(every_s):
            copy_all()

    with ExitStack() as in_use:
        for database in databases:
            in_use.enter_context(database.fetched(say))
        thread = threading.Thread(target=keep_copying, name="copies of SQLite files", daemon=True)
        if databases:
            thread.start()
        try:
            yield
        finally:
            ended.set()
            if databases:
                thread.join()
                copy_all()


def _journals(path: Path) -> list[Path]:
    return [path.with_name(path.name + ending) for ending in ("-journal", "-wal")]


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None


def _copy(source: Path, target: Path) -> None:
    """Copy a file of which nothing is written meanwhile, so that a reader sees the old one or the new one."""
    write_in_one_step(target, source.read_bytes())

"""The study's folder: what lies where, who may write, and whether a launch continues what is there."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import socket
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.filesize import decimal

from study.record.own_disk import OWN_DISK_VARIABLE, databases_folder, network_mount
from study.record.writable import folder_problem, write_in_one_step
from trainables.errors import ConfigurationError, StudyStopped

DEFAULT_STORAGE = "results"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_OTHERS = ("cache", "mlflow.db", "mlflow-artifacts")  # what lies beside studies in a storage folder
MODELS = ("winner", "vanilla")  # what a study leaves to label texts with
STORAGE_VARIABLE = "STUDY_STORAGE"
# Where study.json holds the bytes that a study needs on its disk.
DISK = "disk_bytes"


def default_storage() -> str:
    """Return the storage folder where none is given: ``$STUDY_STORAGE``, else ``results``."""
    return os.environ.get(STORAGE_VARIABLE, DEFAULT_STORAGE)


def name_faults(name: str, where: str = "--as") -> list[str]:
    """Return what is wrong with the name of a study: it has to be that of a folder, and free for one.

    Parameters
    ----------
    name
        The name.
    where
        What gives it, for the message.
    """
    if _NAME.fullmatch(name) and name not in _OTHERS:
        return []
    return [
        f"{where} {name}: a name of letters, digits, '-', '_' and '.' was expected, which begins with a letter or "
        f"digit and is none of {', '.join(_OTHERS)}."
    ]


@dataclass(frozen=True)
class StudyFolder:
    """Paths of one study below a storage folder.

    Attributes
    ----------
    storage
        Folder shared by all studies: caches and the MLflow store.
    name
        The study.
    """

    storage: Path
    name: str

    @property
    def root(self) -> Path:
        """The study's own folder."""
        return self.storage / self.name

    @property
    def ledger(self) -> Path:
        """Append-only record of everything that was run."""
        return self.root / "ledger.jsonl"

    @property
    def facts(self) -> Path:
        """What the study is: configuration, corpus, versions."""
        return self.root / "study.json"

    @property
    def optuna(self) -> Path:
        """Optuna's SQLite storage."""
        return self.root / "optuna.db"

    @property
    def optuna_written(self) -> Path:
        """Where Optuna's SQLite storage is written: in its place, or on this machine's disk, to be copied there."""
        return databases_folder(self.storage) / self.name / self.optuna.name

    @property
    def importances(self) -> Path:
        """What mattered in the search, as Optuna estimates it at the end of a launch."""
        return self.root / "importances.json"

    @property
    def figures(self) -> Path:
        """The report's figures as SVG files, as MLflow gets them."""
        return self.root / "figures"

    @property
    def scores(self) -> Path:
        """What the confirmed runs said of every text; the verdict is computed from it."""
        return self.root / "scores"

    @property
    def ray(self) -> Path:
        """Ray's own files; nothing there is needed to resume."""
        return self.root / "ray"

    @property
    def champion(self) -> Path:
        """Names the model to use, one of :data:`MODELS`."""
        return self.root / "model" / "champion.txt"

    def read_champion(self) -> str:
        """Return which model is the one to use; the winner's where no launch has noted it."""
        with contextlib.suppress(FileNotFoundError):
            if (named := self.champion.read_text(encoding="utf-8").strip()) in MODELS:
                return named
        return MODELS[0]

    def model(self, which: str) -> Path:
        """Folder of a model that the study leaves, one of :data:`MODELS`."""
        return self.root / "model" / which

    @property
    def cache(self) -> Path:
        """Content-addressed augmentations and stage-1 weights, shared by all studies."""
        return self.storage / "cache"

    def read_facts(self) -> dict[str, Any] | None:
        """Return what ``study.json`` says, or None where there is none.

        Raises
        ------
        ConfigurationError
            The file is damaged.
        """
        if not self.facts.exists():
            return None
        try:
            facts = json.loads(self.facts.read_text(encoding="utf-8"))
        except ValueError:
            facts = None
        if not isinstance(facts, dict) or not facts:
            raise ConfigurationError(
                f"{self.facts} is damaged: a JSON object that says what the study is was expected. Restore the file "
                "from a backup, or give --fresh to set the study aside and start over."
            )
        return facts

    def write_facts(self, facts: Mapping[str, Any]) -> None:
        """Write ``study.json`` in one step."""
        write_atomically(self.facts, json.dumps(facts, indent=2, ensure_ascii=False) + "\n")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the study for one driver; the operating system releases the lock however the driver ends.

        Raises
        ------
        StudyStopped
            Another driver holds it, or the folder cannot be written.
        """
        with unwritable(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            file = (self.root / "lock").open("a+")
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise StudyStopped(
                    f"Another launch of {self.name!r} is running on {self.storage} (process {file.read().strip()}). "
                    "Wait until it ends, or end it, or give another --storage."
                ) from None
            with contextlib.suppress(
                OSError
            ):  # only says who holds the lock; a full disk is told where it matters
                file.truncate(0)
                file.write(f"{os.getpid()} on {socket.gethostname()}")
                file.flush()
            yield

    def set_aside(self) -> Path | None:
        """Move an existing study out of the way, for ``--fresh``; nothing is deleted."""
        if not self.facts.exists() and not self.ledger.exists():
            return None
        target = self.storage / f"{self.name}.until-{time.strftime('%Y%m%d-%H%M%S')}"
        self.root.rename(target)
        return target


def storage_faults(storage: str) -> list[str]:
    """Return why a storage folder cannot be used; nothing is created, because the launch may be refused yet."""
    if "://" in storage:
        return [
            f"--storage {storage}: an address was given, a folder was expected. On a cluster give a folder that "
            "every node sees, such as a network mount."
        ]
    problem = folder_problem(Path(storage).absolute())
    if problem is None:
        return []
    return [
        f"--storage {storage}: the folder cannot be written ({problem}). Give a folder that can be, or set "
        f"{STORAGE_VARIABLE}."
    ]


def own_disk_faults() -> list[str]:
    """Return why the folder for SQLite files that the environment names cannot be used; nothing is created."""
    given = os.environ.get(OWN_DISK_VARIABLE)
    if not given:
        return []
    own = Path(given).expanduser().absolute()
    problem = folder_problem(own)
    if problem is None and (network := network_mount(own)) is not None:
        problem = f"it is a network mount, {network}"
    if problem is None:
        return []
    return [
        f"{OWN_DISK_VARIABLE}={given}: the folder cannot be used ({problem}). Give a folder on a disk of this "
        "machine, or unset it."
    ]


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """Within the block, files of a study are written: where that is refused, the study stops, with advice.

    Raises
    ------
    StudyStopped
        The operating system refused it: a full disk, a quota, a folder that became read-only.
    """
    try:
        yield
    except (ConnectionError, TimeoutError):
        raise
    except OSError as fault:
        raise StudyStopped(
            f"The study's folder {folder} cannot be written: {fault}. Nothing that was recorded is lost: "
            f"{_remedy(folder, fault)}, and give the same command again."
        ) from fault


def _remedy(folder: Path, fault: OSError) -> str:
    """Return what to do about a folder that cannot be written; of a full disk, how much room is needed."""
    if fault.errno not in (errno.ENOSPC, errno.EDQUOT):
        return "make room or repair the folder"
    study, free, needed = StudyFolder(folder.parent, folder.name), "", 0
    with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):
        free = f" ({decimal(shutil.disk_usage(folder).free)} are free)"
        needed = int(json.loads(study.facts.read_text(encoding="utf-8")).get(DISK, 0))
    room = f" for {decimal(needed)}{free}" if needed else free
    stages = study.cache / "stage1"
    kept = [entry.stat().st_size for entry in stages.rglob("*") if entry.is_file()] if stages.is_dir() else []
    spare = (
        f"; {stages} holds {decimal(sum(kept))} that are trained again where they are missing" if kept else ""
    )
    return f"make room{room}{spare}"


def study_id(folder: StudyFolder) -> str:
    """Return the identity that a resumed study keeps; a new one where there is none."""
    facts = folder.read_facts()
    return str(facts["study_id"]) if facts is not None else uuid.uuid4().hex


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a reader sees either the old content or the new, never a mixture."""
    # A file name that is no Unicode becomes an escape, which JSON reads back as that name.
    write_in_one_step(path, text.encode("utf-8", errors="backslashreplace"))

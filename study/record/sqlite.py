"""SQLite files: their address, their reading without a trace, and who has locked them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote

_LOCKS = Path("/proc/locks")


def sqlite_uri(path: Path) -> str:
    """Return the address of a SQLite file as SQLAlchemy, and so MLflow and Optuna, read it.

    They take ``?`` for the beginning of options and decode ``%``. MLflow also makes the folder of the text after
    ``sqlite:///`` as it stands there, encoded; it leaves that where the driver is named.

    Examples
    --------
    >>> sqlite_uri(Path("/data/my results/mlflow.db"))
    'sqlite:////data/my results/mlflow.db'
    >>> sqlite_uri(Path("/data/what?/100%/mlflow.db"))
    'sqlite+pysqlite:////data/what%3F/100%25/mlflow.db'
    """
    plain = str(path)
    encoded = plain.replace("%", "%25").replace("?", "%3F")
    return f"sqlite:///{plain}" if encoded == plain else f"sqlite+pysqlite:///{encoded}"


def open_to_read(path: Path, timeout_s: float) -> sqlite3.Connection:
    """Open an existing SQLite file so that nothing about it can change.

    Parameters
    ----------
    path
        The file.
    timeout_s
        How long to wait for a lock of another program, in seconds.
    """
    return sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, timeout=timeout_s, check_same_thread=False
    )


def is_locked(error: BaseException) -> bool:
    """Return whether SQLite says that another program keeps a file locked."""
    return "database is locked" in str(error)


def locked_by(path: Path) -> str:
    """Return who has locked a SQLite file, for a sentence: processes by their numbers, as far as Linux tells."""
    try:
        inode = str(path.stat().st_ino)
        held = [line.split() for line in _LOCKS.read_text().splitlines()]
    except OSError:
        return "another program"
    # 1: POSIX ADVISORY WRITE 4242 fd:01:1835025 1073741824 1073741824
    processes = {
        fields[4]
        for fields in held
        if len(fields) > 5 and "->" not in fields and fields[5].rpartition(":")[2] == inode
    }
    named = ", ".join(f"{process}{_program(process)}" for process in sorted(processes, key=int))
    return f"another program (process {named})" if processes else "another program"


def _program(process: str) -> str:
    try:
        return f", {Path('/proc', process, 'comm').read_text().strip()}"
    except OSError:
        return ""

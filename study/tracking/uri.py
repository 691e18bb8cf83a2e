"""Where MLflow's store is, whether it can be used, and how to look at it."""

from __future__ import annotations

import logging
import os
import re
import shlex
import warnings
from pathlib import Path
from typing import Any

from study.record.own_disk import databases_folder
from study.record.sqlite import is_locked, locked_by, open_to_read, sqlite_uri

URI_VARIABLE = "MLFLOW_TRACKING_URI"
PORT = 5000
DATABASE = "mlflow.db"
_LOCKED_S = 5.0  # how long another program's lock is waited for
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_SERVERS = ("http", "https")
_PASSWORD = re.compile(r"(?<=://)([^/\s:@]*):[^/\s]*@")
_ENVIRONMENT = {
    # MLflow's own retries block for minutes, and create a run twice if the first answer is lost.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # standard output belongs to the commands
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def default_tracking_uri(storage: Path) -> str:
    """Return the embedded store: a SQLite file in the storage folder, or on this machine's disk in its place."""
    return sqlite_uri((databases_folder(storage) / DATABASE).absolute())


def tracking_uri(storage: Path, given: str | None = None) -> str:
    """Return the URI that was given, else ``$MLFLOW_TRACKING_URI``, else the embedded store.

    The path of a SQLite file is made absolute: its address is printed and stored, and read in other folders.
    """
    uri = given or os.environ.get(URI_VARIABLE) or default_tracking_uri(storage)
    scheme, found, path = uri.partition(":///")
    if not found or _scheme(uri) != "sqlite" or path in ("", ":memory:") or Path(path).is_absolute():
        return uri
    return f"{scheme}:///{Path(path).expanduser().absolute()}"


def artifact_folder(uri: str, storage: Path) -> Path | None:
    """Return the folder for artifacts, which is beside a database; None leaves the place to an MLflow server."""
    return None if uri.startswith(_SERVERS) else (storage / "mlflow-artifacts").absolute()


def ui_server(uri: str) -> str:
    """Return the address at which a browser finds the store while the line of :func:`ui_command` runs."""
    return uri.rstrip("/") if uri.startswith(_SERVERS) else f"http://127.0.0.1:{PORT}"


def ui_command(uri: str) -> str:
    """Return the command line that shows the store; for a server, its address.

    Examples
    --------
    >>> ui_command("sqlite:////data/my results/mlflow.db")
    "mlflow ui --backend-store-uri 'sqlite:////data/my results/mlflow.db' --host 127.0.0.1 --port 5000"
    >>> ui_command("http://mlflow.example:8080")
    'http://mlflow.example:8080'
    """
    if uri.startswith(_SERVERS):
        return shown_uri(uri)
    return f"mlflow ui --backend-store-uri {shlex.quote(uri)} --host 127.0.0.1 --port {PORT}"


def shown_uri(uri: str) -> str:
    """Return a URI without its password.

    Examples
    --------
    >>> shown_uri("postgresql://me:secret@db/mlflow")
    'postgresql://me:***@db/mlflow'
    """
    return _PASSWORD.sub(r"\1:***@", uri)


def open_client(uri: str) -> Any:
    """Return an ``MlflowClient``; a database is migrated to the installed MLflow's schema."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for logger in ("mlflow", "alembic"):
        logging.getLogger(logger).setLevel(logging.ERROR)
    # It prints a traceback of each error that it also raises.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"mlflow\.|alembic\.")
    from mlflow import MlflowClient

    logging.getLogger("mlflow").setLevel(logging.ERROR)  # MLflow's import sets its own level
    return MlflowClient(uri)


def address_faults(uri: str) -> list[str]:
    """Return why a tracking URI cannot be one, told from its beginning alone."""
    if _scheme(uri) in (*_SERVERS, *_DATABASES):
        return []
    return [
        f"MLflow tracking URI {uri!r}: an address that starts with {', '.join((*_SERVERS, *_DATABASES))} was "
        f"expected, such as sqlite:////data/mlflow.db (MLflow no longer writes to folders). Correct "
        f"{URI_VARIABLE} or unset it: then a SQLite file beside the study is used."
    ]


def tracking_faults(uri: str) -> list[str]:
    """Return why an MLflow store cannot be used, without creating anything.

    Parameters
    ----------
    uri
        Tracking URI.
    """
    scheme = _scheme(uri)
    if scheme in _SERVERS:
        return _server_faults(uri)
    if scheme == "sqlite":
        return _sqlite_faults(uri)
    if scheme in _DATABASES:
        return _database_faults(uri)
    return address_faults(uri)


def _scheme(uri: str) -> str:
    return uri.partition("://")[0].partition("+")[0]


def _sqlite_faults(uri: str) -> list[str]:
    path = sqlite_path(uri)
    if path is None:
        return []
    try:
        if path.exists():
            if not os.access(path, os.W_OK):
                return [_fault(uri, "the file is read-only", "Make it writable")]
            return _database_faults(uri)
        above = next(folder for folder in path.absolute().parents if folder.exists())
    except OSError as error:
        return [_fault(uri, error.strerror or str(error), "Choose another place")]
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        return [_fault(uri, f"{above} is not a folder that can be written", "Choose another place")]
    return []


def sqlite_path(uri: str) -> Path | None:
    """Return the file of a SQLite store; None for a store of another kind, or in memory."""
    import sqlalchemy

    if _scheme(uri) != "sqlite":
        return None
    database = sqlalchemy.make_url(uri).database
    return None if database in (None, "", ":memory:") else Path(database)


def _database_faults(uri: str) -> list[str]:
    """Return why a database cannot be used, reading its schema's version and no more.

    MLflow itself would retry for minutes, and upgrade an older schema, which ends the use of older MLflows.
    """
    import sqlalchemy

    path = sqlite_path(uri)
    options: dict[str, Any] = {}
    if path is not None:
        options["creator"] = lambda: open_to_read(path, _LOCKED_S)
    elif uri.startswith(("postgresql", "mysql")):
        options["connect_args"] = {"connect_timeout": 5}
    try:
        engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.NullPool, **options)
        with engine.connect() as connection:
            version = None
            if "alembic_version" in sqlalchemy.inspect(connection).get_table_names():
                version = connection.scalar(sqlalchemy.text("SELECT version_num FROM alembic_version"))
    except ImportError as error:
        return [_fault(uri, str(error), f"Install the database driver (pip install {error.name})")]
    except sqlalchemy.exc.SQLAlchemyError as error:
        return [_database_fault(uri, path, error)]
    if version is None or version in _known_schemas():
        return []
    problem = f"its schema {version!r} is not known to the installed MLflow: a newer MLflow or another program made it"
    return [_fault(uri, problem, "Install the MLflow that made it, or choose another store")]


def _database_fault(uri: str, path: Path | None, error: Exception) -> str:
    if path is None:
        return _fault(uri, first_line(error), "Start the database or correct the address")
    if is_locked(error):
        problem = f"the file {path} is locked by {locked_by(path)}"
        return _fault(uri, problem, "Wait until that program is done, or end it")
    return _fault(uri, first_line(error), "Move the file away")


def _known_schemas() -> set[str]:
    """Return the versions of MLflow's schema that the installed MLflow has, or can upgrade."""
    import mlflow.store
    from alembic.script import ScriptDirectory

    migrations = ScriptDirectory(str(Path(mlflow.store.__path__[0], "db_migrations")))
    return {script.revision for script in migrations.walk_revisions()}


def _server_faults(uri: str) -> list[str]:
    """Return what a server says against the study.

    One that is away is no fault: the study goes on without it, says so, and the tracker writes everything later.
    """
    from mlflow.exceptions import MlflowException
    from requests.exceptions import InvalidURL

    try:
        open_client(uri).search_experiments(max_results=1)
    except (MlflowException, OSError, ValueError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__ or error.__context__
        if isinstance(cause, OSError) and not isinstance(cause, InvalidURL):
            return []
        return [_fault(uri, first_line(error), "Start an MLflow server there, correct the address")]
    return []


def _fault(uri: str, problem: str, remedy: str) -> str:
    return (
        f"MLflow at {shown_uri(uri)} cannot be used: {problem}. {remedy}, or unset {URI_VARIABLE}: then a SQLite "
        "file beside the study is used."
    )


def reason(uri: str, error: Exception) -> str:
    """Return why a store failed, for a sentence: who has locked it, or the first line of the error."""
    path = sqlite_path(uri)
    if path is not None and is_locked(error):
        return f"{path} is locked by {locked_by(path)}"
    return first_line(error)


_OF_NO_USE = "(raised as a result of Query-invoked autoflush"  # SQLAlchemy's advice to who wrote the query


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, at most 200 characters, without passwords."""
    lines = [line for line in str(error).splitlines() if not line.startswith(_OF_NO_USE)]
    line = next(iter(lines), "") or type(error).__name__
    cause = getattr(error, "__cause__", None) or error.__context__
    if isinstance(cause, OSError) and "Max retries exceeded" in line:
        line = (
            "no connection" if "onnection" in str(cause) or "resolve" in str(cause) else "no answer in time"
        )
    return shown_uri(line)[:200].rstrip(". ")

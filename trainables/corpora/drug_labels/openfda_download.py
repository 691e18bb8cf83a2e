"""The labels of openFDA in the user's cache folder: downloaded once, resumable, checked whenever they are read.

While a download runs, each page is a file and ``download.json`` says which pages are there and where to go on.
When all are there, they become ``labels.jsonl.gz`` with ``manifest.json``, which counts only with the right digest.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from trainables.corpora.drug_labels.openfda_api import BASE_URL, OpenfdaApi, OutOfTime, Page
from trainables.corpora.drug_labels.openfda_queries import ALL, Query
from trainables.corpora.drug_labels.records import Record
from trainables.errors import ConfigurationError, StudyStopped
from trainables.user_cache import cache_folder

URL_VARIABLE = "OPENFDA_URL"
KEY_VARIABLE = "OPENFDA_API_KEY"
PAGE_SIZE = 100  # some 5 MB; 1,000 are allowed, and would be lost at once when the connection is cut
_FIELDS = ("id", "set_id", "effective_time", "version", "pharmacokinetics", "clinical_pharmacology")
_NAMES = ("substance_name", "generic_name", "brand_name")
_LABELS, _MANIFEST, _STATE = "labels.jsonl.gz", "manifest.json", "download.json"
_MAX_RESTARTS = 2
_LINE_EVERY_S = 20.0  # where no bar is shown


@dataclass(frozen=True)
class Download:
    """A complete copy of what a query asks for.

    Attributes
    ----------
    path, labels, last_updated
        Where it lies, how many labels it has, and the date that openFDA gives its data.
    found
        How many labels the query's searches find; copies of earlier versions do not say it (None) and have them all.
    """

    path: Path
    labels: int
    last_updated: str
    found: int | None = None


@dataclass
class _State:
    """What a running download has.

    Attributes
    ----------
    search, next_url
        Where to go on: the index of the search, and its next page; None before its first, empty after its last.
    received, total
        Labels of that search so far, and in all.
    pages
        File, digest, number of labels and search of each page.
    order, most
        See :class:`Query`.
    received_bytes
        What came over the network so far.
    found
        Labels that the searches before find.
    """

    url: str
    page_size: int
    searches: list[str]
    last_updated: str = ""
    search: int = 0
    next_url: str | None = None
    received: int = 0
    total: int = 0
    pages: list[dict[str, Any]] = field(default_factory=list)
    order: str | None = None
    most: int | None = None
    received_bytes: int = 0
    found: int = 0


class _Outdated(Exception):
    """openFDA has updated its data since the first page."""


def server() -> str:
    """Return the API's address; the environment may name another one."""
    return os.environ.get(URL_VARIABLE) or BASE_URL


def cached_labels(folder: Path | None = None, *, query: Query = ALL) -> Download | None:
    """Return the complete copy of a query in the cache folder, or None where there is none or it is damaged."""
    folder = folder or _folder(query)
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        found = manifest.get("found")
        download = Download(folder / _LABELS, int(manifest["labels"]), str(manifest["last_updated"]), found)
        if _digest(download.path) == manifest["sha256"]:
            return download
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return None


def download_labels(
    folder: Path | None = None,
    *,
    query: Query = ALL,
    api: OpenfdaApi | None = None,
    page_size: int = PAGE_SIZE,
    console: Console | None = None,
) -> Download:
    """Download the labels that a query asks for, or go on with a download.

    Parameters
    ----------
    folder
        Where the copy is kept; by default the user's cache folder.
    query
        Which labels; by default all with a pharmacokinetics or clinical-pharmacology section.
    api
        Server, key and pace; by default from the environment (``OPENFDA_URL``, ``OPENFDA_API_KEY``).
    page_size
        Labels a request, at most 1,000.
    console
        Where progress is shown; by default standard error.

    Raises
    ------
    StudyStopped
        When faults of the network do not pass; the same call goes on where it stopped.
    ConfigurationError
        When the server refuses the request, or the folder cannot be written.
    """
    folder = folder or _folder(query)
    api = api or OpenfdaApi(server(), os.environ.get(KEY_VARIABLE))
    console = console or Console(stderr=True)
    say = partial(console.print, soft_wrap=True, highlight=False)
    what = "all drug labels" if query.most is None else f"the first {query.most:,} drug labels by identity"
    began = time.monotonic()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _only_one(folder):
            say(
                f"openFDA: downloading {what} from {api.base_url} to {folder}. Stopped, it goes on where it was; "
                f"--data sample goes without{'.' if query.most is None else ', --labels all takes every label.'}"
            )
            for _ in range(_MAX_RESTARTS + 1):
                state = _load_state(folder, api.base_url, page_size, query)
                before = state.received_bytes
                try:
                    _all_pages(folder, state, query, api, console)
                    download = _finish(folder, state)
                except _Outdated:
                    say("openFDA has updated its data: starting over.")
                    _discard_pages(folder)
                    continue
                came = decimal(state.received_bytes - before)
                say(
                    f"openFDA: {download.labels:,} of {download.found:,} labels of {download.last_updated} are there; "
                    f"{came} came in {time.monotonic() - began:.0f} s."
                )
                return download
            raise StudyStopped("openFDA keeps updating its data while it is downloaded; try again later.")
    except OSError as error:
        raise ConfigurationError(
            f"{folder}: cannot be written ({error.strerror or error}); set XDG_CACHE_HOME to a folder that can."
        ) from error


def slim(record: Record) -> Record:
    """Return the fields of a label that the corpus needs, a few per cent of it."""
    kept = {name: record[name] for name in _FIELDS if record.get(name)}
    if "pharmacokinetics" in kept:
        kept.pop("clinical_pharmacology", None)
    openfda = record.get("openfda")
    if isinstance(openfda, dict):
        kept["openfda"] = {name: openfda[name] for name in _NAMES if openfda.get(name)}
    return kept


def _folder(query: Query) -> Path:
    """Return the folder of a query's copy from this server, so that no other copy ever counts for it."""
    name = "openfda" if query.most is None else f"openfda-first-{query.most}"
    if server() != BASE_URL:
        name += "-" + hashlib.sha256(server().encode()).hexdigest()[:8]
    return cache_folder() / name


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system releases however the process ends."""
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StudyStopped(
                f"another process is downloading to {folder}; wait for it, then start again."
            ) from error
        yield


def _all_pages(folder: Path, state: _State, query: Query, api: OpenfdaApi, console: Console) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[came]}"),
        TimeRemainingColumn(),
    )
    say = partial(console.print, soft_wrap=True, highlight=False)
    began = told = time.monotonic()
    # The time left is that of the labels left, at the pace of all pages so far.
    with Progress(*columns, console=console, transient=True, speed_estimate_period=3600) as progress:
        while state.search < len(query.searches):
            task = progress.add_task(
                f"labels, search {state.search + 1} of {len(query.searches)}",
                total=query.wanted(state.total) or None,
                completed=state.received,
                came=decimal(state.received_bytes),
            )
            if state.next_url is None:
                state.next_url = api.first_address(query.searches[state.search], state.page_size, query.order)
            while state.next_url:
                until = _until(query, state, began)
                try:
                    page = api.page(state.next_url, until)
                except OutOfTime as why:
                    say(_late(state, query, folder, why, time.monotonic() - began))
                    break
                _take(folder, state, query, page)
                if state.received > state.total + state.page_size:
                    raise StudyStopped(
                        f"openFDA sends more labels than the {state.total} that it has; try again later."
                    )
                progress.update(
                    task,
                    completed=state.received,
                    total=query.wanted(state.total) or None,
                    came=decimal(state.received_bytes),
                )
                if not console.is_terminal and time.monotonic() - told >= _LINE_EVERY_S:
                    told = time.monotonic()
                    wanted = query.wanted(state.total)
                    say(f"openFDA: {state.received:,} of {wanted:,} labels, {decimal(state.received_bytes)}.")
            is_late = bool(state.next_url)
            if (
                state.received < state.total
                and not is_late
                and not query.is_enough(state.received, state.received_bytes)
            ):
                state.pages = [page for page in state.pages if page["search"] != state.search]
                state.received, state.next_url = 0, None
                _save_state(folder, state)
                raise StudyStopped(
                    f"openFDA's list ended before its {state.total} labels were sent; run the same command again."
                )
            state.found += state.total
            state.search, state.received, state.total, state.next_url = state.search + 1, 0, 0, None
            _save_state(folder, state)


def _until(query: Query, state: _State, began: float) -> float | None:
    """Return when no further page is asked for; None while there are too few labels to go on with."""
    if query.most_seconds is None or state.received < query.least:
        return None
    return began + query.most_seconds


def _late(state: _State, query: Query, folder: Path, why: OutOfTime, seconds: float) -> str:
    return (
        f"{escape(str(why))}. After {seconds:.0f} s the study goes on with the first {state.received:,} labels, of "
        f"{query.wanted(state.total):,} that were asked for. They stay its corpus. To download anew, remove {folder}."
    )


def _take(folder: Path, state: _State, query: Query, page: Page) -> None:
    """Write a page as far as it is wanted, then the state that counts it."""
    records = page.records if query.most is None else page.records[: query.most - state.received]
    if records:
        if state.last_updated and page.last_updated != state.last_updated:
            raise _Outdated
        state.last_updated = page.last_updated
        lines = "".join(json.dumps(slim(record), ensure_ascii=False) + "\n" for record in records)
        content = gzip.compress(lines.encode(errors="replace"), mtime=0)
        name = f"page-{len(state.pages):06}.jsonl.gz"
        _write(folder / name, content)
        state.pages.append(
            {
                "file": name,
                "sha256": hashlib.sha256(content).hexdigest(),
                "labels": len(records),
                "search": state.search,
            }
        )
    state.received += len(records)
    state.received_bytes += page.received_bytes
    state.total = page.total
    is_enough = query.is_enough(state.received, state.received_bytes)
    state.next_url = "" if is_enough else page.next_url or ""
    _save_state(folder, state)


def _finish(folder: Path, state: _State) -> Download:
    """Join the pages (gzip members may follow each other), then write the manifest that makes them count."""
    labels = sum(page["labels"] for page in state.pages)
    if not labels:
        raise ConfigurationError(f"openFDA ({state.url}) has no label that matches; is it the right server?")
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".joining-")
    try:
        with os.fdopen(handle, "wb") as joined:
            for page in state.pages:
                with (folder / page["file"]).open("rb") as file:
                    shutil.copyfileobj(file, joined)
        digest = _digest(Path(temporary))
        os.replace(temporary, folder / _LABELS)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    manifest = {
        "labels": labels,
        "last_updated": state.last_updated,
        "sha256": digest,
        "server": state.url,
        "searches": state.searches,
        "order": state.order,
        "most": state.most,
        "found": state.found,
        "received_bytes": state.received_bytes,
    }
    _write(folder / _MANIFEST, json.dumps(manifest, indent=2).encode())
    _discard_pages(folder)
    return Download(folder / _LABELS, labels, state.last_updated, state.found)


def _load_state(folder: Path, url: str, page_size: int, query: Query) -> _State:
    """Return the state of a download to go on with; where anything of it is damaged, a new one."""
    fresh = _State(url, page_size, list(query.searches), order=query.order, most=query.most)
    try:
        state = _State(**json.loads((folder / _STATE).read_text(encoding="utf-8")))
        asked = [(s.url, s.page_size, s.searches, s.order, s.most) for s in (state, fresh)]
        if asked[0] == asked[1] and all(
            _digest(folder / page["file"]) == page["sha256"] for page in state.pages
        ):
            return state
    except (OSError, ValueError, KeyError, TypeError):
        pass
    _discard_pages(folder)
    return fresh


def _save_state(folder: Path, state: _State) -> None:
    _write(folder / _STATE, json.dumps(asdict(state)).encode())


def _discard_pages(folder: Path) -> None:
    (folder / _STATE).unlink(missing_ok=True)
    for page in folder.glob("page-*.jsonl.gz"):
        page.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

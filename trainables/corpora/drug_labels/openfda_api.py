"""One page after another from openFDA's drug/label endpoint, through rate limits and faults of the network.

What is relied on: at most 1,000 records a request; ``skip`` ends at 25,000, so pages follow the cursor in the
``Link`` header (``rel="next"``, absent on the last page); 240 requests a minute, and 1,000 a day without a key
(open.fda.gov/apis/paging, open.fda.gov/apis/authentication). ``sort`` takes dates and ``.exact`` fields; equal ones
follow the identity of the server's documents, so that the order is a total one (``BuildSort`` in openFDA's sources).
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from trainables.corpora.drug_labels.records import Record
from trainables.errors import ConfigurationError, StudyStopped

BASE_URL = "https://api.fda.gov"
ENDPOINT = "/drug/label.json"
REQUESTS_PER_MINUTE = 240
ATTEMPTS = 7
_TIMEOUTS = (10.0, 60.0)  # seconds to connect, and without a byte
_MAX_BACKOFF = 60.0
_MAX_RETRY_AFTER = 300.0  # a daily limit asks for hours: stop instead
_PASSING = frozenset((408, 425, 429, 500, 502, 503, 504))
_TOO_MANY = 429


@dataclass(frozen=True)
class Page:
    """One answer.

    Attributes
    ----------
    records
        As the API gives them.
    next_url
        The address of the next page, or None on the last one.
    last_updated
        When the API's data was last updated; pages of two dates do not belong together.
    total
        Records that match the whole search.
    received_bytes
        What came over the network for it, compressed as it came.
    """

    records: list[Record]
    next_url: str | None
    last_updated: str
    total: int
    received_bytes: int = 0


class _Passing(Exception):
    """A fault that may pass; ``wait`` is what the server asks for, in seconds."""

    def __init__(self, what: str, wait: float | None = None) -> None:
        super().__init__(what)
        self.wait = wait


class OutOfTime(StudyStopped):
    """The next attempt at a page would begin after the time that there is for it; the message says why."""


class OpenfdaApi:
    """Requests with pacing, back-off and checks.

    Parameters
    ----------
    base_url
        The server.
    key
        API key, sent as the user name of basic authentication so that it stands in no address; None for none.
    pause
        Sleeps for a number of seconds.
    requests_per_minute
        Pace.
    """

    def __init__(
        self,
        base_url: str = BASE_URL,
        key: str | None = None,
        *,
        pause: Callable[[float], None] = time.sleep,
        requests_per_minute: float = REQUESTS_PER_MINUTE,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._pause = pause
        self._interval = 60 / requests_per_minute
        self._last = -self._interval
        self._session = requests.Session()
        if key:
            self._session.auth = (key, "")

    def first_address(self, search: str, limit: int, order: str | None = None) -> str:
        """Return the address of a search's first page; ``order`` is openFDA's ``sort``."""
        asked: dict[str, str | int] = {"search": search, "limit": limit}
        if order is not None:
            asked["sort"] = order
        return str(requests.Request("GET", self.base_url + ENDPOINT, params=asked).prepare().url)

    def page(self, url: str, until: float | None = None) -> Page:
        """Return one page.

        Parameters
        ----------
        url
            Its address.
        until
            No attempt begins after this time of :func:`time.monotonic` (None: as many as there are).

        Raises
        ------
        OutOfTime
            When the time is over, or would be after the wait that a fault asks for.
        ConfigurationError
            When the server refuses the request as such, e.g. for its key.
        StudyStopped
            When faults do not pass, whatever time there is; what was downloaded so far is kept.
        """
        if until is not None and time.monotonic() >= until:
            raise OutOfTime(f"openFDA ({self.base_url}) is slow")
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._try(url, until)
            except _Passing as fault:
                wait = fault.wait if fault.wait is not None else _backoff(attempt)
                lasts = wait > _MAX_RETRY_AFTER
                if until is not None and not lasts and time.monotonic() + wait > until:
                    raise OutOfTime(f"openFDA ({self.base_url}): {fault}") from fault
                if lasts or attempt == ATTEMPTS:
                    raise StudyStopped(
                        f"openFDA ({self.base_url}): {fault}, after {attempt} attempts. The pages so far are kept: run "
                        f"the same command again to go on, or give --data."
                    ) from fault
                self._pause(wait)
        raise AssertionError("the last attempt returns or raises")

    def _try(self, url: str, until: float | None) -> Page:
        self._pace()
        left = _TIMEOUTS[1] if until is None else max(1.0, until - time.monotonic())
        timeouts = (min(_TIMEOUTS[0], left), min(_TIMEOUTS[1], left))
        try:
            response = self._session.get(
                url, timeout=timeouts, headers={"Accept": "application/json"}, allow_redirects=False
            )
        except requests.RequestException as error:  # refused, cut, timed out, broken compression
            raise _Passing(f"no complete answer ({type(error).__name__}: {error})") from error
        if response.status_code in _PASSING:
            said = _message(response)
            raise _Passing(f"answered {response.status_code}{said}", _retry_after(response))
        if response.status_code == 404 and _error_code(response) == "NOT_FOUND":
            return Page([], None, "", 0)
        if response.status_code != 200:
            raise ConfigurationError(
                f"openFDA ({self.base_url}) refused the request with {response.status_code}{_message(response)}; check "
                f"OPENFDA_API_KEY, or give --data."
            )
        return self._checked(response)

    def _checked(self, response: requests.Response) -> Page:
        try:
            answer = response.json()
        except ValueError as error:
            raise _Passing(f"the answer is not JSON ({error})") from error
        try:
            meta, records = answer["meta"], answer["results"]
            total, last_updated = int(meta["results"]["total"]), str(meta["last_updated"])
            next_url = next(
                (link["url"] for rel, link in response.links.items() if rel.lower() == "next"), None
            )
            if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
                raise TypeError("results is no list of records")
        except (KeyError, TypeError, ValueError) as error:
            raise _Passing(f"the answer is no page of records ({error!r})") from error
        if next_url is not None and urlsplit(next_url)[:2] != urlsplit(self.base_url)[:2]:
            raise ConfigurationError(
                f"openFDA ({self.base_url}): the next page is said to lie at {next_url}, on another server; refused."
            )
        received = response.raw.tell()  # before decompression
        return Page(records, next_url if records else None, last_updated, total, received)

    def _pace(self) -> None:
        wait = self._last + self._interval - time.monotonic()
        if wait > 0:
            self._pause(wait)
        self._last = time.monotonic()


def is_reachable(base_url: str = BASE_URL, seconds: float = 2.0) -> bool:
    """Tell within a time limit whether openFDA answers.

    The limit holds even where a look-up of the name hangs, as it does behind a dead resolver.
    """
    answered: list[bool] = []

    def ask() -> None:
        with contextlib.suppress(requests.RequestException, ValueError):
            response = requests.get(
                base_url.rstrip("/") + ENDPOINT, params={"limit": 1}, timeout=seconds, allow_redirects=False
            )
            answered.append(
                response.status_code == _TOO_MANY
                or (response.status_code == 200 and "meta" in response.json())
            )

    thread = threading.Thread(target=ask, daemon=True, name="openfda-probe")
    thread.start()
    thread.join(seconds)
    return bool(answered and answered[0])


def _backoff(attempt: int) -> float:
    """Return seconds to wait: 1, 2, 4, … with up to a quarter more, so that clients do not come back at once."""
    return min(_MAX_BACKOFF, 2.0 ** (attempt - 1)) * (1 + random.random() / 4)


def _retry_after(response: requests.Response) -> float | None:
    with contextlib.suppress(InvalidHeader):
        return Retry().get_retry_after(response.raw)
    return None


def _error(response: requests.Response) -> dict[str, Any]:
    with contextlib.suppress(ValueError, AttributeError):
        error = response.json().get("error")
        if isinstance(error, dict):
            return error
    return {}


def _error_code(response: requests.Response) -> str:
    return str(_error(response).get("code", ""))


def _message(response: requests.Response) -> str:
    error = _error(response)
    return f" ({error.get('code', '')}: {error.get('message', '')})" if error else ""

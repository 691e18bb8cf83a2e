"""An OpenAI-compatible endpoint (``POST …/chat/completions``): paced, retried, and never naming its key.

The environment says where it is:

==============================  =====================================================================
``STUDY_PARAPHRASE_URL``        address up to and with the version, e.g. ``https://api.openai.com/v1``
``STUDY_PARAPHRASE_MODEL``      name of the model
``STUDY_PARAPHRASE_KEY``        key; may be missing where the server asks for none
``STUDY_PARAPHRASE_PER_MINUTE`` requests a minute, over all processes of a machine (60)
``STUDY_PARAPHRASE_AT_ONCE``    requests under way at once, per process (8)
``STUDY_PARAPHRASE_TIMEOUT``    seconds to wait for an answer (120)
==============================  =====================================================================
"""

from __future__ import annotations

import email.utils
import os
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests

from trainables.augment.models.rate_limit import RateLimit
from trainables.errors import ConfigurationError, TrialFailed

URL, MODEL, KEY = "STUDY_PARAPHRASE_URL", "STUDY_PARAPHRASE_MODEL", "STUDY_PARAPHRASE_KEY"
_PER_MINUTE, _AT_ONCE, _TIMEOUT = (
    f"STUDY_PARAPHRASE_{name}" for name in ("PER_MINUTE", "AT_ONCE", "TIMEOUT")
)
_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
_CONNECT_S = 10.0
_LONGEST_WAIT_S = 600.0


@dataclass(frozen=True)
class EndpointSettings:
    """Where an endpoint is and how fast it may be asked.

    Attributes
    ----------
    url
        Address up to and with the version.
    model
        Name of the model.
    key
        Sent as bearer token; never shown.
    per_minute
        Requests a minute.
    at_once
        Requests under way at once.
    timeout_s
        Seconds to wait for an answer.
    attempts
        Tries of one request before it fails.
    first_pause_s
        Pause after the first failed try; doubled after each further one.
    """

    url: str
    model: str
    key: str = field(default="", repr=False)
    per_minute: float = 60.0
    at_once: int = 8
    timeout_s: float = 120.0
    attempts: int = 6
    first_pause_s: float = 1.0

    @property
    def host(self) -> str:
        """Host and port of the address, without user and password, should it name those."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def settings_faults(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return everything that is wrong with the environment's variables of the endpoint; never the key."""
    faults = []
    url = environment.get(URL, "")
    if not url:
        faults.append(
            f"{URL} is not set: give the address of an OpenAI-compatible endpoint, e.g. https://api.openai.com/v1"
        )
    else:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            faults.append(f"{URL} is no address: expected http(s)://host/v1")
        elif parts.username or parts.password or parts.query:
            faults.append(f"{URL} holds a user, a password or a query: give the key as {KEY} instead")
    if not environment.get(MODEL):
        faults.append(f"{MODEL} is not set: give the name of the endpoint's model")
    for name, kind, words in (
        (_PER_MINUTE, float, "a number above 0"),
        (_AT_ONCE, int, "a whole number above 0"),
        (_TIMEOUT, float, "seconds above 0"),
    ):
        if value := environment.get(name):
            try:
                valid = 0 < kind(value) < float("inf")
            except ValueError:
                valid = False
            if not valid:
                faults.append(f"{name} is {value!r}: expected {words}")
    return faults


def settings_of(environment: Mapping[str, str] = os.environ) -> EndpointSettings:
    """Return the endpoint that the environment names.

    Raises
    ------
    ConfigurationError
        With every fault of :func:`settings_faults`.
    """
    if faults := settings_faults(environment):
        raise ConfigurationError(faults)
    return EndpointSettings(
        url=environment[URL].rstrip("/"),
        model=environment[MODEL],
        key=environment.get(KEY, "").strip(),
        per_minute=float(environment.get(_PER_MINUTE) or 60),
        at_once=int(environment.get(_AT_ONCE) or 8),
        timeout_s=float(environment.get(_TIMEOUT) or 120),
    )


@dataclass(frozen=True)
class Answer:
    """What a model said.

    Attributes
    ----------
    text
        Its words; empty where it gave none.
    finished
        Whether it came to its end and did not refuse.
    """

    text: str
    finished: bool


class ChatEndpoint:
    """Asks an endpoint, one request a call; calls may come from many threads.

    Parameters
    ----------
    settings
        The endpoint.
    limit
        Paces the requests.

    Attributes
    ----------
    stopped
        Once it is set, calls that wait give up.
    """

    def __init__(self, settings: EndpointSettings, limit: RateLimit) -> None:
        self.settings = settings
        self._limit = limit
        self._local = threading.local()
        self.stopped = threading.Event()

    def ask(self, messages: list[dict[str, str]], *, seed: int, temperature: float) -> Answer:
        """Return the model's answer to a conversation; waits as long as the limit and the server ask for.

        Raises
        ------
        ConfigurationError
            The server refuses the request itself: key, model or address is wrong.
        TrialFailed
            It is busy, broken or away, and was so on every attempt.
        """
        body = {
            "model": self.settings.model,
            "messages": messages,
            "seed": seed,
            "temperature": temperature,
        }
        reason = ""
        for attempt in range(self.settings.attempts):
            self._limit.wait(self.stopped)
            if self.stopped.is_set():
                raise TrialFailed(
                    f"paraphrase endpoint {self.settings.host}: stopped while it was waited for",
                    can_pass=True,
                )
            try:
                response = self._session().post(
                    f"{self.settings.url}/chat/completions",
                    json=body,
                    timeout=(_CONNECT_S, self.settings.timeout_s),
                    allow_redirects=False,  # the key stays with the host that it was given for
                )
            except requests.RequestException as error:
                # Its message may quote headers; its kind says enough.
                reason, pause = type(error).__name__, None
            else:
                if response.status_code == 200:
                    answer = _answer_of(response)
                    if answer is not None:
                        return answer
                    reason, pause = "an answer that is no chat completion", None
                elif response.status_code in _PASSING:
                    reason, pause = f"HTTP {response.status_code}", _retry_after(response)
                else:
                    raise ConfigurationError(self._refused(response))
            if attempt + 1 < self.settings.attempts:
                self._pause(attempt, pause)
        raise TrialFailed(
            f"paraphrase endpoint {self.settings.host}: {reason} on the last of {self.settings.attempts} attempts; the "
            "answers so far are kept, so the same command goes on from here",
            can_pass=True,
        )

    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            session = requests.Session()
            if self.settings.key:
                session.auth = _Bearer(self.settings.key)
            self._local.session = session
        found: requests.Session = self._local.session
        return found

    def _pause(self, attempt: int, asked_for: float | None) -> None:
        if asked_for:
            self._limit.hold(min(asked_for, _LONGEST_WAIT_S))
            return
        # Jitter spreads threads that failed together; it decides no result.
        self.stopped.wait(self.settings.first_pause_s * 2**attempt * random.SystemRandom().uniform(0.5, 1.0))

    def _refused(self, response: requests.Response) -> str:
        said = response.text[:300]
        if self.settings.key:
            said = said.replace(self.settings.key, "(key)")
        advice = {
            401: f"check {KEY}",
            403: f"check {KEY} and what it allows",
            404: f"check {URL} and {MODEL}",
        }.get(response.status_code, f"check {URL} and {MODEL}, or use another endpoint")
        return f"paraphrase endpoint {self.settings.host} refused: HTTP {response.status_code} ({said!r}); {advice}"


class _Bearer(requests.auth.AuthBase):  # type: ignore[misc]
    """Puts the key into a request's header, and nowhere else."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request


def _answer_of(response: requests.Response) -> Answer | None:
    """Return the first choice of a chat completion, None for anything else."""
    try:
        content: Any = response.json()
        choice = content["choices"][0]
        message = choice["message"]
        text = message.get("content") or ""
        refused = bool(message.get("refusal"))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return None
    if not isinstance(text, str):
        return None
    return Answer(text, finished=not refused and choice.get("finish_reason") in (None, "stop"))


def _retry_after(response: requests.Response) -> float | None:
    """Return the seconds that a ``Retry-After`` asks for, given as seconds or as a date, or None."""
    value = response.headers.get("Retry-After", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None

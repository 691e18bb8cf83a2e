"""The three kinds of failure: a configuration fault, a failed trial, a stopped study."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


class StudyError(Exception):
    """Root of every error that this project raises on purpose."""


class ConfigurationError(StudyError):
    """The input cannot work as given; nothing was started.

    Parameters
    ----------
    faults
        One message per fault. Each says what is wrong, where, what was expected and what to do.
    """

    def __init__(self, faults: str | Iterable[str]) -> None:
        self.faults: list[str] = [faults] if isinstance(faults, str) else list(faults)
        super().__init__("\n".join(self.faults))

    def __reduce__(self) -> tuple[type[ConfigurationError], tuple[list[str]]]:
        return type(self), (self.faults,)


class TrialFailed(StudyError):
    """One trial failed; the study goes on.

    Parameters
    ----------
    message
        What went wrong.
    can_pass
        Whether the cause may pass (a server that cannot be reached); a new launch tries such a trial again.
    """

    def __init__(self, message: str, *, can_pass: bool = False) -> None:
        self.can_pass = can_pass
        super().__init__(message)

    def __reduce__(self) -> tuple[Callable[..., TrialFailed], tuple[str], dict[str, bool]]:
        return type(self), (str(self),), {"can_pass": self.can_pass}


class StudyStopped(StudyError):
    """The study cannot go on; the message says how to resume it."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its kind."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def collect(faults: list[str], make: Callable[[], T]) -> T | None:
    """Return what ``make`` makes, or None with its faults added to the list, so that all can be told at once."""
    try:
        return make()
    except ConfigurationError as error:
        faults.extend(error.faults)
        return None

"""The distributions that this project is made of: what it requires, what that requires in turn, and so on."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator
from functools import cache

_PROJECT, _EXTRAS = "imbalance-study", frozenset({"translation"})
# An environment has its own before the lock is installed.
_NOT_PINNED = {_PROJECT, "pip", "setuptools", "wheel"}
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?")
_ELSEWHERE = re.compile(r"==\s*['\"](win32|Windows|nt)['\"]")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")


@cache
def distributions() -> tuple[str, ...]:
    """Return the names of all that this machine has of them, in order; none where the project is not installed.

    They are pinned in ``requirements.lock``, which holds tools of its development besides.
    """
    found: set[tuple[str, frozenset[str]]] = set()
    left = [(_PROJECT, _EXTRAS)]
    while left:
        each = left.pop()
        if each not in found and _is_installed(each[0]):
            found.add(each)
            left += _required(*each)
    return tuple(sorted({name for name, _ in found} - _NOT_PINNED))


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # what other systems or other versions of Python need
        return False
    return True


def _required(name: str, extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    """Return what a distribution requires with some of its extras, beside the extras that it wants of each."""
    for line in importlib.metadata.requires(name) or ():
        requirement, _, marker = line.partition(";")
        of_extra = _EXTRA.search(marker)
        if _ELSEWHERE.search(marker) is not None:
            continue  # it may be here for other reasons, at any version
        if of_extra is not None and normal(of_extra[1]) not in extras:
            continue
        parts = _REQUIREMENT.match(requirement)
        assert parts is not None, f"{name} requires {line!r}"
        wanted = (parts[2] or "").split(",")
        yield normal(parts[1]), frozenset(normal(extra.strip()) for extra in wanted if extra.strip())


def normal(name: str) -> str:
    """Return a name as package registries compare it.

    Examples
    --------
    >>> normal("Ray_Tune.x")
    'ray-tune-x'
    """
    return re.sub(r"[-_.]+", "-", name).lower()

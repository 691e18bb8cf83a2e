"""Paths among a study's values: each is taken from the folder in which the command was given, once and for all.

Trials run in processes whose working folder is another one, so none of them may see a relative path.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trainables.settings import PACKAGED

# Options of operators and of corpora that name a folder or a file; the former may name a model on the Hub instead.
_OPERATOR_PATHS = ("model", "forward", "backward", "directory")
_MODELS = ("models",)  # an object of them
_CORPUS_PATHS = ("validation_data", "test_data")


def with_absolute_paths(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a study's values with the paths that trials read, and those in the home folder, made absolute.

    Data is read before any trial starts, and its name stands in what people read, so a relative one stays as it is.
    """
    return _with_paths(values, _absolute, _home)


def with_real_paths(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a study's values in a form that is the same however their paths are written, for comparing studies."""
    return _with_paths(values, _real, _real)


def _with_paths(
    values: Mapping[str, Any], of_models: Callable[[Any], Any], of_data: Callable[[Any], Any]
) -> dict[str, Any]:
    """Return a copy of the values; malformed ones are left as they are, other checks report them."""
    found = dict(values)
    if found.get("encoder_revision") is None and found.get("encoder", PACKAGED) != PACKAGED:
        found["encoder"] = of_models(found["encoder"])
    if "data" in found:
        found["data"] = of_data(found["data"])
    if isinstance(found.get("corpus_options"), Mapping):
        found["corpus_options"] = _options(found["corpus_options"], _CORPUS_PATHS, of_data)
    if isinstance(found.get("operator_options"), Mapping):
        found["operator_options"] = {
            name: _options(given, _OPERATOR_PATHS, of_models) if isinstance(given, Mapping) else given
            for name, given in found["operator_options"].items()
        }
    return found


def _options(given: Mapping[str, Any], names: tuple[str, ...], place: Callable[[Any], Any]) -> dict[str, Any]:
    return {
        name: place(value) if name in names else _models(value, place) if name in _MODELS else value
        for name, value in given.items()
    }


def _models(value: Any, place: Callable[[Any], Any]) -> Any:
    return {way: place(model) for way, model in value.items()} if isinstance(value, Mapping) else value


def _home(value: Any) -> Any:
    """Return a value with the home folder in the place of ``~``, which shells leave alone within an option."""
    return os.path.expanduser(value) if isinstance(value, str) and value.startswith("~") else value  # noqa: PTH111


def _absolute(value: Any) -> Any:
    """Return what exists here as an absolute path, and anything else unchanged: it may be a name on the Hub."""
    value = _home(value)
    if not isinstance(value, str) or not value or Path(value).is_absolute() or not os.path.lexists(value):
        return value
    return os.path.abspath(value)  # noqa: PTH100  (unlike Path.absolute, it takes out "..")


def _real(value: Any) -> Any:
    value = _absolute(value)
    return os.path.realpath(value) if isinstance(value, str) and Path(value).is_absolute() else value

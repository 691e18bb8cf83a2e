"""Which of a table's columns are meant: by name, or else by number from 0."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from trainables.errors import ConfigurationError
from trainables.rules import did_you_mean

NUMBER = re.compile(r"[0-9]{1,6}")


def find_columns(
    columns: Sequence[str], names: Sequence[str], where: str, *, missing: bool = True
) -> list[int]:
    """Return where the wanted columns stand; spaces and invisible characters around a name do not count.

    Parameters
    ----------
    columns
        Names of columns, or their numbers from 0.
    names
        The names that the table has.
    where
        Named in errors.
    missing
        Whether a column that is not there is a fault; else it is passed over.

    Raises
    ------
    ConfigurationError
        Naming every column that is missing or whose name occurs twice.
    """
    faults, indices = [], []
    for column in columns:
        places = [index for index, name in enumerate(names) if name == column]
        if not places:
            places = [index for index, name in enumerate(names) if visible(name) == column]
        if len(places) > 1:
            faults.append(
                f"{where}: {len(places)} columns are called {column!r}; give the number of the one that is meant: "
                f"{', '.join(map(str, places))}."
            )
        elif places:
            indices.append(places[0])
        elif NUMBER.fullmatch(column) and int(column) < len(names):
            indices.append(int(column))
        elif missing:
            faults.append(_missing(column, names, where))
    if faults:
        raise ConfigurationError(faults)
    return indices


def visible(name: str) -> str:
    """Return a name without invisible characters, and without spaces around it.

    Examples
    --------
    >>> visible("\\ufeff label\\u200b ")
    'label'
    """
    if name.isascii():
        return name.strip()
    return "".join(c for c in name if unicodedata.category(c) != "Cf").strip()


def _missing(column: str, names: Sequence[str], where: str) -> str:
    listed = ", ".join(repr(name[:40]) for name in names[:50])
    listed += f" and {len(names) - 50} more" if len(names) > 50 else ""
    same = [name for name in names if visible(name).lower() == column.lower()]
    hint = f" Did you mean {same[0]!r}?" if same else did_you_mean(column, names[:200])
    if not hint and names and names[0].startswith("#"):
        hint = " Lines before the header, such as comments, have to be removed."
    return f"{where}: there is no column {column!r}; the columns are {listed}.{hint}"

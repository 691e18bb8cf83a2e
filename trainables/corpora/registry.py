"""Readers of labelled texts, by name. A new corpus is one module with a reader and one line in ``CORPORA``.

A reader is called as ``reader(data, **options)``: ``data`` is a path or None, options are the reader's own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from trainables.corpora.corpus import Corpus
from trainables.corpora.drug_labels.adme import read_adme
from trainables.corpora.own_tables.tabular import read_tabular
from trainables.corpora.published.imdb import read_imdb
from trainables.corpora.published.newsgroups20 import read_newsgroups20
from trainables.corpora.published.sst2 import read_sst2
from trainables.corpora.published.trec import read_trec
from trainables.corpora.rare_classes import OPTIONS, rare_option_faults, settle_rare_classes
from trainables.errors import ConfigurationError

CORPORA: dict[str, Callable[..., Corpus]] = {
    "adme": read_adme,
    "imdb": read_imdb,
    "newsgroups20": read_newsgroups20,
    "sst2": read_sst2,
    "tabular": read_tabular,
    "trec": read_trec,
}
# Options that say where texts come from, as a path does. Whether they are the same texts, the corpus's digest tells.
ORIGINS = frozenset({"labels"})


def read_corpus(name: str, data: str | None, **options: Any) -> Corpus:
    """Read a corpus by its name.

    Parameters
    ----------
    name
        A key of :data:`CORPORA`.
    data
        Path of the data, or None for what the corpus brings itself.
    options
        Settings of the reader, e.g. ``food_effect="other"``, and those of rare classes, which every corpus has
        (:func:`trainables.corpora.rare_classes.settle_rare_classes`).

    Raises
    ------
    ConfigurationError
        For an unknown name or option, and for whatever the reader finds wrong in the data.

    Examples
    --------
    >>> read_corpus("adme", "sample").source
    'generated sample'
    """
    faults = option_faults(name, options)
    if faults:
        raise ConfigurationError(faults)
    own = {key: value for key, value in options.items() if key not in OPTIONS}
    return settle_rare_classes(CORPORA[name](data, **own), options)


def option_faults(name: str, options: Mapping[str, Any]) -> list[str]:
    """Return why a corpus cannot be read by this name with these options; nothing is read."""
    if name not in CORPORA:
        return [f"corpus {name!r} is not known; expected one of {', '.join(sorted(CORPORA))}."]
    parameters = inspect.signature(CORPORA[name]).parameters
    known = [key for key, value in parameters.items() if value.kind is value.KEYWORD_ONLY]
    unknown = sorted(set(options) - {*known, *OPTIONS})
    faults = rare_option_faults(options)
    if not unknown:
        return faults
    return [
        *faults,
        f"corpus {name!r} has no option {', '.join(unknown)}; expected {', '.join(known) or 'no options'}.",
    ]

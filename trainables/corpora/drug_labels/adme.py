"""The ADME corpus: which reader a path needs, and what is used where no path is given."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from rich.console import Console

from trainables.corpora.corpus import Corpus
from trainables.corpora.drug_labels.archives import holds_xml
from trainables.corpora.drug_labels.openfda import read_openfda
from trainables.corpora.drug_labels.openfda_api import is_reachable
from trainables.corpora.drug_labels.openfda_download import Download, cached_labels, download_labels, server
from trainables.corpora.drug_labels.openfda_queries import ALL, OPENFDA, PART, QUERIES
from trainables.corpora.drug_labels.records import SUFFIXES as RECORD_SUFFIXES
from trainables.corpora.drug_labels.sample import generate_sample
from trainables.corpora.drug_labels.spl import SUFFIXES as SPL_SUFFIXES
from trainables.corpora.drug_labels.spl import read_spl
from trainables.corpora.notices import NOTICES
from trainables.errors import ConfigurationError
from trainables.rules import one_of

SAMPLE = "sample"  # in place of a path, as OPENFDA is


def read_adme(
    data: str | None,
    *,
    food_effect: str = "absorption",
    keep_mixed: bool = False,
    labels: str | None = None,
) -> Corpus:
    """Return the ADME corpus of label records or of SPL XML.

    Parameters
    ----------
    data
        A file or folder of openFDA records or of SPL XML, told apart by content; ``"openfda"`` for labels of
        openFDA, downloaded once into the user's cache folder; ``"sample"`` for the generated sample. None takes
        the cached labels of openFDA, else downloads them, else, without a network, takes the sample.
    food_effect, keep_mixed
        As for :func:`trainables.corpora.drug_labels.openfda.read_openfda`; the sample has neither food
        headings nor mixed ones.
    labels
        Which labels of openFDA: a key of :data:`trainables.corpora.drug_labels.openfda_queries.QUERIES`. None for a
        part of them; all of them, if these are what the cache folder has. Where ``data`` is a path it says nothing.

    Raises
    ------
    ConfigurationError
        For a folder that holds both kinds (the same labels would count twice), for unknown labels, and for
        ``"openfda"`` without a copy and without a network.
    StudyStopped
        When a download breaks off; the same command goes on with it.
    """
    if labels is not None and (fault := one_of(*QUERIES).fault("labels", labels)):
        raise ConfigurationError(fault)
    if data == SAMPLE:
        return generate_sample()
    if data is None or data == OPENFDA:
        download = _downloaded(labels, required=data == OPENFDA)
        if download is None:
            return generate_sample()
        corpus = read_openfda(download.path, food_effect=food_effect, keep_mixed=keep_mixed)
        return dataclasses.replace(corpus, source=_source(download), notice=NOTICES["adme"])
    path = Path(data)
    reader = read_spl if is_spl(path) else read_openfda
    corpus = reader(data, food_effect=food_effect, keep_mixed=keep_mixed)
    return dataclasses.replace(corpus, notice=NOTICES["adme"])


def _downloaded(labels: str | None, *, required: bool) -> Download | None:
    # A study that began with a part goes on with it, whatever was downloaded since.
    kept = (PART, ALL) if labels is None else (QUERIES[labels],)
    cached = next((copy for query in kept if (copy := cached_labels(query=query))), None)
    if cached is not None:
        return cached
    if is_reachable(server()):
        return download_labels(query=kept[0])
    if required:
        raise ConfigurationError(
            f"--data {OPENFDA}: {server()} does not answer, and the cache folder holds no complete copy of its labels; "
            f"connect to the network, or give --data with a path or {SAMPLE}."
        )
    Console(stderr=True, highlight=False).print(
        f"openFDA does not answer: the generated sample takes the place of its labels (--data {OPENFDA} insists).",
        soft_wrap=True,
    )
    return None


def _source(download: Download) -> str:
    number = f"{download.labels} labels"
    if download.found is not None and download.found > download.labels:
        number = f"the first {download.labels} of {download.found} labels by identity"
    return f"openFDA drug labels of {download.last_updated} ({number})"


def is_spl(path: Path) -> bool:
    """Return whether a file or folder holds SPL XML rather than JSON records.

    Raises
    ------
    ConfigurationError
        A folder holds both.
    """
    if not path.is_dir():
        return path.exists() and holds_xml(path)
    files = [
        file for file in path.rglob("*") if file.name.lower().endswith((*RECORD_SUFFIXES, *SPL_SUFFIXES))
    ]
    kinds = {holds_xml(file): file for file in files}
    if len(kinds) > 1:
        raise ConfigurationError(
            f"{path}: the folder holds both SPL XML ({kinds[True].name}) and JSON records ({kinds[False].name}); "
            f"give a folder or file of one kind, or labels would count twice."
        )
    return True in kinds

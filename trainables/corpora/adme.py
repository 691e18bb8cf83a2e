"""The ADME corpus: which reader a path needs, and what is used where no path is given."""

from __future__ import annotations

from pathlib import Path

from trainables.corpora.archives import holds_xml
from trainables.corpora.corpus import Corpus
from trainables.corpora.openfda import read_openfda
from trainables.corpora.records import SUFFIXES as RECORD_SUFFIXES
from trainables.corpora.sample import generate_sample
from trainables.corpora.spl import SUFFIXES as SPL_SUFFIXES
from trainables.corpora.spl import read_spl
from trainables.errors import ConfigurationError


def read_adme(data: str | None, *, food_effect: str = "absorption", keep_mixed: bool = False) -> Corpus:
    """Return the ADME corpus of label records or of SPL XML, or without data the generated sample.

    Parameters
    ----------
    data
        A file or folder of openFDA records or of SPL XML, told apart by content.
    food_effect, keep_mixed
        As for :func:`trainables.corpora.openfda.read_openfda`; the sample has neither food headings nor mixed ones.

    Raises
    ------
    ConfigurationError
        For a folder that holds both kinds: the same labels would count twice.
    """
    if data is None:
        return generate_sample()
    path = Path(data)
    reader = read_spl if _is_spl(path) else read_openfda
    return reader(data, food_effect=food_effect, keep_mixed=keep_mixed)


def _is_spl(path: Path) -> bool:
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

"""TREC questions by the kind of answer that they ask for (Li & Roth 2002): 5,452 for training, 500 for test."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from trainables.corpora.corpus import Corpus
from trainables.corpora.left_out import LeftOut
from trainables.corpora.published.download import fetch
from trainables.corpora.published.files import published_files, text_lines
from trainables.corpora.rows import Row, build_corpus, own_group
from trainables.errors import ConfigurationError

COARSE = ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM")
LABELS = ("coarse", "fine")
PUBLISHED = (
    (
        "https://cogcomp.seas.upenn.edu/Data/QA/QC/train_5500.label",
        "9e4c8bdcaffb96ed61041bd64b564183d52793a8e91d84fc3a8646885f466ec3",
    ),
    (
        "https://cogcomp.seas.upenn.edu/Data/QA/QC/TREC_10.label",
        "033f22c028c2bbba9ca682f68ffe204dc1aa6e1cf35dd6207f2d4ca67f0d0e8e",
    ),
)
# The names of the publishers, and those of NLTK's package.
_FILES = {"train_5500.label": "train", "train.txt": "train", "trec_10.label": "test", "test.txt": "test"}
_LINE = re.compile(r"([A-Z]{2,6}):([a-z]+) +(\S.*)")
NOT_A_QUESTION = "line that is no labelled question"


def read_trec(data: str | None, *, labels: str = "coarse") -> Corpus:
    """Read the question classification data with its given split.

    Parameters
    ----------
    data
        Folder or archive with ``train_5500.label`` and ``TREC_10.label`` (or ``train.txt`` and ``test.txt``);
        None downloads them.
    labels
        ``"coarse"``: six classes; ``"fine"``: fifty, of which eight have no test question.

    Raises
    ------
    ConfigurationError
        For files that are missing, unreadable or of another format.
    """
    if labels not in LABELS:
        raise ConfigurationError(f"labels {labels!r}: expected one of {', '.join(LABELS)}.")
    paths = [Path(data)] if data is not None else [fetch(url, digest) for url, digest in PUBLISHED]
    left_out = LeftOut()
    rows: list[Row] = []
    parts = set()
    for name, content in published_files(paths):
        part = _FILES.get(name.rsplit("/", 1)[-1].lower())
        if part is not None:
            parts.add(part)
            rows.extend(_questions(name, content, part, labels == "fine", left_out))
    source = data or "the published TREC questions"
    if parts != {"train", "test"}:
        raise ConfigurationError(f"{source}: expected the files train_5500.label and TREC_10.label.")
    return build_corpus(rows, None if labels == "fine" else COARSE, source=source, left_out=left_out)


def _questions(name: str, content: bytes, part: str, fine: bool, left_out: Counter[str]) -> Iterator[Row]:
    for number, line in text_lines(content, "latin-1", name):
        found = _LINE.fullmatch(line.strip())
        if found is None or found[1] not in COARSE:
            left_out[NOT_A_QUESTION] += 1
            continue
        label = f"{found[1]}:{found[2]}" if fine else found[1]
        yield Row(found[3], label, own_group(found[3]), f"{name}:{number}", part)

"""Large Movie Review Dataset, positive against negative (Maas et al. 2011): 25,000 and 25,000 reviews."""

from __future__ import annotations

import dataclasses
import json
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

CLASSES = ("negative", "positive")
PUBLISHED = (
    "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
    "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe",
)
REVIEWS = 12_500  # of each class in each part, numbered from 0
NOT_A_REVIEW = "file or record that is no labelled review"
NOT_UTF8 = "review that is not UTF-8 text"
READ_TWICE = "review that was already read under its number"

_LABELS = {"neg": CLASSES[0], "pos": CLASSES[1], **{name: name for name in CLASSES}}
_IN_FOLDERS = re.compile(r"(?:^|/)(train|test)/(pos|neg)/[^/]+$")
_FILE = re.compile(r"(\d{1,9})_(\d{1,2})\.txt")  # number and stars
_RECORDS = re.compile(r"(?:^|/)[^/]*\.(?:jsonl|ndjson)$")
_PART_IN_NAME = re.compile(r"(?<![a-z])(train|test)(?![a-z])")
_LINE_BREAK = re.compile(r"[ \t]*<br\s*/?>[ \t]*", re.IGNORECASE)

_Cell = tuple[str, str]  # part, class


def read_imdb(data: str | None) -> Corpus:
    """Read the movie reviews with their given split into train and test; the stars are not read.

    Parameters
    ----------
    data
        The archive ``aclImdb_v1.tar.gz`` or the folder that it unpacks to (``train/pos/0_9.txt`` and so on), or JSON
        Lines with ``text`` and ``label`` (``pos`` or ``neg``), whose part is told by ``split`` or by the file's name
        (``train.jsonl.gz``); None downloads the archive. The unlabelled reviews of the archive are passed over.

    Returns
    -------
    Corpus
        ``<br />`` has become a line break. A remark counts the published reviews that are missing.

    Raises
    ------
    ConfigurationError
        For files that are unreadable or of another format, and where a part lacks all reviews of a class.
    """
    path = Path(data) if data is not None else fetch(*PUBLISHED)
    source = data or "the published movie reviews"
    left_out = LeftOut()
    rows: list[Row] = []
    numbers: dict[_Cell, set[str]] = {(part, name): set() for part in ("train", "test") for name in CLASSES}
    found: Counter[_Cell] = Counter()
    for part, label, number, text, origin in _reviews(path, left_out):
        seen = numbers[part, label]
        if number is not None and number in seen:
            left_out.add(READ_TWICE, origin)
            continue
        if number is not None:
            seen.add(number)
        found[part, label] += 1
        text = _LINE_BREAK.sub("\n", text).strip()
        rows.append(Row(text, label, own_group(text), origin, part))
    if empty := [cell for cell in numbers if not found[cell]]:
        raise ConfigurationError(
            f"{source}: expected reviews of both classes in train and test, but there are no "
            f"{' and no '.join(f'{label} ones in {part}' for part, label in empty)}. Give aclImdb_v1.tar.gz, the "
            "folder that it unpacks to (train/pos, train/neg, test/pos, test/neg), or JSON Lines (text and label) in "
            "train.jsonl and test.jsonl."
        )
    corpus = build_corpus(rows, CLASSES, source=source, left_out=left_out)
    return dataclasses.replace(corpus, remarks=(*corpus.remarks, *_missing(found)))


def _missing(found: Counter[_Cell]) -> tuple[str, ...]:
    """Return the sentence that says which of the published reviews were not found; none where all were."""
    short = {cell: REVIEWS - n for cell, n in found.items() if n < REVIEWS}
    if not short:
        return ()
    cells = ", ".join(
        f"{n:,} {label} ones in {part}" for (part, label), n in sorted(short.items(), reverse=True)
    )
    return (
        f"{sum(short.values()):,} of the {4 * REVIEWS:,} published reviews were not found ({cells}): figures are not "
        "comparable with published ones.",
    )


def _reviews(path: Path, left_out: LeftOut) -> Iterator[tuple[str, str, str | None, str, str]]:
    """Yield (part, class, number or None, text, origin)."""
    for name, content in published_files([path], wanted=_is_wanted):
        if _RECORDS.search(name):
            yield from _records(path, name, content, left_out)
            continue
        place, file = _IN_FOLDERS.search(name), _FILE.fullmatch(name.rsplit("/", 1)[-1])
        if place is None or file is None:
            left_out.add(NOT_A_REVIEW, name)
            continue
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            left_out.add(NOT_UTF8, name)
            continue
        yield place[1], _LABELS[place[2]], file[1], text, name


def _is_wanted(name: str) -> bool:
    return _IN_FOLDERS.search(name) is not None or _RECORDS.search(name.removesuffix(".gz")) is not None


def _records(
    path: Path, name: str, content: bytes, left_out: LeftOut
) -> Iterator[tuple[str, str, str | None, str, str]]:
    in_name = _PART_IN_NAME.search(name.rsplit("/", 1)[-1].lower())
    for line_number, line in text_lines(content, "utf-8-sig", f"{path}, {name!r}"):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(f"{path}, {name!r}, line {line_number}: not JSON ({error}).") from error
        record = record if isinstance(record, dict) else {}
        part = record.get("split", in_name and in_name[1])
        text, label, number = (record.get(key) for key in ("text", "label", "id"))
        if part not in ("train", "test") or label not in tuple(_LABELS) or not isinstance(text, str):
            left_out.add(NOT_A_REVIEW, f"{name}:{line_number}")
        else:
            yield part, _LABELS[label], None if number is None else str(number), text, f"{name}:{line_number}"

"""Paragraphs of labels that are to be labelled: in reading order, each without its heading, also where it has none.

What a corpus is made of is chosen more strictly, see :mod:`trainables.corpora.drug_labels.topics`: here a paragraph
below a heading that is not understood is one whose class a user wants to know. Not text on pharmacokinetics are
tables, captions, and what stands outside of their section.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from trainables.corpora.drug_labels.adme import is_spl
from trainables.corpora.drug_labels.archives import xml_documents
from trainables.corpora.drug_labels.openfda import MINIMUM_WORDS, NO_SECTION, record_paragraphs
from trainables.corpora.drug_labels.records import SUFFIXES as RECORD_SUFFIXES
from trainables.corpora.drug_labels.records import find_files, read_records
from trainables.corpora.drug_labels.spl import (
    NOT_A_LABEL,
    PHARMACOKINETICS,
    document_paragraphs,
    document_root,
)
from trainables.corpora.drug_labels.spl import SUFFIXES as SPL_SUFFIXES
from trainables.corpora.drug_labels.topics import NO_HEADING, NOT_PHARMACOKINETICS, TABLE, Paragraph
from trainables.corpora.left_out import LeftOut
from trainables.corpora.rows import TOO_SHORT
from trainables.errors import ConfigurationError

_OF_RECORDS = ("pharmacokinetics", "clinical_pharmacology", "openfda")


class LabelParagraph(NamedTuple):
    """A paragraph, where it stands, and the class that its heading names; None where that names none or several."""

    text: str
    origin: str
    heading: str | None


def holds_labels(path: Path) -> bool:
    """Return whether a file or folder holds drug labels: SPL XML, or records of openFDA."""
    if path.is_dir() or is_spl(path):
        return True
    if not path.is_file() or not path.name.lower().endswith(RECORD_SUFFIXES):
        return False
    try:
        first = next(read_records(path), None)
    except ConfigurationError:  # whoever reads it as a table says what is wrong
        return False
    return first is not None and any(name in first[1] for name in _OF_RECORDS)


def read_paragraphs(
    path: Path, left_out: LeftOut, classes: Iterable[str], food_effect: str = "absorption"
) -> Iterator[LabelParagraph]:
    """Yield the paragraphs on pharmacokinetics of every label in a file or folder.

    Parameters
    ----------
    path
        openFDA's records (JSON, JSON Lines, zip) or SPL XML, one file or a folder of either.
    left_out
        Counts what is no text on pharmacokinetics, and documents that are no labels.
    classes
        Those that a heading may name.
    food_effect
        As for :func:`trainables.corpora.drug_labels.openfda.read_openfda`.

    Raises
    ------
    ConfigurationError
        What cannot be read, with the file.
    """
    known = frozenset(classes)
    spl = is_spl(path)
    for file in find_files(path, SPL_SUFFIXES if spl else RECORD_SUFFIXES):
        for origin, is_section, found in (_spl if spl else _openfda)(file, left_out, food_effect):
            for number, paragraph in enumerate(found, start=1):
                where = f"{origin}#{number}"
                if reason := _reason(paragraph, is_section):
                    left_out.add(reason, where)
                else:
                    yield LabelParagraph(
                        paragraph.text, where, paragraph.label if paragraph.label in known else None
                    )


# Where they stand, whether that is a section on pharmacokinetics alone, and the paragraphs.
_Sections = Iterator[tuple[str, bool, list[Paragraph]]]


def _openfda(file: Path, left_out: LeftOut, food_effect: str) -> _Sections:
    for number, record in read_records(file):
        origin = f"{file.name}:{number}"
        section, found = record_paragraphs(record, food_effect)
        if not section:
            left_out.add(NO_SECTION, origin)
        yield f"{origin} {section}", section == _OF_RECORDS[0], found


def _spl(file: Path, left_out: LeftOut, food_effect: str) -> _Sections:
    for origin, content in xml_documents(file):
        try:
            set_id, root = document_root(content, origin)
        except ConfigurationError:
            left_out.add(NOT_A_LABEL, origin)
            continue
        found = document_paragraphs(root, set_id, food_effect)
        if found is None:
            left_out.add(NO_SECTION, origin)
            continue
        for code in dict.fromkeys(code for code, _ in found):
            yield f"{origin} {code}", code == PHARMACOKINETICS, [each for of, each in found if of == code]


def _reason(paragraph: Paragraph, is_section: bool) -> str:
    """Return why a paragraph is none to be labelled; empty if it is one."""
    if paragraph.label is None and (
        paragraph.reason in (TABLE, NOT_PHARMACOKINETICS)
        or (paragraph.reason == NO_HEADING and not is_section)
    ):
        return paragraph.reason
    return TOO_SHORT if len(paragraph.text.split()) < MINIMUM_WORDS else ""

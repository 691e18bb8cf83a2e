"""ADME paragraphs from openFDA drug/label records, whose text is flattened with inline headings.

The labels are silver: each paragraph takes the class of the heading above it, which is removed.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from trainables.corpora.corpus import Corpus
from trainables.corpora.drug_labels.flattened import cut_at_headings
from trainables.corpora.drug_labels.headings import CLASSES, FOOD_EFFECTS, MIXED
from trainables.corpora.drug_labels.records import Paths, Record, find_files, read_records
from trainables.corpora.drug_labels.topics import Paragraph
from trainables.corpora.left_out import LeftOut
from trainables.corpora.rows import Row, build_corpus
from trainables.errors import ConfigurationError
from trainables.settings import digest_of

MIXED_HEADING = "mixed heading"
NO_SECTION = "label without a pharmacokinetics section"
OLDER_VERSION = "older version of a label"
MINIMUM_WORDS = 5
# Where the pharmacokinetics of a label are looked for, in this order; the second is a whole chapter.
SECTIONS = ("pharmacokinetics", "clinical_pharmacology")

_SALT_WORDS = """
    hydrochloride dihydrochloride hcl sodium sulfate acetate chloride fumarate hydrobromide phosphate anhydrous
    mesylate tartrate succinate citrate bitartrate calcium monohydrate maleate tosylate bromide meglumine disodium
    besylate potassium magnesium tromethamine oxalate hemihydrate benzoate bisulfate dimeglumine olamine
    trihydrate dihydrate nitrate heptahydrate camsylate dimethyl sulfoxide hemifumarate medoxomil malate lactate
    gluconate pamoate palmitate edisylate esylate napsylate monosodium dipotassium decahydrate sesquihydrate
    pentahydrate hydrate hydrogen free base form ditosylate xinafoate
"""
_SALTS = frozenset(_SALT_WORDS.split())
_BIOSIMILAR = re.compile(r"(?<=\w{6})-[a-z]{4}$")


@dataclass
class _Label:
    version: tuple[str, int, str]
    rows: list[Row]
    left_out: Counter[str]


def read_openfda(
    data: Paths,
    *,
    food_effect: str = "absorption",
    keep_mixed: bool = False,
    minimum_words: int = MINIMUM_WORDS,
) -> Corpus:
    """Read labels as openFDA's drug/label API and its bulk downloads give them.

    ``pharmacokinetics`` is used where a label has it, else the pharmacokinetic part of
    ``clinical_pharmacology``. Of several versions of a label (``set_id``) the newest counts.

    Parameters
    ----------
    data
        A file, several, or a folder: JSON Lines or ``{"results": [...]}``, plain, gzip or zip.
    food_effect
        Class of text on the effect of food: ``"absorption"`` or ``"other"``.
    keep_mixed
        Keep text under headings such as "Metabolism and Excretion" as a sixth class ``mixed``.
    minimum_words
        Shorter paragraphs are left out.

    Returns
    -------
    Corpus
        Groups are active substances; see :func:`substance_group`.

    Raises
    ------
    ConfigurationError
        For missing or unreadable files, text that is not JSON, or labels without a usable section.
    """
    if food_effect not in FOOD_EFFECTS:
        raise ConfigurationError(f"food_effect {food_effect!r}: expected one of {', '.join(FOOD_EFFECTS)}.")
    files = find_files(data)
    newest: dict[str, _Label] = {}
    left_out = LeftOut()
    n_records = 0
    for path in files:
        for number, record in read_records(path):
            n_records += 1
            origin = f"{path.name}:{number}"
            set_id = str(record.get("set_id") or record.get("id") or origin)
            version = _version(record)
            if set_id in newest:
                left_out[OLDER_VERSION] += 1
                if version <= newest[set_id].version:
                    continue
            newest[set_id] = _read_label(
                record, version, f"{origin} set_id={set_id}", set_id, food_effect, keep_mixed
            )
    source = ", ".join(map(str, files)) if len(files) <= 3 else f"{files[0].parent} ({len(files)} files)"
    if n_records == 0:
        raise ConfigurationError(f"{source}: the file is empty; expected openFDA drug/label records.")
    if all(NO_SECTION in label.left_out for label in newest.values()):
        raise ConfigurationError(
            f"{source}: none of {n_records} records has a field pharmacokinetics or clinical_pharmacology; expected "
            f"records of openFDA's drug/label endpoint."
        )
    for label in newest.values():
        left_out.update(label.left_out)
    return build_corpus(
        (row for label in newest.values() for row in label.rows),
        (*CLASSES, MIXED) if keep_mixed else CLASSES,
        source=source,
        left_out=left_out,
        minimum_words=minimum_words,
    )


def substance_group(record: Record) -> str:
    """Return the active substances of a label as one name, or its identity where none is given; never empty.

    Salts, hydrates and the four-letter suffix of biological products are dropped, so that every label of
    one substance falls into one group.

    Examples
    --------
    >>> substance_group({"openfda": {"substance_name": ["VELORIMAB-ABCD", "Tanoprine Sodium"]}})
    'tanoprine + velorimab'
    """
    openfda = record.get("openfda")
    openfda = openfda if isinstance(openfda, dict) else {}
    for key in ("substance_name", "generic_name", "brand_name"):
        names = sorted({_base_name(name) for name in _strings(openfda.get(key))} - {""})
        if names:
            return " + ".join(names)
    return f"unnamed {record.get('set_id') or record.get('id') or digest_of(record)}"


def _base_name(name: str) -> str:
    words = re.sub(r"[(),]", " ", name.lower()).split()
    while len(words) > 1 and words[-1] in _SALTS:
        words.pop()
    return _BIOSIMILAR.sub("", " ".join(words))


def _read_label(
    record: Record,
    version: tuple[str, int, str],
    origin: str,
    set_id: str,
    food_effect: str,
    keep_mixed: bool,
) -> _Label:
    label = _Label(version, [], Counter())
    section, paragraphs = record_paragraphs(record, food_effect)
    if not section:
        label.left_out[NO_SECTION] += 1
        return label
    group = substance_group(record)
    for number, paragraph in enumerate(paragraphs, start=1):
        if paragraph.label is None:
            label.left_out[paragraph.reason] += 1
        elif paragraph.label == MIXED and not keep_mixed:
            label.left_out[MIXED_HEADING] += 1
        else:
            label.rows.append(Row(paragraph.text, paragraph.label, group, f"{origin} {section}#{number}"))
    return label


def record_paragraphs(record: Record, food_effect: str = "absorption") -> tuple[str, list[Paragraph]]:
    """Return which section of a record tells of pharmacokinetics, and its paragraphs; an empty name where none does."""
    for section in SECTIONS:
        if texts := _strings(record.get(section)):
            names = name_words(record)
            return section, [
                paragraph
                for text in texts
                for paragraph in cut_at_headings(
                    text, names=names, food_effect=food_effect, whole_chapter=section != SECTIONS[0]
                )
            ]
    return "", []


def name_words(record: Record) -> set[str]:
    """Return the words of the product's names; short ones are too common to tell a sentence's start."""
    openfda = record.get("openfda")
    if not isinstance(openfda, dict):
        return set()
    names = (
        name
        for key in ("generic_name", "brand_name", "substance_name")
        for name in _strings(openfda.get(key))
    )
    return {word for name in names for word in name.lower().replace(",", " ").split() if len(word) > 3}


def _version(record: Record) -> tuple[str, int, str]:
    number = str(record.get("version") or "0")
    return (
        str(record.get("effective_time") or ""),
        int(number) if number.isdigit() else 0,
        str(record.get("id") or ""),
    )


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        value = [value]
    return (
        [item for item in value if isinstance(item, str) and item.strip()] if isinstance(value, list) else []
    )

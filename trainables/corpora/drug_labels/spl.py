"""ADME paragraphs from Structured Product Labeling XML as DailyMed ships it.

The labels are silver: each paragraph takes the class of the heading above it, which is removed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from trainables.corpora.corpus import Corpus
from trainables.corpora.drug_labels.archives import xml_documents
from trainables.corpora.drug_labels.headings import CLASSES, FOOD_EFFECTS, MIXED
from trainables.corpora.drug_labels.marked_up import cut_section
from trainables.corpora.drug_labels.openfda import (
    MINIMUM_WORDS,
    MIXED_HEADING,
    NO_SECTION,
    OLDER_VERSION,
    name_words,
    substance_group,
)
from trainables.corpora.drug_labels.records import Paths, Record, find_files
from trainables.corpora.drug_labels.safe_xml import child, local_name, parse_xml
from trainables.corpora.left_out import LeftOut
from trainables.corpora.rows import Row, build_corpus
from trainables.errors import ConfigurationError

SUFFIXES = (".xml", ".zip")
# LOINC codes of the sections, in the order in which they are looked for.
PHARMACOKINETICS, CLINICAL_PHARMACOLOGY = "43682-4", "34090-1"
# classCode of an active ingredient, by the basis of its strength.
_ACTIVE = frozenset(("ACTIB", "ACTIM", "ACTIR"))
_MAX_FAULTS = 20


@dataclass
class _Label:
    version: tuple[int, str, str]
    rows: list[Row] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def read_spl(
    data: Paths,
    *,
    food_effect: str = "absorption",
    keep_mixed: bool = False,
    minimum_words: int = MINIMUM_WORDS,
) -> Corpus:
    """Read labels in SPL XML: single documents, folders of them, and DailyMed's zips of zips.

    The pharmacokinetics section (LOINC 43682-4) is used where a label has one with text, else the
    pharmacokinetic part of clinical pharmacology (34090-1). Of several versions of a label the newest counts.

    Parameters
    ----------
    data
        A file, several, or a folder.
    food_effect, keep_mixed, minimum_words
        As for :func:`trainables.corpora.drug_labels.openfda.read_openfda`.

    Returns
    -------
    Corpus
        Groups are active moieties; origins name file, label, section and paragraph.

    Raises
    ------
    ConfigurationError
        For files that are missing, unreadable, refused (entities, bombs) or no labels, all at once; and for
        labels without a usable section.
    """
    if food_effect not in FOOD_EFFECTS:
        raise ConfigurationError(f"food_effect {food_effect!r}: expected one of {', '.join(FOOD_EFFECTS)}.")
    files = find_files(data, SUFFIXES)
    newest: dict[str, _Label] = {}
    left_out = LeftOut()
    faults: list[str] = []
    for path in files:
        try:
            for origin, content in xml_documents(path):
                try:
                    set_id, label = _read_document(content, origin, food_effect, keep_mixed)
                except ConfigurationError as error:
                    faults += error.faults
                    continue
                if set_id in newest:
                    left_out[OLDER_VERSION] += 1
                    if label.version <= newest[set_id].version:
                        continue
                newest[set_id] = label
        except ConfigurationError as error:
            faults += error.faults
    source = ", ".join(map(str, files)) if len(files) <= 3 else f"{files[0].parent} ({len(files)} files)"
    if faults:
        more = [f"… and {len(faults) - _MAX_FAULTS} more faults."] if len(faults) > _MAX_FAULTS else []
        raise ConfigurationError(faults[:_MAX_FAULTS] + more)
    if all(NO_SECTION in label.left_out for label in newest.values()):
        raise ConfigurationError(
            f"{source}: none of {len(newest)} labels has a section with the code {PHARMACOKINETICS} "
            f"(pharmacokinetics) or {CLINICAL_PHARMACOLOGY} (clinical pharmacology); expected SPL XML of "
            f"prescription drugs."
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


def _read_document(content: bytes, origin: str, food_effect: str, keep_mixed: bool) -> tuple[str, _Label]:
    root = parse_xml(content, origin)
    if local_name(root) != "document":
        raise ConfigurationError(
            f"{origin}: the root element is <{local_name(root)}>; expected <document>, as in Structured Product "
            f"Labeling."
        )
    set_id = (_attribute(root, "setId", "root") or _attribute(root, "id", "root") or origin).lower()
    version = _attribute(root, "versionNumber", "value")
    label = _Label(
        (
            int(version) if version.isdecimal() else 0,
            _attribute(root, "effectiveTime", "value"),
            _attribute(root, "id", "root"),
        )
    )
    code, sections = _sections(root)
    if not sections:
        label.left_out[NO_SECTION] += 1
        return set_id, label
    record = _as_record(root, set_id)
    group, names = substance_group(record), name_words(record)
    number = 0
    for section in sections:
        for paragraph in cut_section(
            section, names=names, food_effect=food_effect, whole_chapter=code == CLINICAL_PHARMACOLOGY
        ):
            number += 1
            if paragraph.label is None:
                label.left_out[paragraph.reason] += 1
            elif paragraph.label == MIXED and not keep_mixed:
                label.left_out[MIXED_HEADING] += 1
            else:
                where = f"{origin} set_id={set_id} {code}#{number}"
                label.rows.append(Row(paragraph.text, paragraph.label, group, where))
    return set_id, label


def _sections(root: Element) -> tuple[str, list[Element]]:
    """Return the code and the outermost sections of that code, of the first code that has text."""
    for code in (PHARMACOKINETICS, CLINICAL_PHARMACOLOGY):
        sections = [section for section in _outermost(root, code) if _has_text(section)]
        if sections:
            return code, sections
    return "", []


def _outermost(element: Element, code: str) -> Iterator[Element]:
    for inner in element:
        if local_name(inner) == "section" and _attribute(inner, "code", "code").strip() == code:
            yield inner
        else:
            yield from _outermost(inner, code)


def _has_text(section: Element) -> bool:
    return any(
        local_name(inner) == "text" and any(part.strip() for part in inner.itertext())
        for inner in section.iter()
    )


def _attribute(element: Element, name: str, attribute: str) -> str:
    inner = child(element, name)
    return "" if inner is None else inner.get(attribute, "")


def _as_record(root: Element, set_id: str) -> Record:
    """Return the names of a label in the form of an openFDA record, so that both sources give the same groups."""
    moieties, ingredients, generic, brand = [], [], [], []
    for element in root.iter():
        name = local_name(element)
        if name == "activeIngredient" or (name == "ingredient" and element.get("classCode", "") in _ACTIVE):
            inside = [inner for inner in element.iter() if local_name(inner) == "activeMoiety"]
            found = [text for text in map(_name, inside) if text]
            moieties += found
            substances = [inner for inner in element if local_name(inner).endswith("ubstance")]
            ingredients += [text for text in map(_name, substances) if text]
        elif name in ("genericMedicine", "asEntityWithGeneric"):
            generic += [text for text in [_name(element)] if text]
        elif name in ("manufacturedProduct", "manufacturedMedicine"):
            brand += [text for text in [_name(element)] if text]
    return {
        "set_id": set_id,
        "openfda": {
            "substance_name": moieties or ingredients,
            "generic_name": generic,
            "brand_name": brand,
        },
    }


def _name(element: Element) -> str:
    name = child(element, "name")
    return "" if name is None else " ".join(" ".join(name.itertext()).split())

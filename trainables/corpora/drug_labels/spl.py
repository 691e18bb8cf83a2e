"""ADME paragraphs from Structured Product Labeling XML as DailyMed ships it.

The labels are silver: each paragraph takes the class of the heading above it, which is removed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.etree.ElementTree import Element

from trainables.corpora.corpus import Corpus
from trainables.corpora.drug_labels.archives import xml_documents
from trainables.corpora.drug_labels.headings import CLASSES, FOOD_EFFECTS, MIXED, opens_pharmacokinetics
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
from trainables.corpora.drug_labels.topics import Paragraph
from trainables.corpora.left_out import LeftOut
from trainables.corpora.rows import Row, build_corpus
from trainables.errors import ConfigurationError

SUFFIXES = (".xml", ".zip")
# LOINC codes of the sections, in the order in which they are looked for; the last says nothing of what is in it.
PHARMACOKINETICS, CLINICAL_PHARMACOLOGY, UNCLASSIFIED = "43682-4", "34090-1", "42229-5"
NOT_A_LABEL = "document that is no label"
_NUMBERED = re.compile(r"\s*12\.3(?!\d).*pharmacokinetic", re.IGNORECASE)
_CHAPTER = re.compile(r"(?:\d+\.?\s*)?clinical\s+pharmacology", re.IGNORECASE)
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
    pharmacokinetic part of clinical pharmacology (34090-1) and what stands outside of it under the title of either
    without a code of its own (42229-5). Of several versions of a label the newest counts. Documents that are no
    labels are passed over, and the corpus remarks on them.

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
        For files that are missing or cannot be read to their end (bombs, broken archives), and where no document
        is a label, with what is wrong with each, all at once; and for labels without a usable section.
    """
    if food_effect not in FOOD_EFFECTS:
        raise ConfigurationError(f"food_effect {food_effect!r}: expected one of {', '.join(FOOD_EFFECTS)}.")
    files = find_files(data, SUFFIXES)
    newest: dict[str, _Label] = {}
    left_out = LeftOut()
    no_labels: list[str] = []  # documents; each is one label less
    faults: list[str] = []  # files, of which nobody knows how many labels are lost
    for path in files:
        try:
            for origin, content in xml_documents(path):
                try:
                    set_id, label = _read_document(content, origin, food_effect, keep_mixed)
                except ConfigurationError as error:
                    no_labels += error.faults
                    continue
                if set_id in newest:
                    left_out[OLDER_VERSION] += 1
                    if label.version <= newest[set_id].version:
                        continue
                newest[set_id] = label
        except ConfigurationError as error:
            faults += error.faults
    source = ", ".join(map(str, files)) if len(files) <= 3 else f"{_place(data, files)} ({len(files)} files)"
    if faults or (no_labels and not newest):
        faults += no_labels
        more = [f"… and {len(faults) - _MAX_FAULTS} more faults."] if len(faults) > _MAX_FAULTS else []
        first = faults[0] if len(files) == 1 and str(files[0]) in faults[0] else f"{source}: {faults[0]}"
        raise ConfigurationError([first, *faults[1:_MAX_FAULTS], *more])
    if all(NO_SECTION in label.left_out for label in newest.values()):
        raise ConfigurationError(
            f"{source}: none of {len(newest)} labels has a section with the code {PHARMACOKINETICS} "
            f"(pharmacokinetics) or {CLINICAL_PHARMACOLOGY} (clinical pharmacology); expected SPL XML of "
            f"prescription drugs."
        )
    for label in newest.values():
        left_out.update(label.left_out)
    left_out[NOT_A_LABEL] += len(no_labels)
    corpus = build_corpus(
        (row for label in newest.values() for row in label.rows),
        (*CLASSES, MIXED) if keep_mixed else CLASSES,
        source=source,
        left_out=left_out,
        minimum_words=minimum_words,
    )
    return replace(corpus, remarks=_passed_over(source, no_labels)) if no_labels else corpus


def _place(data: Paths, files: list[Path]) -> Path:
    return Path(data) if isinstance(data, str | Path) else files[0].parent


def _passed_over(source: str, faults: list[str]) -> tuple[str, ...]:
    what = "One document was" if len(faults) == 1 else f"{len(faults)} documents were"
    return (f"{what} passed over in {source}, as no label could be read there. The first: {faults[0]}",)


def _read_document(content: bytes, origin: str, food_effect: str, keep_mixed: bool) -> tuple[str, _Label]:
    set_id, root = document_root(content, origin)
    version = _attribute(root, "versionNumber", "value")
    label = _Label(
        (
            int(version) if version.isdecimal() else 0,
            _attribute(root, "effectiveTime", "value"),
            _attribute(root, "id", "root"),
        )
    )
    paragraphs = document_paragraphs(root, set_id, food_effect)
    if paragraphs is None:
        label.left_out[NO_SECTION] += 1
        return set_id, label
    group = substance_group(_as_record(root, set_id))
    for number, (code, paragraph) in enumerate(paragraphs, start=1):
        if paragraph.label is None:
            label.left_out[paragraph.reason] += 1
        elif paragraph.label == MIXED and not keep_mixed:
            label.left_out[MIXED_HEADING] += 1
        else:
            where = f"{origin} set_id={set_id} {code}#{number}"
            label.rows.append(Row(paragraph.text, paragraph.label, group, where))
    return set_id, label


def document_root(content: bytes, origin: str) -> tuple[str, Element]:
    """Return the identity and the root of a label.

    Raises
    ------
    ConfigurationError
        The document is no label.
    """
    root = parse_xml(content, origin)
    if local_name(root) != "document":
        raise ConfigurationError(
            f"{origin}: the root element is <{local_name(root)}>; expected <document>, as in Structured Product "
            f"Labeling."
        )
    return (_attribute(root, "setId", "root") or _attribute(root, "id", "root") or origin).lower(), root


def document_paragraphs(
    root: Element, set_id: str, food_effect: str = "absorption"
) -> list[tuple[str, Paragraph]] | None:
    """Return the paragraphs on pharmacokinetics, each with its section's code; None where no section tells of them."""
    sections = _sections(root)
    if not sections:
        return None
    names = name_words(_as_record(root, set_id))
    return [
        (code, paragraph)
        for code, is_chapter, section in sections
        for paragraph in cut_section(section, names=names, food_effect=food_effect, whole_chapter=is_chapter)
    ]


def _sections(root: Element) -> list[tuple[str, bool, Element]]:
    """Return code and section of what is to be read, and whether it is a chapter whose part has to be found."""
    sections = [
        (PHARMACOKINETICS, False, section)
        for section in _outermost(root, lambda inner: _code(inner) == PHARMACOKINETICS)
        if _has_text(section)
    ]
    return sections or [
        (_code(section) or UNCLASSIFIED, not _opens(section), section)
        for section in _outermost(root, _is_clinical_pharmacology)
        if _has_text(section)
    ]


def _is_clinical_pharmacology(section: Element) -> bool:
    """Tell a chapter by its code; it and the pharmacokinetics section without a code of their own by their titles."""
    if _code(section) == CLINICAL_PHARMACOLOGY:
        return True
    if _code(section) not in (UNCLASSIFIED, ""):
        return False
    return _opens(section) or _CHAPTER.fullmatch(_title(section)) is not None


def _opens(section: Element) -> bool:
    if _code(section) == CLINICAL_PHARMACOLOGY:
        return False
    return opens_pharmacokinetics(_title(section)) or _NUMBERED.match(_title(section)) is not None


def _title(section: Element) -> str:
    title = child(section, "title")
    return "" if title is None else " ".join(" ".join(title.itertext()).split())


def _code(section: Element) -> str:
    return _attribute(section, "code", "code").strip()


def _outermost(element: Element, is_wanted: Callable[[Element], bool]) -> Iterator[Element]:
    for inner in element:
        if local_name(inner) == "section" and is_wanted(inner):
            yield inner
        else:
            yield from _outermost(inner, is_wanted)


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

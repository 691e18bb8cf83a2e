"""Cut a flattened pharmacokinetics section into paragraphs, each with the class of the heading above it.

Precision goes first: text below a heading that is not understood, below a table's caption, or in an introduction
that speaks of the four processes itself, is handed back without a label and with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from trainables.corpora.headings import (
    ADME,
    MIXED,
    leaves_pharmacokinetics,
    opens_pharmacokinetics,
    qualifies_only,
)
from trainables.corpora.inline_headings import InlineHeading, find_headings

UNCLEAR = "unclear heading"
TABLE = "table or figure"
NO_HEADING = "section without headings"
OUTSIDE = "not about pharmacokinetics"
LONG_INTRODUCTION = "introduction too long to be one"
HIDDEN_HEADING = "another heading may hide in the text"
TOPICAL_INTRODUCTION = "introduction about the four processes"

_MAX_INTRODUCTION_WORDS = 150
_MAX_NUMBERS = 0.4  # of the words of a paragraph
_VERB = re.compile(
    r"\b(is|are|was|were|be|been|has|have|had|do|does|did|may|can|should|will|would|appears?|\w+(ed|es|ates?)|binds?"
    r"|shows?|undergoes|occurs?|remains?|declines?|reaches|results?|affects?|inhibits?|distributes?|accounts?)\b",
    re.I,
)
_SENTENCES = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_PROCESS = re.compile(
    r"absor[bp]|bioavail|distribut|protein.bind|\bbound\b|metaboli|\bCYP|excret|eliminat|clear(ance|ed)|half.?li"
    r"|\burin|\bfe[cd]|\bfood\b|meal|recovered|T ?max|peak|maximum (plasma |serum )?concentration",
    re.I,
)


# A process in title case inside a sentence, or before another capital, is mostly a heading or the cell of a table.
_TITLED = (
    r"(?:Absorption|Distribution|Metabolism|Excretion|Elimination|Specific P ?opulations|Elimi nation)\b"
)
_HIDDEN = re.compile(
    rf"(?<=[^.!?\])] )(?<!\bof )(?<!\bthe )(?<!\band )(?<!\bin ){_TITLED}|{_TITLED}[/ ]+-?[A-Z%]"
)


@dataclass(frozen=True)
class Paragraph:
    """Text between two headings.

    Attributes
    ----------
    label
        A class name, ``"mixed"``, or None where the text cannot be used.
    heading
        The heading above, as printed; empty for an introduction.
    text
        The text without its heading.
    reason
        Why there is no label.
    """

    label: str | None
    heading: str
    text: str
    reason: str = ""


@dataclass(frozen=True)
class _Topic:
    """What the text at one point is about."""

    label: str | None
    reason: str = ""
    introduction: bool = False
    by_substance: bool = False  # sub-headings below it name substances, each with its own paragraph


_INTRODUCTION = _Topic("other", introduction=True)
_OUTSIDE = _Topic(None, OUTSIDE)


def cut_at_headings(
    text: str,
    *,
    names: Collection[str] = (),
    food_effect: str = "absorption",
    whole_chapter: bool = False,
) -> list[Paragraph]:
    """Cut one flattened section into labelled paragraphs.

    Parameters
    ----------
    text
        The section; white space does not matter.
    names
        Lower-cased words of the product's and its substances' names: sentences often start with them.
    food_effect
        Class of text about food, ``"absorption"`` or ``"other"``.
    whole_chapter
        True for a clinical-pharmacology chapter, of which the pharmacokinetic part has to be found first.

    Returns
    -------
    list of Paragraph
        In reading order; a paragraph without a label says why.

    Examples
    --------
    >>> section = "Absorption Velorin is absorbed slowly. Metabolism: Velorin is hydrolysed."
    >>> [(p.label, p.text) for p in cut_at_headings(section)]
    [('absorption', 'Velorin is absorbed slowly.'), ('metabolism', 'Velorin is hydrolysed.')]
    """
    words = text.split()
    headings = list(find_headings(words, frozenset(names), food_effect))
    if not any(_is_process(heading) for heading in headings):
        return [Paragraph(None, "", " ".join(words), NO_HEADING)] if words else []
    return list(_walk(words, headings, _OUTSIDE if whole_chapter else _INTRODUCTION))


def _is_process(heading: InlineHeading) -> bool:
    return heading.label in ADME or heading.label == MIXED


def _walk(words: list[str], headings: list[InlineHeading], topic: _Topic) -> Iterator[Paragraph]:
    first_process = next(heading.start for heading in headings if _is_process(heading))
    position, above = 0, ""
    for heading in headings:
        if heading.start > position:
            body = words[position : heading.start]
            yield _paragraph(topic, above, body, before_processes=heading.start <= first_process)
        topic = _next_topic(topic, heading, follows_directly=heading.start == position)
        position, above = heading.end, heading.text
    if position < len(words):
        yield _paragraph(topic, above, words[position:], before_processes=False)


def _paragraph(topic: _Topic, above: str, body: list[str], *, before_processes: bool) -> Paragraph:
    text = " ".join(body)
    if topic.introduction:
        if not before_processes:
            return Paragraph(None, above, text, UNCLEAR)
        if len(body) > _MAX_INTRODUCTION_WORDS:
            return Paragraph(None, above, text, LONG_INTRODUCTION)
        if _tells_of_processes(text):
            return Paragraph(None, above, text, TOPICAL_INTRODUCTION)
    if topic.label is not None and not _reads_as_text(body):
        return Paragraph(None, above, text, TABLE)
    if topic.label in ADME and _HIDDEN.search(text):
        return Paragraph(None, above, text, HIDDEN_HEADING)
    return Paragraph(topic.label, above, text, topic.reason)


def _next_topic(topic: _Topic, heading: InlineHeading, *, follows_directly: bool) -> _Topic:
    """Return what the text below a heading is about, given the topic above it."""
    if heading.is_table:
        return topic if topic == _OUTSIDE else _Topic(None, TABLE)
    if heading.label is None:
        if (
            topic == _OUTSIDE
            or (topic.label == "other" and not topic.introduction)
            or qualifies_only(heading.text)
        ):
            return topic
        if topic.label in ADME and (follows_directly or topic.by_substance):
            return _Topic(topic.label, by_substance=True)
        return _Topic(None, UNCLEAR)
    if leaves_pharmacokinetics(heading.text):
        return _OUTSIDE
    if opens_pharmacokinetics(heading.text):
        return _INTRODUCTION
    if heading.label == "other" and topic == _OUTSIDE:
        return topic
    return _Topic(heading.label)


def _reads_as_text(body: list[str]) -> bool:
    """Tell sentences from the cells of a table: they have a verb or a full stop, and fewer numbers than words."""
    numbers = sum(word[0].isdigit() or word[0] in "(±<>↑↓↔-–=" for word in body)
    sentence = body[-1][-1] in ".])" or _VERB.search(" ".join(body)) is not None
    return sentence and numbers <= _MAX_NUMBERS * len(body)


def _tells_of_processes(text: str) -> bool:
    """Tell whether at least half of the sentences of an introduction speak of one of the four processes."""
    sentences = _SENTENCES.split(text)
    return 2 * sum(_PROCESS.search(sentence) is not None for sentence in sentences) >= len(sentences)

"""What the text at one point of a section is about, and whether it can be used: one rule set for all sources.

Precision goes first: text below a heading that is not understood, below a table's caption, or in an introduction
that speaks of the four processes itself, is handed back without a label and with the reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from trainables.corpora.drug_labels.headings import (
    ADME,
    MIXED,
    leaves_pharmacokinetics,
    opens_pharmacokinetics,
    qualifies_only,
)

UNCLEAR = "unclear heading"
TABLE = "table or figure"
NO_HEADING = "section without headings"
NOT_PHARMACOKINETICS = "not about pharmacokinetics"
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
class Topic:
    """What the text at one point is about.

    Attributes
    ----------
    label
        A class name, ``"mixed"``, or None.
    reason
        Why there is no label.
    introduction
        True above the first heading of a pharmacokinetics section.
    by_substance
        Sub-headings below it name substances, each with its own paragraph.
    """

    label: str | None
    reason: str = ""
    introduction: bool = False
    by_substance: bool = False


INTRODUCTION = Topic("other", introduction=True)
OUTSIDE = Topic(None, NOT_PHARMACOKINETICS)


def is_process(label: str | None) -> bool:
    """Tell whether a heading's label is one of the four processes, or several of them."""
    return label in ADME or label == MIXED


def below_table(topic: Topic) -> Topic:
    """Return what the text below the number of a table or figure is about."""
    return topic if topic == OUTSIDE else Topic(None, TABLE)


def judge_text(topic: Topic, heading: str, text: str, *, before_processes: bool) -> Paragraph:
    """Return a text as a paragraph: with its topic's label, or with the reason why it cannot be used.

    Parameters
    ----------
    topic
        What the headings above say.
    heading
        The heading above, as printed.
    text
        The text without its heading.
    before_processes
        True where no heading of the four processes stands above: only there can an introduction be.
    """
    body = text.split()
    if topic.introduction:
        if not before_processes:
            return Paragraph(None, heading, text, UNCLEAR)
        if len(body) > _MAX_INTRODUCTION_WORDS:
            return Paragraph(None, heading, text, LONG_INTRODUCTION)
        if _tells_of_processes(text):
            return Paragraph(None, heading, text, TOPICAL_INTRODUCTION)
    if topic.label is not None and not reads_as_text(body):
        return Paragraph(None, heading, text, TABLE)
    if topic.label in ADME and _HIDDEN.search(text):
        return Paragraph(None, heading, text, HIDDEN_HEADING)
    return Paragraph(topic.label, heading, text, topic.reason)


def next_topic(topic: Topic, heading: str, label: str | None, *, follows_directly: bool) -> Topic:
    """Return what the text below a heading is about.

    Parameters
    ----------
    topic
        What the text above the heading was about.
    heading
        The heading as printed.
    label
        What :func:`trainables.corpora.drug_labels.headings.classify_heading` says of it.
    follows_directly
        True where no text stands between this heading and the one before.
    """
    if label is None:
        if topic == OUTSIDE or (topic.label == "other" and not topic.introduction) or qualifies_only(heading):
            return topic
        if topic.label in ADME and (follows_directly or topic.by_substance):
            return Topic(topic.label, by_substance=True)
        return Topic(None, UNCLEAR)
    if leaves_pharmacokinetics(heading):
        return OUTSIDE
    if opens_pharmacokinetics(heading):
        return INTRODUCTION
    if label == "other" and topic == OUTSIDE:
        return topic
    return Topic(label)


def reads_as_text(body: list[str]) -> bool:
    """Tell sentences from the cells of a table: they have a verb or a full stop, and fewer numbers than words."""
    numbers = sum(word[0].isdigit() or word[0] in "(±<>↑↓↔-–=" for word in body)
    sentence = body[-1][-1] in ".])" or _VERB.search(" ".join(body)) is not None
    return sentence and numbers <= _MAX_NUMBERS * len(body)


def _tells_of_processes(text: str) -> bool:
    """Tell whether at least half of the sentences of an introduction speak of one of the four processes."""
    sentences = _SENTENCES.split(text)
    return 2 * sum(_PROCESS.search(sentence) is not None for sentence in sentences) >= len(sentences)

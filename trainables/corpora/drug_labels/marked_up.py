"""Cut a marked-up section (SPL XML) into paragraphs, each with the class of the heading above it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from xml.etree.ElementTree import Element

from trainables.corpora.drug_labels.headings import opens_pharmacokinetics
from trainables.corpora.drug_labels.layout_tables import table_pieces
from trainables.corpora.drug_labels.marked_headings import (
    Caption,
    Heading,
    Piece,
    Text,
    join_broken_headings,
    split_line,
)
from trainables.corpora.drug_labels.safe_xml import child, local_name
from trainables.corpora.drug_labels.spl_lines import (
    BREAK,
    ITEM,
    PARAGRAPH,
    Line,
    Table,
    text_lines,
    title_line,
)
from trainables.corpora.drug_labels.topics import (
    INTRODUCTION,
    NO_HEADING,
    OUTSIDE,
    TABLE,
    UNCLEAR,
    Paragraph,
    Topic,
    is_process,
    judge_text,
    next_topic,
)

_SENTENCE_END = re.compile(r"[.!?][\"'”’)\]]*$|[\])]$")
_TABLE_NOTE = re.compile(
    r"^(?:notes?|abbreviations?|source|footnotes?|legend|data (?:are|is|given)|values (?:are|is)|mean ±|n ?=)\b"
    r"|^\(?[a-z0-9][).]? [A-Za-z].{0,60}$|^[\w/ -]{1,40} ?= ?\w",
    re.I,
)


@dataclass(frozen=True)
class _Start:
    """A nested section begins; ``has_heading`` when its first words are one."""

    has_heading: bool


@dataclass(frozen=True)
class _End:
    """A nested section ends."""


@dataclass(frozen=True)
class _AfterTable:
    """A table that was passed over."""


@dataclass(frozen=True)
class _AfterLayout:
    """The headings of a table end with it."""


_Event = Piece | _Start | _End | _AfterTable | _AfterLayout


def cut_section(
    section: Element,
    *,
    names: Collection[str] = (),
    food_effect: str = "absorption",
    whole_chapter: bool = False,
) -> list[Paragraph]:
    """Cut one section with its nested sections into labelled paragraphs.

    Parameters
    ----------
    section
        The ``<section>`` element.
    names
        Lower-cased words of the product's and its substances' names.
    food_effect
        Class of text about food, ``"absorption"`` or ``"other"``.
    whole_chapter
        True for a clinical-pharmacology chapter, of which the pharmacokinetic part has to be found first.

    Returns
    -------
    list of Paragraph
        In reading order; a paragraph without a label says why. A table that holds no headed text counts as one.
    """
    known = frozenset(names)
    topic = OUTSIDE if whole_chapter else INTRODUCTION
    title = title_line(section)
    if title is not None:
        for piece in split_line(title, known, food_effect):
            if isinstance(piece, Heading) and (is_process(piece.label) or opens_pharmacokinetics(piece.text)):
                topic = next_topic(topic, piece.text, piece.label, follows_directly=True)
    events = list(_join_texts(_events(section, known, food_effect, is_root=True)))
    return list(_walk(events, topic))


def _events(section: Element, names: frozenset[str], food_effect: str, *, is_root: bool) -> Iterator[_Event]:
    title = None if is_root else title_line(section)
    if title is not None:
        yield from split_line(title, names, food_effect)
    text = child(section, "text")
    if text is not None:
        yield from _text_events(text, names, food_effect)
    for component in section:
        if local_name(component) == "component":
            for inner in component:
                if local_name(inner) == "section":
                    events = list(_events(inner, names, food_effect, is_root=False))
                    first = next((event for event in events if not isinstance(event, _Start)), None)
                    yield _Start(isinstance(first, Heading))
                    yield from events
                    yield _End()


def _text_events(text: Element, names: frozenset[str], food_effect: str) -> Iterator[_Event]:
    pending: list[Line] = []
    for line in text_lines(text):
        if isinstance(line, Line):
            pending.append(line)
            continue
        yield from _line_events(pending, names, food_effect)
        pending = []
        yield from _table_events(line, names, food_effect)
    yield from _line_events(pending, names, food_effect)


def _line_events(lines: list[Line], names: frozenset[str], food_effect: str) -> Iterator[_Event]:
    for line in join_broken_headings(lines):
        yield from split_line(line, names, food_effect)


def _table_events(table: Table, names: frozenset[str], food_effect: str) -> Iterator[_Event]:
    pieces = table_pieces(table, names, food_effect)
    if pieces:
        yield from pieces
        yield _AfterLayout()
    else:
        yield _AfterTable()


def _join_texts(events: Iterator[_Event]) -> Iterator[_Event]:
    """Join what a reader takes as one paragraph: lines broken inside a sentence, the items of a list."""
    pending: Text | None = None
    for event in events:
        if not isinstance(event, Text):
            if pending is not None:
                yield pending
            pending = None
            yield event
        elif pending is not None and _goes_on(pending, event):
            pending = replace(pending, text=f"{pending.text} {event.text}", kind=event.kind)
        else:
            if pending is not None:
                yield pending
            pending = event
    if pending is not None:
        yield pending


def _goes_on(above: Text, text: Text) -> bool:
    if text.is_note or text.doubt:
        return False
    if text.kind == ITEM:
        return above.kind == ITEM or above.text.endswith(":")
    if text.kind == BREAK:
        if above.is_note:
            return text.text[0].islower()
        return _SENTENCE_END.search(above.text) is None or not text.text[0].isupper()
    return text.kind == PARAGRAPH and text.text[0].islower() and _SENTENCE_END.search(above.text) is None


@dataclass
class _State:
    topic: Topic
    above: str = ""
    bare: bool = True  # no text since the heading
    after_table: bool = False


def _walk(events: list[_Event], topic: Topic) -> Iterator[Paragraph]:
    first_process = next(
        (i for i, event in enumerate(events) if isinstance(event, Heading) and is_process(event.label)), None
    )
    if is_process(topic.label):
        first_process = 0
    state = _State(topic)
    own_topics: list[Topic | None] = [
        None
    ]  # of the open sections; known once their first nested section begins
    for i, event in enumerate(events):
        if isinstance(event, _Start):
            parent = own_topics[-1] = own_topics[-1] or state.topic
            own_topics.append(None)
            _enter(state, parent, event)
        elif isinstance(event, _End):
            own_topics.pop()
        elif isinstance(event, Heading):
            _take_heading(state, event)
        elif isinstance(event, Caption):
            yield Paragraph(None, state.above, event.text, TABLE)
        elif isinstance(event, _AfterTable):
            yield Paragraph(None, state.above, "", TABLE)
            state.after_table = True
        elif isinstance(event, _AfterLayout):
            state.topic = state.topic if state.topic == OUTSIDE else Topic(None, UNCLEAR)
        elif state.topic.introduction and first_process is None:
            yield Paragraph(None, state.above, event.text, NO_HEADING)
            state.bare = False
        else:
            yield _take_text(state, event, before_processes=first_process is None or i < first_process)


def _enter(state: _State, parent: Topic, start: _Start) -> None:
    """Find the topic at the start of a nested section, before its own heading is read."""
    if start.has_heading:
        if parent.label == "other" and not parent.introduction:
            state.topic = parent
    elif state.topic != parent and not state.bare:
        # Does it go on with the section before, or with the one around both?
        state.topic = Topic(None, UNCLEAR)
    state.after_table = False


def _take_heading(state: _State, heading: Heading) -> None:
    state.topic = next_topic(state.topic, heading.text, heading.label, follows_directly=state.bare)
    state.above, state.bare, state.after_table = heading.text, True, False


def _take_text(state: _State, text: Text, *, before_processes: bool) -> Paragraph:
    state.bare = False
    if state.after_table and (text.is_note or _TABLE_NOTE.search(text.text)):
        return Paragraph(None, state.above, text.text, TABLE)
    state.after_table = state.after_table and text.is_note
    if text.doubt and text.doubt != state.topic.label:
        state.topic = state.topic if state.topic == OUTSIDE else Topic(None, UNCLEAR)
    return judge_text(state.topic, state.above, text.text, before_processes=before_processes)

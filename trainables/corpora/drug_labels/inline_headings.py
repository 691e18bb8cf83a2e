"""Find the headings in a text that was flattened to one line: ``… fasting. Distribution Velorimab is bound …``.

A run of words counts as a heading by what stands before it (the end of a sentence, or another heading) and after
it (a colon, or the start of a new sentence): "Distribution into milk was low" is a sentence, not a heading.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from trainables.corpora.drug_labels.headings import classify_heading

_MAX_HEADING_WORDS = 12
_MAX_CLOSED_WORDS = 6  # of a heading that ends with a full stop
_MAX_UNKNOWN_WORDS = 8
_SENTENCE_END = re.compile(r"(?:[.!?][\"'”’)\]]*|\]|[•●▪])$")
_ABBREVIATION = re.compile(r"^\(?(?:vs|e\.g|i\.e|approx|figs?|no|st|dr|al|ca|resp|spp?|var|subsp)\.$", re.I)
_NUMBER = re.compile(r"^(?:\d{1,2}\.\d{1,2}(?:\.\d{1,2})?\.?|[•●▪*])$")
_CONNECTIVE_WORDS = "of in on and the with to for or by & a an vs vs. from at under between as per"
_CONNECTIVES = frozenset(_CONNECTIVE_WORDS.split())
_STARTER_WORDS = """
    The In After Following An No It Based When Although There This These At Approximately On For With During Studies
    Since As To Due Both Mean Because Data Results Over Upon Compared While Though Like About If Each Within Less More
    Most Two Three Four Steady Peak Single Multiple Patients Subjects Population Pharmacokinetics Plasma Systemic
    Clinical Limited Their Its
"""
_STARTERS = frozenset(_STARTER_WORDS.split())
_NO_HEADING_STARTS = frozenset(("The", "These", "This", "Note:", "It"))
_VERB_WORDS = """
    is was were are has had have showed shows may can should be been did does do will would increased decreased
    include includes including received
"""
_VERBS = frozenset(_VERB_WORDS.split())
_CLASSIC = re.compile(r"(?:absorption|distribution|metabolism|excretion|elimination):?", re.I)
_LOST_PAIR = re.compile(
    r"(?:(?:Specific|Special) Populations|Drug Interactions?|(?:Renal|Hepatic) Impairment|Food Effect):?"
)
_TABLE = re.compile(r"^(?:table|figure)$", re.I)
_TABLE_NUMBER = re.compile(r"^\d{1,2}[a-z]?[.:]?$", re.I)
_SEPARATORS = frozenset((":", "-", "–", "—", "--", "."))


@dataclass(frozen=True)
class InlineHeading:
    """A heading at words ``start`` to ``end`` of a text (its number and colon included).

    Attributes
    ----------
    label
        What :func:`classify_heading` says; None for something that has the form of a heading alone.
    is_table
        True for the number of a table or figure, whose caption and cells follow.
    """

    start: int
    end: int
    text: str
    label: str | None
    is_table: bool = False


def find_headings(words: list[str], names: frozenset[str], food_effect: str) -> Iterator[InlineHeading]:
    """Yield the headings in reading order.

    Parameters
    ----------
    words
        The text, split at white space.
    names
        Lower-cased words of the product's and its substances' names: sentences often start with them.
    food_effect
        Class of text about food, see :func:`classify_heading`.
    """
    at = 0
    may_start = True
    while at < len(words):
        if may_start or _ends_sentence(words[at - 1]):
            found = _heading_at(words, at, names, food_effect)
        else:
            found = _lost_boundary(words, at, names, food_effect)
        if found is None:
            at += 1
        else:
            yield found
            at = found.end
        may_start = found is not None


def _ends_sentence(word: str) -> bool:
    return _SENTENCE_END.search(word) is not None and _ABBREVIATION.match(word) is None


def _heading_at(
    words: list[str], start: int, names: frozenset[str], food_effect: str
) -> InlineHeading | None:
    """Return the longest heading that starts here, where a sentence could start too."""
    at = start
    while at < len(words) and _NUMBER.match(words[at]):
        at += 1
    if at >= len(words) or not words[at][0].isupper():
        return None
    if _TABLE.match(words[at]):
        return _table_at(words, start, at)
    limit, closed = _punctuation(words, at)
    opens_text = start == 0 or at > start
    for length in range(limit, 0, -1):
        end = at + length
        if length != closed and (end >= len(words) or words[end][0].islower()) and length > 1:
            continue  # spares the classification; _sentence_follows would say no
        printed = " ".join(words[at:end]).rstrip(" :.-–—")
        label = classify_heading(printed, food_effect=food_effect)
        if label is None or words[end - 1].lower() in _CONNECTIVES:
            continue
        if label == "other" and _starts_with_topic(words, at, length):
            continue
        if length == closed and (words[end - 1][-1] != "." or _may_end_with_full_stop(words[at:end])):
            return InlineHeading(start, _skip_separator(words, end), printed, label)
        if _sentence_follows(words, at, end, label, names, opens_text):
            return InlineHeading(start, end, printed, label)
    return _unknown_heading(words, start, at, closed)


def _titled(heading: list[str]) -> bool:
    return all(word[0].isupper() or word.lower() in _CONNECTIVES for word in heading)


def _may_end_with_full_stop(heading: list[str]) -> bool:
    return len(heading) <= _MAX_CLOSED_WORDS and _titled(heading)


def _table_at(words: list[str], start: int, at: int) -> InlineHeading | None:
    if at + 1 >= len(words) or not _TABLE_NUMBER.match(words[at + 1]):
        return None
    after = words[at + 2] if at + 2 < len(words) else "."
    if words[at + 1][-1] in ".:" or after in _SEPARATORS or after[0].isupper():
        return InlineHeading(start, at + 2, " ".join(words[at : at + 2]), None, is_table=True)
    return None


def _punctuation(words: list[str], at: int) -> tuple[int, int]:
    """Return how many words a heading may have, and how many it has if punctuation closes it (else 0)."""
    for length, word in enumerate(words[at : at + _MAX_HEADING_WORDS]):
        if word in _SEPARATORS:
            return length, length
        if word[-1] in ".:" and not _ABBREVIATION.match(word):
            return length + 1, length + 1
    return min(_MAX_HEADING_WORDS, len(words) - at), 0


def _skip_separator(words: list[str], end: int) -> int:
    return end + (end < len(words) and words[end] in _SEPARATORS)


def _starts_with_topic(words: list[str], at: int, length: int) -> bool:
    """Tell "Distribution Animal studies …", a topic and the sentence below it, from "Metabolism in the elderly"."""
    return (
        length > 1 and _CLASSIC.fullmatch(words[at]) is not None and words[at + 1].lower() not in _CONNECTIVES
    )


def _sentence_follows(
    words: list[str], at: int, end: int, label: str, names: frozenset[str], opens_text: bool
) -> bool:
    """Tell whether the word after an unpunctuated heading starts a sentence or another heading."""
    if end >= len(words) or words[end - 1][-1] in ",;":
        return False
    follower, heading = words[end], words[at:end]
    starts_upper = follower[0].isupper()
    named = follower.lower().strip("®™,()") in names
    if len(heading) == 1 and _CLASSIC.fullmatch(heading[0]):
        return starts_upper or named or follower[0].isdigit() or follower[0] in "([•"
    if not starts_upper:
        return False
    if opens_text or named or follower in _STARTERS or _CLASSIC.fullmatch(follower):
        return True
    if label != "other" and all(_CLASSIC.fullmatch(word) or word.lower() in _CONNECTIVES for word in heading):
        return True
    if len(heading) == 1 or not _titled(heading):
        return False
    after = words[end + 1][0] if end + 1 < len(words) else "."
    return after.islower() or after.isdigit() or after in "([" or (label == "other" and _known_at(words, end))


def _known_at(words: list[str], at: int) -> bool:
    ends = range(at + 1, min(at + 4, len(words)))
    return any(classify_heading(" ".join(words[at:end])) is not None for end in ends)


def _unknown_heading(words: list[str], start: int, at: int, closed: int) -> InlineHeading | None:
    """Return something that has the form of a heading: words before a colon, or in title case before a starter."""
    if 0 < closed <= _MAX_UNKNOWN_WORDS:
        end = _skip_separator(words, at + closed)
        inner = {word.lower().rstrip(":") for word in words[at : at + closed]}
        colon = words[at + closed - 1][-1] == ":" or words[end - 1] == ":"
        if colon and not inner & _VERBS and words[at] not in _NO_HEADING_STARTS:
            return InlineHeading(start, end, " ".join(words[at:end]).rstrip(" :"), None)
        return None
    if words[at] in _STARTERS:
        return None
    for end in range(at, min(len(words) - 1, at + _MAX_UNKNOWN_WORDS + 1)):
        word, before = words[end], words[end - 1].lower()
        if end > at and word in _STARTERS and before not in _CONNECTIVES and not words[end + 1][0].isupper():
            return InlineHeading(start, end, " ".join(words[at:end]), None)
        if not (word[0].isupper() or (word.lower() in _CONNECTIVES and end > at)) or word[-1] in ",.;:":
            return None
    return None


def _lost_boundary(
    words: list[str], at: int, names: frozenset[str], food_effect: str
) -> InlineHeading | None:
    """Return a heading whose preceding sentence has lost its full stop, e.g. behind a flattened table."""
    if not words[at][0].isupper():
        return None
    single = _CLASSIC.fullmatch(words[at]) is not None
    end = at + 1 if single else at + 2
    if end + 1 >= len(words) or not (single or _LOST_PAIR.fullmatch(" ".join(words[at:end]))):
        return None
    before = words[at - 1].lower()
    if before in _CONNECTIVES or before[-1] in ",;(/-–":
        return None
    if single:
        starts = words[end] in _STARTERS or words[end].lower().strip("®™,()") in names
        follows = starts and words[end + 1][0].islower()
    else:
        follows = words[end][0].isupper()
    if words[end - 1][-1] != ":" and not follows:
        return None
    printed = " ".join(words[at:end]).rstrip(":")
    return InlineHeading(at, end, printed, classify_heading(printed, food_effect=food_effect))

"""Find the headings in printed lines: what is bold, underlined or italic, stands alone, or ends with a colon.

The words of a heading are judged by the same rules as in flattened text; here the look tells where it ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trainables.corpora.drug_labels.headings import classify_heading, normalise_heading, qualifies_only
from trainables.corpora.drug_labels.inline_headings import InlineHeading, find_headings
from trainables.corpora.drug_labels.spl_lines import BREAK, ITEM, TITLE, Line, Run
from trainables.corpora.drug_labels.topics import is_process

_MAX_WORDS = 14  # of a marked heading that is known
_MAX_PLAIN_WORDS = 12
_MAX_UNKNOWN_WORDS = 8
_MAX_CLOSED_WORDS = 6  # of a heading that ends with a full stop
_LOOK_BACK, _LOOK_AHEAD = 40, 80  # characters
_WINDOW = 32  # runs
_MAX_LEAD = 300  # characters
_SEPARATORS = " \t:.-–—•"
_SENTENCE_END = re.compile(r"[.!?:][\"'”’)\]]*\s*$|\]\s*$|^\s*$")
_NUMBER = re.compile(r"\s*(?:[•●▪*·‒–-]|\(?\d{1,2}(?:\.\d{1,2})*[.)]?|\(?[a-z][.)])\s*", re.I)
_SENTENCE = re.compile(
    r"\b(is|was|were|are|has|have|had|been|did|does|do|may|can|should|showed|shown|that|which|who|when|increased"
    r"|decreased|see|refer)\b|^[\[(]",
    re.I,
)
_CAPTION = re.compile(r"\s*(?:table|figure|fig\.)\s*\d{1,2}[a-z]?\b\s*(?P<closed>[.:)–—-])?", re.I)
_TELLS = re.compile(
    r"\b(shows?|lists?|summari[sz]es?|presents?|provides?|displays?|illustrates?|below|above|are|is)\b"
)
_CONNECTIVE_END = re.compile(r"(?:\b(?:and|or|of|the|in|on|with|for|to)|[,/&])\s*$", re.I)


@dataclass(frozen=True)
class Heading:
    """A heading as printed, with its class, ``"mixed"``, or None where it is not known."""

    text: str
    label: str | None


@dataclass(frozen=True)
class Text:
    """Running text.

    Attributes
    ----------
    kind
        How its line begins: see :class:`trainables.corpora.drug_labels.spl_lines.Line`; ``break`` for text behind a
        heading.
    is_note
        It begins with a superscript or a symbol, as notes to a table do.
    doubt
        Label of the words of a heading that it begins with, though it reads as a sentence; else empty.
    """

    text: str
    kind: str
    is_note: bool = False
    doubt: str = ""


@dataclass(frozen=True)
class Caption:
    """The caption of a table or figure."""

    text: str


Piece = Heading | Text | Caption


def join_broken_headings(lines: Sequence[Line]) -> Iterator[Line]:
    """Yield the lines with headings that run over a line break ("Metabolism and" / "Excretion") in one."""
    pending: Line | None = None
    for line in lines:
        if pending is not None and line.kind == BREAK and _is_marked(line):
            line = Line((*pending.runs, Run(" ", pending.runs[-1].style), *line.runs), pending.kind)
        elif pending is not None:
            yield pending
        pending = None
        if _is_marked(line) and _CONNECTIVE_END.search(line.text):
            pending = line
        else:
            yield line
    if pending is not None:
        yield pending


def split_line(line: Line, names: frozenset[str], food_effect: str) -> list[Piece]:
    """Return the headings and the text of one printed line in reading order.

    Parameters
    ----------
    line
        Text with its look.
    names
        Lower-cased words of the product's and its substances' names: they are emphasised and start sentences.
    food_effect
        Class of text about food, see :func:`trainables.corpora.drug_labels.headings.classify_heading`.
    """
    if not line.text:
        return []
    if line.kind == TITLE:
        return _split_title(line.text, food_effect)
    caption = _CAPTION.match(line.text)
    if caption is not None and (
        caption["closed"] or _is_marked(line) or not (_TELLS.search(line.text) or line.text.endswith("."))
    ):
        return [Caption(line.text)]
    return list(_split_runs(list(line.runs), line.kind, names, food_effect))


def _split_title(text: str, food_effect: str) -> list[Piece]:
    label = classify_heading(text, food_effect=food_effect)
    head, colon, rest = text.partition(":")
    if label is None and colon and len(rest.split()) > 4:  # the paragraph got into the title
        label = classify_heading(head, food_effect=food_effect)
        if label is not None:
            return [Heading(head, label), Text(rest.strip(), BREAK)]
    return [Heading(text, label)]


def _is_marked(line: Line) -> bool:
    return all(run.style or not run.text.strip() for run in line.runs)


def _split_runs(runs: list[Run], kind: str, names: frozenset[str], food_effect: str) -> Iterator[Piece]:
    """Yield headings and the texts between them."""
    ahead = runs[
        ::-1
    ]  # the next run is the last; a window of them is enough to see a heading and what follows
    parts: list[str] = []
    before, raised, doubt = "", False, ""  # `before`: the end of the text so far
    while ahead:
        found = None
        is_blank = not _without_number(before).strip()
        if ahead[-1].style and ahead[-1].text.strip() and _may_follow(before):
            window = ahead[: -_WINDOW - 1 : -1]
            found = _marked_heading(window, names, food_effect, inside=not is_blank)
        if isinstance(found, tuple):
            heading, rest = found
            yield from _plain("".join(parts), kind, raised, doubt, names, food_effect)
            yield heading
            parts, before, raised, doubt, kind = [], "", False, "", BREAK
            ahead[-_WINDOW:] = rest[::-1]
            continue
        run = ahead.pop()
        if not before.strip():
            raised = run.raised
            doubt = found or ""
        parts.append(run.text)
        before = (before + run.text)[-_LOOK_BACK:]
    yield from _plain("".join(parts), kind, raised, doubt, names, food_effect)


def _may_follow(before: str) -> bool:
    """Tell whether a heading may stand behind this text: at the start, or behind a sentence."""
    return _SENTENCE_END.search(_without_number(before)) is not None


def _start_of(runs: list[Run]) -> str:
    """Return the first characters of the runs that are not white space, enough to see a word."""
    start = ""
    for run in runs:
        start = (start + run.text).lstrip()
        if len(start) >= _LOOK_AHEAD:
            break
    return start


def _without_number(text: str) -> str:
    return "" if len(text) < _LOOK_BACK and _NUMBER.fullmatch(text) else text


def _marked_heading(
    runs: list[Run], names: frozenset[str], food_effect: str, *, inside: bool
) -> tuple[Heading, list[Run]] | str | None:
    """Return the heading that these runs begin with and the runs behind it.

    A string is the label of a marked word that is a heading's but stands in a sentence; None is no heading.
    """
    # Runs of white space in between count as marked.
    unmarked = (i for i, run in enumerate(runs) if run.text.strip() and not run.style)
    n_marked = next(unmarked, len(runs))
    doubt = None
    for n in (n_marked, *_ends_of_looks(runs[:n_marked])):
        lead, rest = "".join(run.text for run in runs[:n]), runs[n:]
        if len(lead) > _MAX_LEAD:
            continue
        printed = " ".join(lead.split())
        following = _start_of(rest)
        label = classify_heading(printed, food_effect=food_effect)
        if label is not None and len(printed.split()) <= _MAX_WORDS:
            if _is_closed(printed, following) or _begins_sentence(following, names):
                return Heading(_trimmed(printed), label), _without_separator(rest)
            doubt = label
        head, colon, tail = lead.partition(":")
        label = classify_heading(head, food_effect=food_effect) if colon else None
        if label is not None and tail.strip():
            return Heading(_trimmed(head), label), _without_separator([Run(tail, runs[n - 1].style), *rest])
    lead, rest = "".join(run.text for run in runs[:n_marked]), runs[n_marked:]
    if doubt is None and len(lead) <= _MAX_LEAD and _may_be_unknown(lead, _start_of(rest), names, inside):
        return Heading(_trimmed(lead), None), _without_separator(rest)
    return doubt


def _ends_of_looks(runs: list[Run]) -> list[int]:
    """Return where the look changes within marked runs: an underlined heading may stand before an italic one."""
    return [i for i in range(len(runs) - 1, 0, -1) if runs[i].style != runs[i - 1].style]


def _is_closed(lead: str, following: str) -> bool:
    if not following or lead[-1] in ":-–—" or following[0] in ":–—" or following.startswith("- "):
        return True
    return lead[-1] == "." and len(lead.split()) <= _MAX_CLOSED_WORDS


def _begins_sentence(following: str, names: frozenset[str]) -> bool:
    first = following.split()[0]
    return first[0].isupper() or first[0].isdigit() or first.lower().strip("®™,()") in names


def _may_be_unknown(lead: str, following: str, names: frozenset[str], inside: bool) -> bool:
    """Tell whether marked words that no rule knows have the form of a heading."""
    words = lead.strip(_SEPARATORS).split()
    if (
        not words
        or len(words) > (_MAX_UNKNOWN_WORDS if following else _MAX_WORDS)
        or not words[0][0].isalnum()
        or _SENTENCE.search(lead)
    ):
        return False
    if not any(len(word) > 2 and word[0].isalpha() for word in words):
        return False
    closed_by_stop = lead.rstrip().endswith(".")
    if not following:
        return words[0][0].isupper() and not (closed_by_stop and len(words) > _MAX_CLOSED_WORDS)
    if _is_closed(lead.strip(), following) and not closed_by_stop:
        return words[0][0].isupper()
    if (
        inside
        or qualifies_only(lead)
        or words[0].lower().strip("®™,()") in names
        or not words[0][0].isupper()
    ):
        return False
    return len(normalise_heading(lead)) > 3 and following[0].isupper()


def _trimmed(heading: str) -> str:
    return " ".join(heading.split()).strip(_SEPARATORS)


def _without_separator(runs: list[Run]) -> list[Run]:
    for i, run in enumerate(runs):
        text = run.text.lstrip(_SEPARATORS)
        if text:
            return [Run(text, run.style, run.raised), *runs[i + 1 :]]
    return []


def _plain(
    text: str, kind: str, raised: bool, doubt: str, names: frozenset[str], food_effect: str
) -> Iterator[Piece]:
    """Yield text without a look: the headings in it are told by their place and punctuation alone."""
    words = text.split()
    if not words:
        return
    whole = _whole_line(words, kind, food_effect)
    if whole is not None:
        yield whole
        return
    start, is_note = 0, raised or words[0][0] in "*†‡§¶#"
    for found in find_headings(words, names, food_effect):
        if found.label is None or found.is_table:
            if found.is_table or found.start > 0 or kind == BREAK:
                continue  # "as follows:" inside a paragraph is no heading
        elif not _stands_out(words, found):
            continue
        if found.start > start:
            yield Text(" ".join(words[start : found.start]), kind, is_note, doubt)
        yield Heading(found.text.strip(_SEPARATORS), found.label)
        start, kind, is_note, doubt = found.end, BREAK, False, ""
    if start < len(words):
        yield Text(" ".join(words[start:]), kind, is_note, doubt)


def _stands_out(words: list[str], found: InlineHeading) -> bool:
    """Tell whether a known heading that nothing marks is closed by punctuation, or short and in title case."""
    if words[found.end - 1][-1] in ":-–—" or is_process(found.label):
        return True
    heading = found.text.split()
    titled = all(word[0].isupper() or len(word) <= 4 for word in heading)
    return titled and len(heading) <= _MAX_CLOSED_WORDS and found.text.count("(") == found.text.count(")")


def _whole_line(words: list[str], kind: str, food_effect: str) -> Heading | None:
    """Return a line that is a heading as a whole, though nothing marks it."""
    line = " ".join(words)
    first = _NUMBER.match(line + " ")
    body = line[first.end() :] if first is not None and first.end() < len(line) else line
    if len(words) > _MAX_PLAIN_WORDS or not body[:1].isupper():
        return None
    if not line.endswith(".") or len(words) <= 2:
        label = classify_heading(line, food_effect=food_effect)
        if label is not None:
            return Heading(_trimmed(line), label)
    unknown = len(words) <= _MAX_UNKNOWN_WORDS and line[-1].isalpha() and not _SENTENCE.search(line)
    titled = sum(word[0].isupper() for word in words) * 2 >= len(words)
    return Heading(_trimmed(line), None) if unknown and titled and kind not in (BREAK, ITEM) else None

"""Cut a flattened pharmacokinetics section into paragraphs, each with the class of the heading above it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from trainables.corpora.drug_labels.inline_headings import InlineHeading, find_headings
from trainables.corpora.drug_labels.topics import (
    INTRODUCTION,
    NO_HEADING,
    OUTSIDE,
    Paragraph,
    Topic,
    below_table,
    is_process,
    judge_text,
    next_topic,
)


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
    if not any(is_process(heading.label) for heading in headings):
        return [Paragraph(None, "", " ".join(words), NO_HEADING)] if words else []
    return list(_walk(words, headings, OUTSIDE if whole_chapter else INTRODUCTION))


def _walk(words: list[str], headings: list[InlineHeading], topic: Topic) -> Iterator[Paragraph]:
    first_process = next(heading.start for heading in headings if is_process(heading.label))
    position, above = 0, ""
    for heading in headings:
        if heading.start > position:
            text = " ".join(words[position : heading.start])
            yield judge_text(topic, above, text, before_processes=heading.start <= first_process)
        if heading.is_table:
            topic = below_table(topic)
        else:
            directly = heading.start == position
            topic = next_topic(topic, heading.text, heading.label, follows_directly=directly)
        position, above = heading.end, heading.text
    if position < len(words):
        yield judge_text(topic, above, " ".join(words[position:]), before_processes=False)

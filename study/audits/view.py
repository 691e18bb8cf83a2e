"""How an audit of augmentations is shown: its figures with their intervals, and examples side by side."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape
from rich.table import Table
from rich.text import Text

from study.terminal.tables import FittedTable
from trainables.interval import Interval

Pieces = list[tuple[str, bool]]  # text and whether it was changed; joined, they are the whole

MEANINGS = {
    "words_changed": "words substituted, inserted or deleted, in texts of at least 20 words",
    "unchanged": "augmentations equal to their source",
    "distinct": "augmentations of one text that differ from each other",
    "near_duplicates": "augmentations that nearly repeat an earlier one of the same text",
    "similarity": "mean cosine to the source, mean-pooled in the encoder's space",
    "label_agreement": "a classifier trained on other groups gives the augmentation its source's label",
    "source_agreement": "the same classifier gives the unchanged source its label",
    "agreement_change": "the paired difference of these two",
    "numerals_kept": "texts whose numerals all survive in order, with their units",
}
_PLAIN = frozenset({"similarity"})
_SIGNED = frozenset({"agreement_change"})


def heading(name: str) -> str:
    """Return a measure's name as people read it."""
    return name.replace("_", " ")


def shown(name: str, estimate: Mapping[str, Any]) -> str:
    """Write one measure; shares are per cent.

    Examples
    --------
    >>> shown("distinct", {"mean": 0.5, "low": 0.4, "high": 0.612, "n": 90})
    '50.0 % [40.0, 61.2]'
    >>> shown("similarity", {"mean": 0.9, "low": None, "high": None, "n": 1})
    '0.900 (n=1, no interval)'
    """
    is_share = name not in _PLAIN
    return Interval.from_json(estimate).text(
        signed=name in _SIGNED, digits=1 if is_share else 3, percent=is_share
    )


def audit_table(audits: Iterable[Mapping[str, Any]]) -> FittedTable:
    """Return the table of several audits, as :meth:`trainables.augment.audit.auditor.Audit.to_json` gives them."""
    measures = [name for name in MEANINGS if name != "source_agreement"]  # the same in every row
    table = FittedTable("operator", "strength", *map(heading, measures), box=None)
    for audit in audits:
        cells = (shown(name, audit[name]).replace(" [", "\n[") for name in measures)
        table.add_row(audit["operator"], f"{audit['strength']:g}", *cells)
    return table


def marked(before: str, after: str) -> tuple[Pieces, Pieces]:
    """Return two versions of a text, word by word, marking the fewest words whose removal and insertion explain both.

    Examples
    --------
    >>> marked("a red dose", "a blue dose")
    ([('a', False), (' red', True), (' dose', False)], [('a', False), (' blue', True), (' dose', False)])
    """
    from rapidfuzz.distance import Indel

    one, other = (re.findall(r"\s*\S+|\s+$", text) for text in (before, after))
    edits = Indel.editops([word.strip() for word in one], [word.strip() for word in other])
    taken_out = {edit.src_pos for edit in edits if edit.tag == "delete"}
    brought_in = {edit.dest_pos for edit in edits if edit.tag == "insert"}
    return (
        [(word, i in taken_out) for i, word in enumerate(one)],
        [(word, i in brought_in) for i, word in enumerate(other)],
    )


def example_table(examples: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> Table:
    """Return examples side by side: removed words in red, inserted words in green."""
    table = Table("", "source", "augmentation", show_lines=True, expand=True, header_style="dim")
    table.columns[0].overflow, table.columns[0].max_width = "fold", 20
    table.columns[1].ratio = table.columns[2].ratio = 1
    for example in examples:
        before, after = marked(example["source"], example["augmentation"])
        table.add_row(
            Text(classes[example["label"]], style="dim"), _coloured(before, "red"), _coloured(after, "green")
        )
    return table


def _coloured(pieces: Pieces, colour: str) -> Text:
    return Text.assemble(*((text, f"bold {colour}" if changed else "") for text, changed in pieces))


def examples_page(
    audit: Mapping[str, Any], examples: Sequence[Mapping[str, Any]], classes: Sequence[str]
) -> str:
    """Return a page with the figures of an audit and its examples, for MLflow's artifact viewer."""
    rows = Markup("").join(
        Markup("<tr><th scope='row'>{}</th><td>{}</td><td>{}</td></tr>\n").format(
            classes[example["label"]], *(_html(pieces, tag) for pieces, tag in zip(
                marked(example["source"], example["augmentation"]), ("del", "ins"), strict=True
            ))
        )
        for example in examples
    )  # fmt: skip
    found = Markup("").join(
        Markup("<tr><th scope='row'>{}</th><td>{}</td><td>{}</td></tr>\n").format(
            heading(name), shown(name, audit[name]), meaning
        )
        for name, meaning in MEANINGS.items()
    )
    title = escape(f"{audit['operator']} at strength {audit['strength']:g}")
    return str(
        Markup(
            "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'><meta name='color-scheme' content='light "
            "dark'><title>{0}</title>\n<style>body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; "
            "margin: 1rem auto; padding: 0 1rem; }} table {{ border-collapse: collapse; }} th, td {{ text-align: left; "
            "vertical-align: top; padding: .4rem 1rem .4rem 0; border-bottom: 1px solid #8886; }} del {{ color: "
            "#c02040; text-decoration-thickness: 1px; }} ins {{ color: #108040; text-decoration: none; font-weight: "
            "600; }}</style></head>\n<body><h1>{0}</h1>\n<table>{1}</table>\n<h2>Examples</h2>\n"
            "<table><tr><th></th><th>source</th><th>augmentation</th></tr>\n{2}</table></body></html>\n"
        ).format(title, found, rows)
    )


def _html(pieces: Pieces, tag: str) -> Markup:
    return Markup("").join(
        Markup("<{0}>{1}</{0}>").format(Markup(tag), text) if changed else escape(text)
        for text, changed in pieces
    )

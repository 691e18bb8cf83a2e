"""The report for a paper: Markdown, and every figure as an SVG file beside it; no corpus text enters them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from study.record.folder import write_atomically
from study.verdict.class_tables import ClassSection, class_sections
from study.verdict.comparison import Comparison
from study.verdict.figure import confirmed_figure, gain_figure
from study.verdict.score_figures import Drawing, score_figures
from study.verdict.study_page import StudyPage, page_figure, page_text
from study.verdict.svg import standalone
from study.verdict.trial_figures import cost_drawing, parallel_drawing
from study.verdict.what_mattered import load_what_mattered
from study.verdict.words import metric_name, ratio_phrase

_ON_SAMPLE = "generated sample corpus: means nothing about real texts"


def drawings(comparison: Comparison) -> Iterator[Drawing]:
    """Go through the figures of the report."""
    if comparison.confirmation is not None:
        yield Drawing("confirmed-gain", confirmed_figure(comparison.confirmation))
    yield Drawing("gain", gain_figure(comparison))
    for ratio in comparison.ratios:
        yield from filter(None, (cost_drawing(comparison, ratio), parallel_drawing(comparison, ratio)))
    for found in score_figures(comparison):
        yield from (*found.curves, *found.confusions, *found.reliabilities)


def write_figures(comparison: Comparison, folder: Path) -> list[str]:
    """Write the figures of the report as SVG files that stand on their own.

    Parameters
    ----------
    comparison
        The study.
    folder
        Where they go; it is made where there is any.

    Returns
    -------
    list
        Their names, in the order of the report.
    """
    note = _ON_SAMPLE if comparison.study["corpus"]["is_sample"] else ""
    files = []
    for drawing in drawings(comparison):
        if drawing.svg:
            files.append(f"{drawing.file}.svg")
            write_atomically(folder / files[-1], standalone(drawing.svg, note))
    return files


def export(page: StudyPage, folder: Path, command: str) -> Path:
    """Write the Markdown and the figures.

    Parameters
    ----------
    page
        The study, with what was published beside it.
    folder
        Where the files go.
    command
        The command that ran the study.

    Returns
    -------
    Path
        The Markdown file.
    """
    comparison = page.comparison
    files = write_figures(comparison, folder)
    write_atomically(folder / "gains.svg", page_figure(page))
    lines = [page_text(page, "gains.svg", command)]
    for section in class_sections(comparison):
        lines += _class_lines(section)
    for found in load_what_mattered(comparison.report.parent):
        lines += [f"## What mattered, {ratio_phrase(found.ratio)}", ""]
        lines += [
            f"Share of the variance of the gains over {found.trials} scored trials (functional ANOVA):",
            "",
        ]
        lines += [*(f"- {name}: {share:.0%}" for name, share in found.shares.items()), ""]
    lines += ["## Figures", "", *(f"![{file.removesuffix('.svg')}]({file})" for file in files)]
    path = folder / "report.md"
    write_atomically(path, "\n".join(lines) + "\n")
    return path


def _class_lines(section: ClassSection) -> Iterator[str]:
    for table in section.tables:
        yield f"## Each class on the {section.part} texts, {ratio_phrase(table.ratio)}"
        yield ""
        yield f"Vanilla → {section.other}, {table.replicates} replicates: difference [95 % interval]."
        yield ""
        yield f"| class | texts | {' | '.join(map(metric_name, section.metrics))} |"
        yield "|---" * (2 + len(section.metrics)) + "|"
        for name, row in table.rows.items():
            low, high = section.texts.get(name, (0, 0))
            texts = ("–" if name not in section.texts else f"{low:,}") + (f"–{high:,}" if high > low else "")
            cells = [
                f"{cell.vanilla.mean:.2f} → {cell.other.mean:.2f}: {cell.change.text(signed=True)}"
                if (cell := row.get(metric))
                else "–"
                for metric in section.metrics
            ]
            yield f"| {name.replace('|', chr(92) + '|')} | {texts} | {' | '.join(cells)} |"
        yield ""

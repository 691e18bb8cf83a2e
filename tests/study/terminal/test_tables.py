"""A table shows every name and figure at any width."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from study.terminal.tables import FittedTable

NAMES = ("post-hoc logit adjustment", "classifier re-training (cRT)")
GAIN = "+0.034 [−0.719, +0.786]"


def printed(table: FittedTable, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(table)
    assert all(len(line) <= width for line in console.file.getvalue().splitlines())
    return console.file.getvalue()


def compared(box=None) -> FittedTable:
    table = FittedTable("baseline", "gain over vanilla", "settings", words=("settings",), box=box)
    for name in NAMES:
        table.add_row(name, GAIN, "operator=random_delete strength=0.1")
    return table


def test_a_wide_terminal_gets_one_line_a_row():
    (line,) = [line for line in printed(compared(), 120).splitlines() if NAMES[0] in line]
    assert GAIN in line and line.endswith("strength=0.1")


def test_words_wrap_before_a_figure_is_torn_from_its_interval():
    narrow = printed(compared(), 70)
    assert "strength=0.1" in narrow
    assert narrow.count(GAIN) == 2 and narrow.splitlines()[0].split() == [
        "baseline",
        "gain",
        "over",
        "vanilla",
        "settings",
    ]
    assert "random_delete" in narrow


def test_rows_are_stacked_where_columns_do_not_fit():
    lines = [line.rstrip() for line in printed(compared(), 44).splitlines()]
    for name in NAMES:
        place = lines.index(name)
        assert lines[place + 1] == f"  gain over vanilla: {GAIN}"
        assert lines[place + 2].startswith("  settings: operator=random_delete")


def test_short_facts_share_a_line_of_a_stacked_row():
    table = FittedTable("class", "rows", "share", "groups", "mean", "longest")
    table.add_row("absorption", "269", "17.9%", "176", "43", "82")
    assert "rows: 269   share: 17.9%" in printed(table, 30)


def test_many_columns_become_rows():
    classes = [f"class_{number}" for number in range(120)]
    table = FittedTable("imbalance ratio", *classes, title="Rows", turns=True)
    table.add_row("0.1", *map(str, range(120)))
    table.add_row("natural", *map(str, range(1000, 1120)))
    rows = [line.replace("│", " ").split() for line in printed(table, 80).splitlines()]
    assert ["class_77", "77", "1077"] in rows and len([row for row in rows if len(row) == 3]) >= 120


@given(
    width=st.integers(12, 200),
    cells=st.lists(
        st.tuples(*[st.text("abc äß−0.1[], ", min_size=1, max_size=60)] * 3), min_size=1, max_size=4
    ),
    boxed=st.booleans(),
    turns=st.booleans(),
)
def test_no_character_is_lost_at_any_width(width, cells, boxed, turns):
    table = FittedTable(
        "name", "figure", "words", words=("words",), turns=turns, **({} if boxed else {"box": None})
    )
    for row in cells:
        table.add_row(*row)
    shown = printed(table, width)
    for letter in "äß01−[]":  # which no heading holds
        assert shown.count(letter) == sum(cell.count(letter) for row in cells for cell in row)
    assert "…" not in shown


@pytest.mark.parametrize("width", [20, 40, 60, 80])
def test_a_name_of_300_letters_is_folded(width):
    table = FittedTable("class", "rows")
    table.add_row("x" * 300, "12")
    shown = printed(table, width)
    assert shown.count("x") == 300 and "12" in shown


def test_markup_in_names_is_not_read():
    table = FittedTable("class", "rows")
    table.add_row("[red]loud[/nonsense]", "1")
    assert "[red]loud[/nonsense]" in printed(table, 80)

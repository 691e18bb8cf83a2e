"""Tables that show every cell on a terminal of any width."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from rich.box import HEAVY_HEAD, Box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

# A longer word (a class name of 300 letters, say) may be broken where the table would not fit otherwise.
_LONGEST_WHOLE_WORD = 30
_INDENT, _GAP = " " * 2, " " * 3  # of stacked rows


class FittedTable:
    """A table whose names and figures are never cut: where columns do not fit, words wrap, then its rows are stacked.

    Parameters
    ----------
    columns
        Headings.
    words
        The headings of columns that hold words and may wrap; the first column always may. A figure with its interval
        is never torn apart.
    title
        Title above the table.
    box
        Lines around the cells; None draws none.
    turns
        Whether rows and columns may change places where the table is too wide: for tables of alike figures.
    """

    def __init__(
        self,
        *columns: str,
        words: Collection[str] = (),
        title: str | None = None,
        box: Box | None = HEAVY_HEAD,
        turns: bool = False,
    ) -> None:
        self._columns = columns
        self._words = {columns[0], *words}
        self._title = title
        self._box = box
        self._turns = turns
        self._rows: list[tuple[tuple[str, ...], str]] = []

    def add_row(self, *cells: str, style: str = "") -> None:
        """Add a row; markup in its cells is not read, because users choose names."""
        self._rows.append((cells, style))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the widest form that fits: the table, the table turned, its rows one below the other."""
        for table in (self, self._turned()) if self._turns else (self,):
            widths = table._widths(options.max_width)
            if widths is not None:
                yield table._drawn(widths)
                return
        yield from self._stacked(options.max_width)

    def _widths(self, available: int) -> list[int] | None:
        """Return the widths of the columns, or None where they do not fit."""
        every, least = [], []
        for place, column in enumerate(self._columns):
            cells = [cells[place] for cells, _ in self._rows]
            every.append(max(_width(cell) for cell in (column, *cells)))
            if column in self._words:
                least.append(max(_width_in_words(cell) for cell in (column, *cells)))
            else:
                least.append(max([_width_in_words(column), *map(_width, cells)]))
        # Between and around columns: two blanks behind each, or a line and a blank on each side.
        spare = available - (2 * len(every) if self._box is None else 3 * len(every) + 1) - sum(least)
        if spare < 0:
            return None
        wanted = [most - few for most, few in zip(every, least, strict=True)]
        share = min(1.0, spare / (sum(wanted) or 1))
        return [few + int(share * more) for few, more in zip(least, wanted, strict=True)]

    def _drawn(self, widths: Iterable[int]) -> Table:
        open_sided = self._box is None
        table = Table(
            box=self._box,
            title=None if self._title is None else Text(self._title, style="table.title"),
            title_justify="left",
            header_style="dim" if open_sided else None,
            pad_edge=not open_sided,
            padding=(0, 2, 0, 0) if open_sided else (0, 1),
        )
        for place, (column, width) in enumerate(zip(self._columns, widths, strict=True)):
            to_the_right = not open_sided and place > 0 and column not in self._words
            table.add_column(
                Text(column), width=width, overflow="fold", justify="right" if to_the_right else "left"
            )
        for cells, style in self._rows:
            table.add_row(*map(Text, cells), style=style)
        return table

    def _turned(self) -> FittedTable:
        cells = [self._columns, *(cells for cells, _ in self._rows)]
        first, *others = zip(*cells, strict=True)
        turned = FittedTable(*first, words=first, title=self._title, box=self._box)
        for other in others:
            turned.add_row(*other)
        return turned

    def _stacked(self, available: int) -> RenderResult:
        if self._title is not None:
            yield Text(self._title, style="italic")
        for (name, *cells), style in self._rows:
            yield Text(name, style=f"bold {style}", overflow="fold")
            line = Text(overflow="fold")
            for column, cell in zip(self._columns[1:], cells, strict=True):
                item = Text.assemble((f"{column}: ", "dim"), " ".join(cell.split("\n")))
                if line and line.cell_len + len(_GAP) + item.cell_len + len(_INDENT) > available:
                    yield Padding(line, (0, 0, 0, len(_INDENT)), expand=False)
                    line = Text(overflow="fold")
                line = Text.assemble(line, _GAP, item, overflow="fold") if line else item
            yield Padding(line, (0, 0, 0, len(_INDENT)), expand=False)


def _width(text: str) -> int:
    return max((cell_len(line) for line in text.split("\n")), default=0)


def _width_in_words(text: str) -> int:
    return min(_LONGEST_WHOLE_WORD, max((cell_len(word) for word in text.split()), default=0))

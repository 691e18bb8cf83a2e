"""Tables that lay out running text: a heading in one cell, its paragraph beside, below or behind it."""

from __future__ import annotations

from trainables.corpora.drug_labels.marked_headings import Heading, Piece, Text, split_line
from trainables.corpora.drug_labels.spl_lines import Line, Table
from trainables.corpora.drug_labels.topics import reads_as_text

_MIN_WORDS = 6  # of a cell that is a paragraph

_Cell = tuple[Line, ...]


def table_pieces(table: Table, names: frozenset[str], food_effect: str) -> list[Piece]:
    """Return the headings of a table with their texts; nothing where it is a table of data.

    Three layouts are known: the whole text in one column, heading and text side by side in a row, and a row of
    headings above a row of texts. All other cells are passed over.
    """

    def pieces_of(cell: _Cell) -> list[Piece]:
        return [piece for line in cell for piece in split_line(line, names, food_effect)]

    rows = [[pieces_of(cell) for cell in row] for row in table.rows]
    if all(len(row) == 1 for row in rows):
        column = [piece for row in rows for piece in row[0]]
        headed = any(isinstance(piece, Heading) and piece.label for piece in column)
        return column if headed and any(_is_paragraph([piece]) for piece in column) else []
    found: list[Piece] = []
    for row, below in zip(rows, [*rows[1:], []], strict=True):
        if all(_heading_of(cell) for cell in row) and len(row) == len(below) > 1:
            if all(_is_paragraph(cell) for cell in below):
                found += [piece for head, body in zip(row, below, strict=True) for piece in (*head, *body)]
        elif len(row) == 2 and _heading_of(row[0]) and _is_paragraph(row[1]):
            found += [*row[0], *row[1]]
        else:
            found += [piece for cell in row if _is_headed(cell) for piece in cell]
    return found


def _heading_of(cell: list[Piece]) -> bool:
    return len(cell) == 1 and isinstance(cell[0], Heading) and cell[0].label is not None


def _is_headed(cell: list[Piece]) -> bool:
    return len(cell) > 1 and _heading_of(cell[:1]) and _is_paragraph(cell[1:])


def _is_paragraph(cell: list[Piece]) -> bool:
    words = [word for piece in cell if isinstance(piece, Text) for word in piece.text.split()]
    return len(words) >= _MIN_WORDS and words[-1][-1] in ".])" and reads_as_text(words)

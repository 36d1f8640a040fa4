"""Small cells of a table of counts: suppressed, and others with them, so that no total tells them. Pure.

A count below k is suppressed (primary suppression); where it is the only one of its row or column, the total
would give it away, so that another cell is suppressed too (complementary suppression: Handbook on Statistical
Disclosure Control, https://sdctools.github.io/HandbookSDC/04-magnitude-tabular-data.html). Not computed here:
how close the totals bound a hidden cell.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """Counts by row and column with totals; None is a suppressed cell. A row or column may be empty (0)."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[int | None, ...], ...]
    row_totals: tuple[int, ...]
    column_totals: tuple[int, ...]


def protected(counts: Mapping[tuple[str, str], int], *, k: int) -> Table | None:
    """Return the table of `counts` by (row, column), with small cells suppressed.

    In every row and column either no cell is suppressed, or at least two are, which together hold at least
    `k`. None where that takes a total below k with it: then no table can be shown.
    """
    rows = tuple(sorted({row for row, _ in counts}))
    columns = tuple(sorted({column for _, column in counts}))
    cells = [[counts.get((row, column), 0) for column in columns] for row in rows]
    if not cells or any(0 < total < k for total in (*map(sum, cells), *map(sum, zip(*cells, strict=True)))):
        return None
    hidden = {(at, to) for at, line in enumerate(cells) for to, count in enumerate(line) if 0 < count < k}
    lines = [[(at, to) for to in range(len(columns))] for at in range(len(rows))]
    lines += [[(at, to) for at in range(len(rows))] for to in range(len(columns))]
    while True:
        lacking = next((line for line in lines if _tells(line, hidden, cells, k)), None)
        if lacking is None:
            break
        open_cells = [each for each in lacking if each not in hidden]
        if not open_cells:
            return None
        # the smallest that is not empty tells least; an empty one only where nothing else is left
        hidden.add(min(open_cells, key=lambda each: (cells[each[0]][each[1]] == 0, cells[each[0]][each[1]])))
    return Table(
        rows,
        columns,
        tuple(
            tuple(None if (at, to) in hidden else count for to, count in enumerate(line))
            for at, line in enumerate(cells)
        ),
        tuple(sum(line) for line in cells),
        tuple(sum(column) for column in zip(*cells, strict=True)),
    )


def _tells(
    line: Sequence[tuple[int, int]], hidden: set[tuple[int, int]], cells: Sequence[Sequence[int]], k: int
) -> bool:
    """Say whether the total of `line` tells what is hidden in it."""
    found = [cells[at][to] for at, to in line if (at, to) in hidden]
    return bool(found) and (len(found) < 2 or sum(found) < k)  # noqa: PLR2004 - two hide one another

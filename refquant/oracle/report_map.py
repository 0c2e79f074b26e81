"""Where an output is wrong, as a picture: the last two axes as a grid, a panel for each slice.

A vector is laid out in rows. A plane of more than CELLS rows or columns is drawn in blocks, in a
stronger colour the more of a block is wrong. Of more than PANELS slices a first panel has a square
each, and only some follow that have wrong elements. What is left out or stands for more is said.
"""

import math
from dataclasses import dataclass
from html import escape

import numpy as np

from refquant._types import Array
from refquant.oracle.axes import axis_label
from refquant.oracle.wrong import Wrong

CELLS, PANELS, FOLLOWING = 64, 12, 6
LONG = 512  # a vector beyond it has 64 elements a row in place of 32
ROOM, TOP, DIGIT = 300, 16, 6  # pixels: a row of cells, the numbers of columns, a digit
SHADES, FINE = 4, 6


@dataclass(frozen=True)
class Panel:
    """One picture: how many elements each cell stands for, how many of these are wrong.

    Attributes
    ----------
    wrong, held : Array
        (rows, columns); `held` is 0 behind the end of a vector.
    step : (int, int)
        By how much the index grows from row to row, and from column to column.
    start : str
        The index of the slice, "" if there is one only.
    """

    wrong: Array
    held: Array
    step: tuple[int, int]
    start: str = ""


def index_map(wrong: Wrong, names: tuple[str, ...]) -> str:
    """Return the panels of an output's wrong elements, and a caption, as HTML.

    Parameters
    ----------
    wrong : Wrong
        Of an output with at least one axis.
    names : tuple of str
        Of its axes, "" where there is none.
    """
    panels, left_out = slices(wrong.mask)
    room = ROOM if len(panels) == 1 else ROOM // 2 - 30
    drawn = "".join(_figure(panel, room) for panel in panels)
    notes = [_layout(wrong, names, panels[-1]), *filter(None, [left_out])]
    if not wrong.complete:
        notes.append(f"only the first {len(wrong.at)} of {wrong.count} wrong elements are drawn")
    return (
        f'<figure><div class="panels">{drawn}</div>'
        f"<figcaption>{escape('; '.join(notes))}</figcaption></figure>"
    )


def slices(mask: Array) -> tuple[list[Panel], str]:
    """Return the panels of a mask, and what is said where they are not one for each slice."""
    if mask.ndim == 1:
        return [_vector(mask)], ""
    planes = mask.reshape(-1, *mask.shape[-2:])
    many, hit = len(planes), np.flatnonzero(planes.any(axis=(1, 2)))
    shown = range(many) if many <= PANELS else hit[:FOLLOWING].tolist()
    found = []
    for i in shown:
        at = ", ".join(str(j) for j in np.unravel_index(i, mask.shape[:-2]))
        found.append(_plane(planes[i], f"[{at}]" if many > 1 else ""))
    if len(shown) == many:
        return found, ""
    says = f"a square for each of {many} slices; {len(shown)} of the {len(hit)} with wrong elements"
    return [_overview(mask), *found], says


def _plane(mask: Array, start: str) -> Panel:
    """Return a panel of a plane, in blocks if it is large."""
    down, across = (-(-size // CELLS) for size in mask.shape)
    wrong = _blocks(mask, down, across)
    held = _blocks(np.ones_like(mask), down, across)
    return Panel(wrong, held, (down, across), start)


def _overview(mask: Array) -> Panel:
    """Return a panel with a cell for each slice: the axes before the last two."""
    area, columns = math.prod(mask.shape[-2:]), mask.shape[-3]
    wide = mask.reshape(-1, columns * area)
    down, across = -(-len(wide) // CELLS), -(-columns // CELLS)
    wrong = _blocks(wide, down, across * area)
    return Panel(wrong, _blocks(np.ones_like(wide), down, across * area), (down, across), "slices")


def _vector(mask: Array) -> Panel:
    """Return a panel of a vector, cut into rows."""
    wrap = CELLS if len(mask) > LONG else CELLS // 2
    each = -(-len(mask) // (CELLS * wrap))
    columns = min(wrap, -(-len(mask) // each))
    rows = -(-len(mask) // (columns * each))
    both = np.zeros((2, rows * columns * each), bool)
    both[0, : len(mask)], both[1, : len(mask)] = mask, True
    wrong, held = np.count_nonzero(both.reshape(2, rows, columns, each), axis=3)
    return Panel(wrong, held, (columns * each, each))


def _blocks(mask: Array, down: int, across: int) -> Array:
    """Count the True elements of each block."""
    rows, columns = (-(-size // n) for size, n in zip(mask.shape, (down, across), strict=True))
    padded = np.zeros((rows * down, columns * across), bool)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    return np.asarray(np.count_nonzero(padded.reshape(rows, down, columns, across), axis=(1, 3)))


def _layout(wrong: Wrong, names: tuple[str, ...], panel: Panel) -> str:
    """Say what rows, columns and cells are."""
    (down, across), many = panel.step, "a square stands for {}, stronger: more wrong"
    if len(wrong.shape) == 1:
        texts = [f"{names[0]}: {wrong.size} elements" if names[0] else f"{wrong.size} elements"]
        texts += [f"{down} a row"] if down < wrong.size else []
        return "; ".join([*texts, *([many.format(across)] if across > 1 else [])])
    axes = [f"{axis_label(names, axis)} ({size})" for axis, size in enumerate(wrong.shape)]
    texts = [f"slices: {', '.join(axes[:-2])}"] if axes[:-2] else []
    texts.append(f"rows: {axes[-2]}, columns: {axes[-1]}")
    texts += [many.format(f"{down} x {across}")] if down * across > 1 else []
    return "; ".join(texts)


def _figure(panel: Panel, room: int) -> str:
    rows, columns = panel.wrong.shape
    cell = max(3, min(16, room // columns))
    left = 8 + DIGIT * max(2, len(str((rows - 1) * panel.step[0])))
    width, height = left + columns * cell + 1, TOP + rows * cell + 1
    cells = np.count_nonzero(panel.wrong), np.count_nonzero(panel.held)
    title = f"{panel.start or 'Index map'}: {cells[0]} of {cells[1]} squares have wrong elements"
    caption = f"<span>{panel.start}</span>" if panel.start else ""
    return (
        f'<div>{caption}<svg class="map" role="img" aria-label="{title}" '
        f'width="{width}" height="{height}" viewBox="{-left} {-TOP} {width} {height}">'
        f"<title>{title}</title>"
        f'<path class="ground" d="{_runs(panel.held > 0, cell)}"/>{_shades(panel, cell)}'
        f"{_lines(rows, columns, cell)}{_ticks(panel, cell)}</svg></div>"
    )


def _shades(panel: Panel, cell: int) -> str:
    """Draw wrong cells, in a shade for each quarter of a block that is wrong."""
    quarter = -(-SHADES * panel.wrong // np.maximum(panel.held, 1))
    drawn = ((shade, _runs(quarter == shade, cell)) for shade in range(1, SHADES + 1))
    return "".join(
        f'<path class="wrong" fill-opacity="{shade / SHADES:.2f}" d="{path}"/>'
        for shade, path in drawn
        if path
    )


def _runs(cells: Array, size: int) -> str:
    """Return a path around the cells that are True, neighbours in a row as one."""
    path = []
    for row, line in enumerate(cells):
        edges = np.flatnonzero(np.diff(np.concatenate(([0], line.astype(np.int8), [0]))))
        for start, stop in edges.reshape(-1, 2).tolist():
            wide = (stop - start) * size
            path.append(f"M{start * size} {row * size}h{wide}v{size}h-{wide}z")
    return "".join(path)


def _lines(rows: int, columns: int, cell: int) -> str:
    """Return the lines between cells, where these are large enough."""
    if cell < FINE:
        return ""
    across = (f"M0 {row * cell}h{columns * cell}" for row in range(rows + 1))
    down = (f"M{column * cell} 0v{rows * cell}" for column in range(columns + 1))
    return f'<path class="lines" d="{"".join((*across, *down))}"/>'


def _ticks(panel: Panel, cell: int) -> str:
    """Number some rows and columns."""
    (rows, columns), (down, across) = panel.wrong.shape, panel.step
    marks = [
        f'<text x="{(column + 0.5) * cell}" y="-4">{column * across}</text>'
        for column in range(0, columns, _every(columns, cell, 20))
    ]
    marks += [
        f'<text class="row" x="-4" y="{(row + 0.5) * cell + 3}">{row * down}</text>'
        for row in range(0, rows, _every(rows, cell, 12))
    ]
    return "".join(marks)


def _every(count: int, cell: int, room: int) -> int:
    """Return the power of two at which numbers have `room` pixels each."""
    step = 1
    while step * cell < room and step < count:
        step *= 2
    return step

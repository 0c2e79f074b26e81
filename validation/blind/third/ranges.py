"""Wrong versions of range_to_qparams, the observers and percentile_range, as vector code errs."""

import numpy as np

from validation.blind.third.common import grid_ends

LANES = 8


@np.errstate(all="ignore")
def _affine_zero_point(a, b, s, top, bug):
    """Return the code of 0 of an affine range."""
    if bug == "zero_point_early":
        raw = np.where(b > a, -np.rint(a * (top / (b - a))), 0.0)
    elif bug == "half_up":
        raw = np.floor(-a / s + 0.5)
    else:
        raw = -np.rint(a / s)
    return np.clip(raw, 0, top)


def range_to_qparams(inputs, attrs, bug=""):
    """Find the step and the zero point that cover a range."""
    lo, hi = (np.asarray(inputs[name], np.float64) for name in ("lo", "hi"))
    n, p = grid_ends(attrs["bits"], attrs["grid"])
    zero_point = np.zeros(lo.shape)
    if attrs["grid"] == "affine":
        a, b = np.minimum(lo, 0), np.maximum(hi, 0)
        s = np.maximum((b - a) / p, attrs["eps"])
        zero_point = _affine_zero_point(a, b, s, p, bug)
    elif attrs["grid"] == "unsigned":
        s = np.maximum(hi, 0) / p
    elif attrs["divisor"] == "amct":
        s = np.maximum(hi / p, lo / n)
    elif attrs["divisor"] == "p":
        s = np.maximum(-lo, hi) / p
    else:
        half = (p - n) >> 1 if bug == "shifted_half" else (p - n) / 2
        s = np.maximum(-lo, hi) / half
    s = np.maximum(s, attrs["eps"])
    return {"s": np.asarray(s), "zero_point": np.asarray(zero_point).astype(np.int64)}


def _rows(batches, axis):
    """Arrange batches as (t, c, values of one range)."""
    batches = np.asarray(batches, np.float64)
    if axis is None:
        return batches.reshape(len(batches), 1, -1)
    batches = np.moveaxis(batches, axis + 1, 1)
    return batches.reshape(*batches.shape[:2], -1)


def _answer(lo, hi, axis):
    """Return both ends, without the axis of ranges if there is one range."""
    if axis is None:
        lo, hi = lo[0], hi[0]
    return {"lo": np.asarray(lo), "hi": np.asarray(hi)}


def _by_lane(rows, combine):
    """Combine the batches in every lane, and reduce over the lanes only then."""
    lanes = range(min(LANES, rows.shape[-1]))
    lo = [combine(rows[..., i::LANES].min(-1)) for i in lanes]
    hi = [combine(rows[..., i::LANES].max(-1)) for i in lanes]
    return np.min(lo, axis=0), np.max(hi, axis=0)


def minmax_observer(inputs, attrs, bug=""):
    """Find the smallest and the largest value of all batches."""
    rows = _rows(inputs["batches"], attrs["axis"])
    if bug == "zeroed_tail" and rows.shape[-1] % LANES:
        rows = np.concatenate([rows, np.zeros((*rows.shape[:2], 1))], axis=-1)
    elif bug == "pairs" and len(rows) % 2 == 0:
        rows = rows[:-1]
    return _answer(rows.min((0, 2)), rows.max((0, 2)), attrs["axis"])


def ema_observer(inputs, attrs, bug=""):
    """Average the batches' ranges with exponentially falling weights."""
    rows, m = _rows(inputs["batches"], attrs["axis"]), attrs["momentum"]

    def combine(values):
        """Average over the first axis."""
        state = values[0] * (1 - m if bug == "closed_weights" else 1.0)
        for value in values[1:]:
            state = m * state + (1 - m) * value
        return state

    if bug == "late_reduction":
        lo, hi = _by_lane(rows, combine)
    else:
        lo, hi = combine(rows.min(-1)), combine(rows.max(-1))
    return _answer(lo, hi, attrs["axis"])


def avg_observer(inputs, attrs, bug=""):
    """Average the batches' minima, and their maxima."""
    rows = _rows(inputs["batches"], attrs["axis"])
    lo, hi = rows.min(-1), rows.max(-1)
    if bug == "registers_at_zero":
        lo, hi = np.minimum(lo, 0), np.maximum(hi, 0)
    lo, hi = lo.mean(0), hi.mean(0)
    if bug == "late_reduction":
        lo, hi = _by_lane(rows, lambda values: values.mean(0))
    return _answer(lo, hi, attrs["axis"])


def _order_statistics(row, q, bug):
    """Return the two order statistics of rule ppq."""
    count = row.size
    low, high = int(count * (1 - q)), min(int(count * q), count - 1)
    if bug == "single_precision":
        q = np.float32(q)
        low = int(np.float32(count) * (np.float32(1) - q))
        high = min(int(np.float32(count) * q), count - 1)
    elif bug == "basis_points":
        parts = int(np.rint(q * 10000))
        low, high = count * (10000 - parts) // 10000, min(count * parts // 10000, count - 1)
    elif bug == "mirrored":
        low = count - 1 - high
    return row[min(low, count - 1)], row[high]


def _at(row, position):
    """Interpolate in a sorted row at a real position."""
    i = min(int(position), row.size - 1)
    t = position - i
    return row[i] + t * (row[i + 1] - row[i]) if t > 0 else row[i]


def percentile_range(inputs, attrs, bug=""):
    """Find the range that holds all but the outermost values."""
    rows = np.sort(_rows(np.asarray(inputs["x"])[None], attrs["axis"])[0])
    q, last = attrs["q"], rows.shape[-1] - 1
    if attrs["rule"] == "ppq":
        pairs = [_order_statistics(row, q, bug) for row in rows]
    else:
        if bug == "basis_points":
            q = np.rint(q * 10000) / 10000
        pairs = [(_at(row, last * (1 - q)), _at(row, last * q)) for row in rows]
    lo, hi = np.array(pairs).T
    return _answer(lo, hi, attrs["axis"])


OPS = {
    "range_to_qparams": range_to_qparams,
    "minmax_observer": minmax_observer,
    "ema_observer": ema_observer,
    "avg_observer": avg_observer,
    "percentile_range": percentile_range,
}

BUGS = [
    ("range_to_qparams", "zero_point_early", "divides by the step before it is raised to eps"),
    ("range_to_qparams", "half_up", "rounds the zero point by floor(t + 1/2), not ties to even"),
    ("range_to_qparams", "shifted_half", "halves p - n by a shift: 127 for 127.5 on signed grids"),
    ("minmax_observer", "zeroed_tail", "zeros in the unused lanes of the tail join the range"),
    ("minmax_observer", "pairs", "takes batches by two and drops the last of an even number"),
    ("ema_observer", "closed_weights", "weights (1 - m) m^k, also for the first batch"),
    ("ema_observer", "late_reduction", "averages each lane's range, reduces over lanes at the end"),
    ("avg_observer", "registers_at_zero", "each batch's registers start at 0, which joins it"),
    ("avg_observer", "late_reduction", "averages each lane's range, reduces over lanes at the end"),
    ("percentile_range", "single_precision", "positions in float32: 1 - 0.9999 is above 0.0001"),
    ("percentile_range", "basis_points", "holds q in whole 1/10000, so that 0.99999 is 1"),
    ("percentile_range", "mirrored", "takes the lower index as the mirror of the upper"),
]

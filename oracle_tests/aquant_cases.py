"""Inputs for the tests of AQuant's border, and an independent forward that can be frozen.

`Frozen` evaluates methods 13.3 at a point and remembers the rounding residual and every mask;
its `output` is then a smooth function of x, s and the parameters, whose ordinary derivative is what
methods 13.4 calls the straight-through gradient.
"""

import itertools
from fractions import Fraction

import numpy as np
from scipy.special import expit

from oracle_tests.exact_lists import fractions_of
from refquant.oracle.exact import aquant as twin
from refquant.quantizers.border import BorderParams
from refquant.quantizers.border_options import BorderOptions
from refquant.quantizers.grid import Grid, make_qparams

FUSES = ["none", "bound_fuse", "fuse_bound", "centred"]
BOUNDS = [("sigmoid", "outer"), ("sigmoid", "inner"), ("clip", "outer")]
SWITCHES = [
    {"border_mask": mask, "gate": gate, "mask": clip, "detach_border_input": detach, "degree": d}
    for mask, gate, clip, detach, d in itertools.product(
        ["closed", "open"], ["literal", "support"], ["rounded", "unrounded"], [False, True], [1, 2]
    )
]


def params_of(rng, shape, options, draw, dtype=np.float64):
    """Parameters with coefficients from draw(rng, shape), fusion weights around 1 (some < 0)."""
    b0, b1, b2 = (draw(rng, shape).astype(dtype) for _ in range(3))
    fused = options.fuse != "none" and shape[1] > 1 and options.fusion_weights == "learned"
    fusion = (1.0 + 4.0 * draw(rng, shape)).astype(dtype) if fused else None
    return BorderParams(b0, b1, b2 if options.degree == 2 else None, fusion)


def real_case(seed, options, taps=3, channels=2):
    """x around a 2-bit affine grid with clipped, saturated and open elements; qparams; params."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0.6, 1.2, (3, channels * taps, 4))
    params = params_of(rng, (channels, taps), options, lambda r, s: r.normal(0, 0.35, s))
    return rng, x, make_qparams(0.55, 1, Grid("affine", 2)), params


def dyadic_case(rng, options, taps, dtype):
    """Few-bit numbers: every sum and product of forward and backward is exact in float32."""
    step = 2.0 ** rng.integers(-2, 3)
    zero = int(rng.integers(0, 4))
    shape = (2, 2 * taps, 3)
    x = (step * rng.integers(-9, 10, shape) / 2).astype(dtype)
    x[rng.random(shape) < 0.2] = 0.0
    quarters = lambda r, s: r.integers(-2, 3, s) / 4  # noqa: E731
    params = params_of(rng, (2, taps), options, quarters, dtype)
    d_x_hat = (rng.integers(-2, 3, shape) / 2).astype(dtype)
    return x, make_qparams(dtype(step), zero, Grid("affine", 2)), params, d_x_hat


def twin_arguments(qparams, params, options, a=1, exact=True):
    """(taps per channel, range, options) of the scalar twin."""
    lists = fractions_of if exact else (lambda array: np.asarray(array).tolist())
    columns = [None if b is None else lists(b) for b in params]
    taps = [
        twin.Taps(*(None if b is None else b[c] for b in columns))
        for c in range(params.b0.shape[0])
    ]
    n, p = qparams.grid.limits(int(qparams.zero_point.item()))
    step = qparams.step.item()
    names = ("bound", "scale", "kappa", "fuse", "border_mask", "gate", "mask")
    chosen = twin.Options(
        **{name: getattr(options, name) for name in names}, detach=options.detach_border_input
    )
    return taps, twin.Range(Fraction(step) if exact else step, n, p, a), chosen


def nested(array, taps, exact=True):
    """(n, c k, ...) as lists [image][channel][tap][window] of Fractions or floats."""
    folded = array.reshape(array.shape[0], array.shape[1] // taps, taps, -1)
    return fractions_of(folded) if exact else folded.tolist()


class Frozen:
    """Methods 13.3 at (x, s, params), with residual and masks kept for other arguments."""

    def __init__(self, x, s, params, options, a, ends):
        self.o, self.a, self.ends = options, a, ends
        self.shape = params.b0.shape
        self.record = {}
        self.u0 = self._fold(x) / s
        self.b_0 = self._border(self.u0, params, base=True)
        f = self.u0 - np.floor(self.u0)
        r0 = np.floor(self.u0) + (f > self.b_0)
        self.residual = r0 - (self.u0 - self.b_0)
        v0 = self.u0 + a * (r0 - self.u0)
        n, p = ends
        seen = v0 if options.mask == "rounded" else self.u0
        self.inside = (seen >= n) & (seen <= p)
        self.t0 = np.clip(v0, n, p)
        self.live = (self.u0 > n) & (self.u0 < p) | (options.gate == "literal")

    def output(self, x, s, params):
        """x_hat with the rounding residual and every mask as they were at the start."""
        u = self._fold(x) / s
        border = self._border(self.u0 if self.o.detach_border_input else u, params)
        border = np.where(self.live, border, self.b_0)
        r = u - border + self.residual
        v = u + self.a * (r - u)
        t = np.where(self.inside, v, self.t0)
        return (s * t).reshape(x.shape)

    def _fold(self, x):
        return x.reshape(x.shape[0], *self.shape, -1)

    def _border(self, u, params, base=False):
        b0, b1, b2, alpha = (None if b is None else b[:, :, None] for b in params)
        p = b0 + b1 * u + (0.0 if b2 is None else b2 * u**2)
        taps = self.shape[1]
        weight = 1.0 if alpha is None else alpha
        if self.o.fuse == "none" or taps == 1:
            return self._clipped("E", self._raw(p), base)
        if self.o.fuse == "fuse_bound":
            mean = (weight * p).sum(2, keepdims=True) / taps
            return self._clipped("Q", self._raw(mean), base) + 0.0 * u
        e = self._clipped("E", self._raw(p), base)
        centre = 0.5 if self.o.fuse == "centred" else 0.0
        mean = centre + (weight * (e - centre)).sum(2, keepdims=True) / taps
        return self._clipped("F", mean, base) + 0.0 * u

    def _raw(self, p):
        if self.o.bound == "clip":
            return 0.5 + p
        if self.o.scale == "inner":
            return expit(self.o.kappa * p)
        return 0.5 + self.o.kappa * (expit(p) - 0.5)

    def _clipped(self, key, raw, base):
        if base:
            self.record[key] = raw
            return np.clip(raw, 0.0, 1.0)
        start = self.record[key]
        if self.o.border_mask == "open":
            return raw + (np.clip(start, 0.0, 1.0) - start)
        return np.where((start >= 0.0) & (start <= 1.0), raw, np.clip(start, 0.0, 1.0))


def options_of(fuse, bound, switches):
    return BorderOptions(fuse=fuse, bound=bound[0], scale=bound[1], **switches)

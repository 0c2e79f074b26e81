"""Right implementations that compute differently: none of them may ever be blamed.

Each runs the plain NumPy ops on arrays that carry out sums, products and quotients in another way,
as other machines do: other orders of summation, the reciprocal in place of a division, fused
multiply-add, and matrices rounded to the formats of tensor cores, accumulated in float32.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.op import Arrays, Attrs, Inputs, Op

Sum = Callable[[Array], Array]  # along the last axis
BLOCK = 8


def forwards(terms: Array) -> Array:
    """Add one term after the other."""
    total = np.zeros(terms.shape[:-1], terms.dtype)
    for i in range(terms.shape[-1]):
        total = total + terms[..., i]
    return np.asarray(total)


def backwards(terms: Array) -> Array:
    """Add the terms from the last to the first."""
    return forwards(terms[..., ::-1])


def pairwise(terms: Array) -> Array:
    """Halve until one term is left."""
    n = terms.shape[-1]
    if n <= 1:
        return forwards(terms)
    return np.asarray(pairwise(terms[..., : n // 2]) + pairwise(terms[..., n // 2 :]))


def blocked(terms: Array) -> Array:
    """Add blocks of eight, then the sums of the blocks: a vector unit."""
    parts = [forwards(terms[..., i : i + BLOCK]) for i in range(0, terms.shape[-1], BLOCK)]
    return forwards(np.stack(parts, axis=-1)) if parts else forwards(terms)


class Machine(np.ndarray[Any, Any]):
    """An array whose ufuncs compute as another machine does; see `ways`."""

    sum_of: Sum | None
    fused: bool
    reciprocal: bool
    digits: int | None

    def __array_finalize__(self, source: Any) -> None:
        """Inherit the ways of the array this one was made of."""
        self.sum_of = getattr(source, "sum_of", None)
        self.fused = getattr(source, "fused", False)
        self.reciprocal = getattr(source, "reciprocal", False)
        self.digits = getattr(source, "digits", None)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """Compute on plain arrays, sums and quotients in this machine's way."""
        plain = [plain_array(x) for x in inputs]
        if "out" in options:
            options["out"] = tuple(plain_array(x) for x in options["out"])
        result = self._compute(ufunc, method, plain, options)
        if isinstance(result, np.ndarray):
            return like(result, self)
        return result

    def _compute(self, ufunc: Any, method: str, x: list[Any], options: dict[str, Any]) -> Any:
        floats = x[0].dtype.kind == "f" if isinstance(x[0], np.ndarray) else False
        if "out" in options or not floats:
            return getattr(ufunc, method)(*x, **options)
        if ufunc is np.matmul and (self.sum_of or self.fused):
            return self._matmul(*(shortened(np.asarray(item), self.digits) for item in x))
        if ufunc is np.add and method == "reduce" and self.sum_of:
            return self._reduce(x[0], options.get("axis", 0), options.get("keepdims", False))
        if ufunc is np.divide and method == "__call__" and self.reciprocal:
            divisor = np.asarray(x[1])
            if divisor.dtype.kind == "f":
                return np.multiply(x[0], np.divide(divisor.dtype.type(1), divisor))
        return getattr(ufunc, method)(*x, **options)

    def _matmul(self, a: Array, b: Array) -> Array:
        if a.ndim == 1 or b.ndim == 1:
            left, right = a[None] if a.ndim == 1 else a, b[:, None] if b.ndim == 1 else b
            found = self._matmul(left, right)
            found = found[..., 0, :] if a.ndim == 1 else found
            return np.asarray(found[..., 0] if b.ndim == 1 else found)
        if self.fused:
            return fused_matmul(a, b)
        terms = a[..., :, None, :] * np.swapaxes(b, -1, -2)[..., None, :, :]
        return self.sum_of(terms) if self.sum_of else np.matmul(a, b)

    def _reduce(self, x: Array, axis: Any, keepdims: bool) -> Array:
        named = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        axes = tuple(a % x.ndim for a in named)
        rest = [a for a in range(x.ndim) if a not in axes]
        flat = x.transpose(*rest, *axes).reshape(*(x.shape[a] for a in rest), -1)
        total = self.sum_of(flat) if self.sum_of else flat
        return np.expand_dims(total, axes) if keepdims else total


def fused_matmul(a: Array, b: Array) -> Array:
    """a @ b where each product is added before it is rounded (float32; float64 as it is)."""
    if a.dtype != np.float32:
        return np.asarray(np.matmul(a, b))
    left, right = a.astype(np.float64), b.astype(np.float64)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    total = np.zeros((*batch, a.shape[-2], b.shape[-1]))
    for k in range(a.shape[-1]):
        exact = total + left[..., :, k, None] * right[..., None, k, :]
        total = exact.astype(np.float32).astype(np.float64)
    return np.asarray(total.astype(np.float32))


def shortened(x: Array, digits: int | None) -> Array:
    """Return x to so many significant bits, ties to even; as it is if none are given."""
    if digits is None:
        return x
    mantissa, exponent = np.frexp(x)
    short: Array = np.ldexp(np.rint(np.ldexp(mantissa, digits)), exponent - digits)
    return short


def plain_array(x: Any) -> Any:
    """Return an array without the machine; other things as they are."""
    return x.view(np.ndarray) if isinstance(x, Machine) else x


def like(x: Array, machine: Machine) -> Machine:
    """Return an array on the machine of another."""
    made = np.asarray(x).view(Machine)
    made.__array_finalize__(machine)
    return made


@dataclass(frozen=True)
class Legit:
    """A right implementation.

    Attributes
    ----------
    name, dtype : str
    sum_of : function or None
        How sums are carried out.
    fused, reciprocal : bool
    digits : int or None
        Significant bits of the matrices that are multiplied, their entries rounded to them.
    excused : tuple of (op, tier)
        Where it is not expected to be right, with the reason in the name's comment.
    """

    name: str
    dtype: str
    sum_of: Sum | None = None
    fused: bool = False
    reciprocal: bool = False
    digits: int | None = None
    excused: tuple[tuple[str, str], ...] = ()

    def run(self, op: Op, inputs: Inputs, attrs: Attrs) -> Arrays:
        """Return the outputs of the plain op on this machine."""
        start = np.zeros(0).view(Machine)
        start.sum_of, start.fused, start.reciprocal = self.sum_of, self.fused, self.reciprocal
        start.digits = self.digits
        given = {name: like(np.array(value), start) for name, value in inputs.items()}
        return {k: np.asarray(plain_array(v)) for k, v in op.plain(given, attrs).items()}


float32 = partial(Legit, dtype="float32")
LEGIT = (
    Legit("NumPy float64", "float64"),
    float32("NumPy float32"),
    float32("float32, sums forwards", sum_of=forwards),
    float32("float32, sums backwards", sum_of=backwards),
    float32("float32, sums pairwise", sum_of=pairwise),
    float32("float32, sums in blocks of 8", sum_of=blocked),
    float32("float32, fused multiply-add", sum_of=forwards, fused=True),
    float32("float32, reciprocal in place of division", reciprocal=True),
    Legit("float64, sums backwards, reciprocal", "float64", sum_of=backwards, reciprocal=True),
    Legit("TF32 products", "tf32", sum_of=pairwise, digits=11),
    Legit("float16 products", "float16", sum_of=blocked, digits=11),
    Legit("bfloat16 products", "bfloat16", sum_of=backwards, digits=8),
)

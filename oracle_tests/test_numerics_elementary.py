"""exp, log, log2, power, sigmoid, tanh, cos of pinned arithmetic against mpmath.

Arguments are aimed where the methods are weak: beside the ends of a reduction interval, near
0 and 1, at overflow and underflow, among the subnormals, at the zeros of the cosine. Each
test prints the worst error it met in ulp (units in the last place of the exact value).
"""

from collections.abc import Callable
from hashlib import sha256

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf

from oracle_tests.reproducibility.operands import SMALLEST, decades, real
from refquant import numerics as nx
from refquant._types import Array

mp.prec = 140
N = 400
LN2 = 0.6931471805599453
LARGEST = np.finfo(np.float64).max

Exact = Callable[[mpf], mpf]


def ulps(got: Array, x: Array, exact: Exact) -> float:
    """Return the largest error; arguments whose exact result overflows are left out."""
    worst = 0.0
    for value, argument in zip(got.tolist(), x.tolist(), strict=True):
        true = exact(mpf(argument))
        if abs(true) > LARGEST:
            assert abs(value) == np.inf
            continue
        power = max(int(mpmath.floor(mpmath.log(abs(true), 2))), -1022) if true else -1022
        worst = max(worst, float(abs(mpf(value) - true) / mpmath.ldexp(1, power - 52)))
    return worst


def arguments() -> dict[str, Array]:
    """Return arguments of exp, tanh and sigmoid, by what they are aimed at."""
    k = nx.counter.integers(("k",), 2000, N) - 1000
    return {
        "tiny": decades("tiny", N) * 1e-8,
        "unit": real("unit", N),
        "wide": 708.0 * real("wide", N),
        "sigmoid range": 40.0 * real("40", N),
        "ends of the reduction": (k + 0.5) * LN2 + 1e-10 * real("half", N),
        "multiples of ln 2": k * LN2 + 1e-9 * real("multiple", N),
        "subnormal results": -726.5 + 19.0 * real("sub", N),
        "overflow": 709.5 + 0.4 * real("over", N),
    }


def positive() -> dict[str, Array]:
    """Return arguments of log and power, by what they are aimed at."""
    k = nx.counter.integers(("e",), 12, N) - 6
    ends = np.ldexp(2.0**0.5, k)
    return {
        "near 1": 1.0 + decades("near", N) * 2.0**-40,
        "unit": 1.0 + real("0..2", N),
        "wide": np.ldexp(1.5 + 0.5 * real("m", N), nx.counter.integers(("w",), 2044, N) - 1022),
        "ends of the reduction": ends * (1.0 + 1e-12 * real("end", N)),
        "near powers of 2": np.ldexp(1.0 + 1e-10 * real("two", N), k),
        "subnormal": (1 + nx.counter.integers(("s",), 2**32, N)) * 2.0**18 * SMALLEST,
    }


def check(function: Callable[[Array], Array], exact: Exact, bound: float, x: Array) -> None:
    """Fail if the function, float64 or float32, errs by more than `bound` ulp."""
    with nx.arithmetic("pinned"):
        worst = ulps(function(x), x, exact)
        print(f"worst {worst:.3f} ulp (bound {bound})")
        assert worst <= bound
        with np.errstate(all="ignore"):
            single = x.astype(np.float32)
            expected = function(single.astype(np.float64)).astype(np.float32)
        np.testing.assert_array_equal(function(single), expected)
        assert function(single).dtype == np.float32


def sigmoid(x: mpf) -> mpf:
    """Return the sigmoid."""
    return 1 / (1 + mpmath.exp(-x))


@pytest.mark.parametrize("aim", arguments())
def test_exp_within_its_bound(aim: str) -> None:
    """0.9 ulp, also into the subnormal range."""
    check(nx.exp, mpmath.exp, 0.9, arguments()[aim])


@pytest.mark.parametrize("aim", arguments())
def test_sigmoid_and_tanh_within_their_bounds(aim: str) -> None:
    """2 and 2.5 ulp."""
    x = arguments()[aim]
    check(nx.sigmoid, sigmoid, 2.0, x)
    check(nx.tanh, mpmath.tanh, 2.5, x[np.abs(x) < 60.0])


@pytest.mark.parametrize("aim", positive())
def test_logarithms_within_their_bounds(aim: str) -> None:
    """0.9 ulp, and 0.6 ulp to base 2."""
    check(nx.log, mpmath.log, 0.9, positive()[aim])
    check(nx.log2, lambda x: mpmath.log(x, 2), 0.6, positive()[aim])


@pytest.mark.parametrize("p", [0.5, 1, 2, 3, 4, 5, 1 / 3, 2.4, -1, -2, -1.7, 17.3, 333.3, -1000.5])
def test_power_within_its_bound(p: float) -> None:
    """(1 + |p| / 32) ulp; 2 ulp for 1 to 4 by multiplication."""
    bound = 2.0 if p in (1, 2, 3, 4) else 1.0 + abs(p) / 32
    for aim, x in positive().items():
        if aim == "subnormal" and p in (3, 4):
            continue  # intermediate products underflow, as the exact ones do
        check(lambda x: nx.power(x, p), lambda x: x ** mpf(p), bound, x[:150])


@pytest.mark.parametrize("limit", [13.0, 1e6])
def test_cos_within_its_bound(limit: float) -> None:
    """0.9 ulp, also beside its zeros."""
    check(nx.cos, mpmath.cos, 0.9, limit * real("cos", N))
    k = 1.0 + 2.0 * nx.counter.integers(("zero",), 8, N)
    zeros = np.pi / 2 * k * (1.0 + 2.0**-30 * decades("zeros", N) * 2.0**-40)
    with nx.arithmetic("pinned"):
        worst = ulps(nx.cos(zeros), zeros, mpmath.cos)
    assert worst <= 0.9


INF, NAN = np.inf, np.nan


@pytest.mark.parametrize(
    ("function", "pairs"),
    [
        (nx.exp, [(0, 1), (-0.0, 1), (INF, INF), (-INF, 0), (NAN, NAN), (709.79, INF)]),
        (nx.exp, [(-745.13, SMALLEST), (-745.14, 0), (1e308, INF), (-1e308, 0), (SMALLEST, 1)]),
        (nx.log, [(1, 0), (0, -INF), (-0.0, -INF), (-1, NAN), (INF, INF), (-INF, NAN)]),
        (nx.log2, [(2.0**k, k) for k in (-1074, -1023, -1022, -1, 0, 1, 1023)]),
        (nx.log2, [(0, -INF), (-1, NAN), (INF, INF), (NAN, NAN)]),
        (nx.sigmoid, [(0, 0.5), (-0.0, 0.5), (INF, 1), (-INF, 0), (NAN, NAN), (800, 1)]),
        (nx.sigmoid, [(-800, 0), (-745.13, SMALLEST)]),
        (nx.tanh, [(0, 0), (-0.0, -0.0), (INF, 1), (-INF, -1), (NAN, NAN), (20, 1), (-1e300, -1)]),
        (nx.tanh, [(SMALLEST, SMALLEST), (-1e-310, -1e-310), (1e-200, 1e-200)]),
        (nx.cos, [(0, 1), (-0.0, 1), (INF, NAN), (-INF, NAN), (NAN, NAN), (1e-300, 1)]),
    ],
)
def test_special_values(
    function: Callable[[Array], Array], pairs: list[tuple[float, float]]
) -> None:
    """Exact values, the ends of the range, infinities, NaN, signs of zero; no warning."""
    x, expected = np.array(pairs, np.float64).T
    with nx.arithmetic("pinned"):
        got = function(x)
        one = function(np.float64(x[0]))
    np.testing.assert_array_equal(got.view(np.int64), np.ascontiguousarray(expected).view(np.int64))
    assert isinstance(one, np.float64)


def ieee_power(x: float, p: float) -> float:
    """C's pow, by its rules for the special cases; the C library's own for the others."""
    if p == 0.0:
        return 1.0
    if x != x or (-INF < x < 0.0 and p != int(p)):
        return NAN
    size = abs(x)
    if size == 0.0 or size == INF:
        value = 0.0 if (size == 0.0) == (p > 0.0) else INF
    else:
        with np.errstate(all="ignore"):
            value = float(np.power(np.float64(size), p))
    return -value if p % 2.0 == 1.0 and np.copysign(1.0, x) < 0.0 else value


@pytest.mark.parametrize("p", [-3, -2.5, -2, -1, -0.5, 0, 0.5, 1, 2, 2.5, 3, 4, 7, 1e300, -1e300])
def test_power_special_values_follow_ieee(p: float) -> None:
    """Zeros, ones, infinities, NaN and negative numbers, for scalar and array exponents."""
    x = np.array([0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.25, -0.25, INF, -INF, NAN])
    expected = [ieee_power(v, p) for v in x.tolist()]
    with nx.arithmetic("pinned"):
        for got in (nx.power(x, p), nx.power(x, np.full(11, float(p)))):
            np.testing.assert_allclose(got, expected, rtol=3e-16, atol=0.0)
            zero = np.equal(expected, 0.0)
            np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(expected)[zero])
        for some in ([0], [1], [0, 2, 4], [1, 2, 4], [0, 2, 8], [0, 4, 10]):  # as in a short block
            alone, whole = nx.power(x[some], p), nx.power(x, p)[some]
            np.testing.assert_array_equal(alone.view(np.int64), whole.view(np.int64))


def test_power_refuses_infinite_exponents() -> None:
    """An exponent that is not finite is an error."""
    with nx.arithmetic("pinned"), pytest.raises(ValueError, match="finite"):
        nx.power(np.ones(3), INF)


def test_power_takes_arrays_of_exponents() -> None:
    """Powers of two are exact; operands broadcast."""
    codes = np.arange(0.0, 12.0)
    with nx.arithmetic("pinned"):
        np.testing.assert_array_equal(nx.power(2.0, -codes), np.ldexp(1.0, -np.arange(12)))
        table = nx.power(np.array([[4.0], [16.0]]), codes / 4)
    np.testing.assert_array_equal(table[:, ::2], [4.0 ** (codes[::2] / 4), 2.0 ** codes[::2]])


def test_symmetries() -> None:
    """tanh is odd to the bit; sigmoid(a) + sigmoid(-a) = 1 to one rounding."""
    x = np.concatenate([40.0 * real("odd", 5000), decades("odd", 5000)])
    with nx.arithmetic("pinned"):
        np.testing.assert_array_equal(nx.tanh(-x), -nx.tanh(x))
        both = nx.sigmoid(x) + nx.sigmoid(-x)
    assert np.abs(both - 1.0).max() <= 2.0**-52


def test_cos_refuses_what_it_cannot_reduce() -> None:
    """Beyond 2^20 it raises instead of losing digits."""
    with nx.arithmetic("pinned"), pytest.raises(ValueError, match=r"cos\(\): x is up to"):
        nx.cos(np.array([1.0, 2.0**21]))


@pytest.mark.parametrize("name", ["exp", "log", "log2", "sigmoid", "tanh", "cos"])
def test_shapes_and_layouts(name: str) -> None:
    """Any shape, strides and block boundary give what the elements give one by one."""
    function = getattr(nx, name)
    x = 1.0 + real("layout", 3, 50, 60)
    with nx.arithmetic("pinned"):
        flat = function(x.ravel())
        np.testing.assert_array_equal(function(x).ravel(), flat)
        np.testing.assert_array_equal(
            function(x.transpose(2, 0, 1)[::-1]), flat.reshape(x.shape).transpose(2, 0, 1)[::-1]
        )
        assert function(x[:0]).shape == (0, 50, 60)
        assert function(x[0, 0, 0]) == flat[0]


@pytest.mark.parametrize("name", ["exp", "log", "log2", "sigmoid", "tanh", "power 8.7", "power -3"])
def test_the_neighbours_of_an_element_change_no_bit(name):
    """Blocks of ordinary numbers take short ways; one unusual number sends all the long way."""
    size = np.exp2(np.linspace(-9.0, 9.0, 1001)) * np.sqrt(0.5)
    size = np.concatenate([size, np.exp2(np.arange(-9.0, 9.0)), np.nextafter(size, 0.0)])
    unusual = np.array([0.0, SMALLEST, np.inf, -1.0, np.nan, 1e300, -800.0])
    function, _, p = name.partition(" ")
    operation = getattr(nx, function)
    given = (float(p),) if p else ()
    with nx.arithmetic("pinned"):
        alone = operation(size, *given)
        for other in unusual:
            beside = operation(np.append(size, other), *given)[:-1]
            assert np.array_equal(beside.view(np.int64), alone.view(np.int64)), other


FROZEN = {
    "exp": "4eee62e771d49878",
    "sigmoid": "b7248427d3640fc3",
    "tanh": "6442ed6be8336f78",
    "cos": "a5e473479e3594af",
    "log": "343f253f2afd14e8",
    "log2": "643a1b2d4abc70fe",
    "power 2.4": "861006ebda2a7ecb",
}


@pytest.mark.parametrize("name", FROZEN)
def test_bits_are_those_of_every_release(name: str) -> None:
    """Recorded, not derived: a bound leaves room for other last bits, a promise of bits does not.

    A change here changes committed results, and has its own heading in the changelog.
    """
    function, p = (*name.split(), "")[:2]
    given = positive() if function in ("log", "log2", "power") else arguments()
    x = np.concatenate(list(given.values()))
    with nx.arithmetic("pinned"):
        got = getattr(nx, function)(x, *([float(p)] if p else []))
    assert sha256(got.astype("<f8").tobytes()).hexdigest()[:16] == FROZEN[name]

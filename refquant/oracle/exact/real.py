"""exp, log, powers, roots and limits for the twins: floats by `math`, exact numbers to 60 digits.

    number              result                            error that a `Tracked` result records
    float, int          float, by the standard library    --
    Fraction            Fraction, right to 60 digits      --
    Tracked             Tracked around that value         that of the argument times |f'|, plus
                                                          ROUNDINGS of the function itself

The decimal module computes exp and ln correctly rounded in its own arithmetic, the same on every
machine; the result is cut to a dyadic number of 220 bits so that later sums stay short.
Imports the standard library only.
"""

import math
from collections.abc import Callable
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

from refquant.oracle.exact.traced import Traced
from refquant.oracle.exact.tracked import SLACK, Tracked, lowest_bit, special

CONTEXT = Context(prec=70)
BITS = 220
LN_2 = Decimal(2).ln(CONTEXT)
ROUNDINGS = 2  # one unit in the last place, what every maths library in use keeps
POWER_ROUNDINGS = 4  # of pow(): two units in the last place


def exp(x: Any) -> Any:
    """e ** x."""
    if isinstance(x, Traced):
        return x.apply("exp", exp)
    if special(x) or isinstance(x, float | int):
        return math.exp(x) if not x > 709.78 else math.inf
    value = _cut(Fraction(_decimal(_value(x)).exp(CONTEXT)))
    return _around(x, value, lambda error: value * error, ROUNDINGS)


def log(x: Any) -> Any:
    """Natural logarithm of x > 0; log(1) is exactly 0."""
    if isinstance(x, Traced):
        return x.apply("log", log)
    if special(x) or isinstance(x, float | int):
        return math.log(x)
    value = _cut(Fraction(_decimal(_value(x)).ln(CONTEXT)))
    return _around(x, value, lambda error: error / abs(_value(x)), ROUNDINGS)


def log2(x: Any) -> Any:
    """Logarithm to base 2 of x > 0; ROUNDINGS more than `log`, for those who divide by ln 2."""
    if isinstance(x, Traced):
        return x.apply("log2", log2)
    if special(x) or isinstance(x, float | int):
        return math.log2(x)
    value = _cut(Fraction(_decimal(_value(x)).ln(CONTEXT)) / Fraction(LN_2))
    return _around(x, value, lambda error: error / (abs(_value(x)) * Fraction(LN_2)), 2 * ROUNDINGS)


def sqrt(x: Any) -> Any:
    """Square root of x >= 0, exact where the root is a dyadic number of few bits."""
    if isinstance(x, Traced):
        return x.apply("sqrt", sqrt)
    if special(x) or isinstance(x, float | int):
        return math.sqrt(x)
    value = _root(_value(x))
    if isinstance(x, Tracked) and x.error == 0 and value * value == x.value:
        return Tracked(x.ledger, value)
    if isinstance(x, Tracked) and value == 0:
        return _power_of_noise(x, Fraction(1, 2))
    return _around(x, value, lambda error: error / (2 * value), 1)


def power(base: Any, exponent: Any) -> Any:
    """base ** exponent for base >= 0; 0 ** 0 is 1. A whole exponent up to 4 is multiplied out."""
    whole = isinstance(exponent, int) or (_plain(exponent) and float(exponent).is_integer())
    if whole and 0 <= exponent <= 4:
        return math.prod([base] * int(exponent)) if exponent else base * 0 + 1
    if isinstance(base, Traced) or isinstance(exponent, Traced):
        node = base if isinstance(base, Traced) else exponent.lift(base)
        return node.apply("power", power, exponent)
    if special(base) or (isinstance(base, float | int) and isinstance(exponent, float | int)):
        return float(base) ** float(exponent)
    b, e = _value(base), _value(exponent)
    if b == 0:
        return base * 0 if _error(base) == 0 else _power_of_noise(base, e)
    log_b = _decimal(b).ln(CONTEXT)
    value = _cut(Fraction(CONTEXT.multiply(log_b, _decimal(e)).exp(CONTEXT)))
    source = base if isinstance(base, Tracked) else exponent
    inherited = value * (abs(e) * _error(base) / b + abs(Fraction(log_b)) * _error(exponent))
    return _around(source, value, lambda _: inherited, POWER_ROUNDINGS)


def _power_of_noise(base: Tracked, exponent: Fraction) -> Tracked:
    """0 ** exponent for a base that is 0 within E u: at most E^e u^e, in units of u."""
    share = float(base.error) ** float(exponent) * 2.0 ** (
        base.ledger.precision * (1.0 - float(exponent))
    )
    return Tracked(base.ledger, Fraction(0), Fraction(share))


def repeated(base: Any, count: int) -> Any:
    """base * base * ..., `count` factors, base > 0, without multiplying exact numbers out.

    Floats are multiplied one by one. Whatever way a float product of n factors goes, it rounds at
    most n - 1 times, and inherits n errors of the base: (1 + u)^n - 1 <= n u / (1 - n u).
    """
    if isinstance(base, Traced):
        return base.apply("product", lambda b, n: repeated(b, int(n)), count)
    if isinstance(base, float | int):
        return math.prod([base] * count)
    log_base = _decimal(_value(base)).ln(CONTEXT)
    value = _cut(Fraction(CONTEXT.multiply(log_base, Decimal(count)).exp(CONTEXT)))
    if not isinstance(base, Tracked):
        return value
    steps = count * base.error / base.value + (count - 1)
    return Tracked(base.ledger, value, value * steps / (1 - steps / 2**base.ledger.precision))


def tanh(x: Any) -> Any:
    """Hyperbolic tangent."""
    if isinstance(x, Traced):
        return x.apply("tanh", tanh)
    if special(x) or isinstance(x, float | int):
        return math.tanh(x)
    e = Fraction(_decimal(2 * abs(_value(x))).exp(CONTEXT))
    value = _cut((e - 1) / (e + 1)) * (1 if _value(x) >= 0 else -1)
    return _around(x, value, lambda error: (1 - value * value) * error, ROUNDINGS)


def cos(x: Any) -> Any:
    """Cosine, for 0 <= x <= 2 pi, by its series."""
    if isinstance(x, Traced):
        return x.apply("cos", cos)
    if special(x) or isinstance(x, float | int):
        return math.cos(x)
    square, term, total, k = _value(x) ** 2, Fraction(1), Fraction(1), 0
    while abs(term) > Fraction(1, 2**BITS):
        k += 2
        term = _cut(-term * square / (k * (k - 1)))
        total += term
    value = _cut(total)
    return _around(x, value, lambda error: error, ROUNDINGS)


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)) by its larger half: the error is that of the form with a tanh too."""
    half = 1 / (1 + exp(-abs(x)))
    return half if (x.value if isinstance(x, Tracked) else x) >= 0 else 1 - half


def larger(a: Any, b: Any) -> Any:
    """The larger of two numbers, neither of them NaN.

    It has no jump, so nothing is in doubt: where two tracked numbers are closer than their errors,
    either answer is near, and the error says how near.
    """
    if not (isinstance(a, Tracked) or isinstance(b, Tracked)):
        return max(a, b)
    if special(a) or special(b):
        return a if a >= b else b
    winner, loser = (a, b) if _value(a) >= _value(b) else (b, a)
    ledger = a.ledger if isinstance(a, Tracked) else b.ledger
    gap = _value(winner) - _value(loser)
    left = _error(loser) - gap * Fraction(2) ** ledger.precision / SLACK
    return winner if left <= _error(winner) else Tracked(ledger, _value(winner), left)


def smaller(a: Any, b: Any) -> Any:
    """The smaller of two numbers, as `larger`."""
    return -larger(-a, -b)


def clip(x: Any, low: Any, high: Any) -> Any:
    """x limited to [low, high], as `larger`."""
    return smaller(high, larger(low, x))


def constant(value: Fraction, like: Any) -> Any:
    """Return a constant of the formula, rounded once by whoever needs it in a float like `like`."""
    if not isinstance(like, Tracked):
        return value
    low = lowest_bit(value)
    fits = low is not None and like.ledger.fits(abs(value), low)
    return Tracked(like.ledger, value, own=0 if fits else 1)


def literal(value: float, like: Any) -> Any:
    """Return a float that stands in a formula: itself, or rounded once by a narrower arithmetic."""
    return constant(Fraction(value), like) if isinstance(like, Tracked) else value


def quotient(a: Any, b: Any) -> Any:
    """Return a / b by one correctly rounded division: exact if a and b are, and the quotient fits.

    For steps that decide ties; everywhere else a reciprocal is as good.
    """
    result = a / b
    operands = [number for number in (a, b) if isinstance(number, Tracked)]
    if not isinstance(result, Tracked) or any(number.error for number in operands):
        return result
    return constant(result.value, result)


def _plain(number: Any) -> bool:
    return isinstance(number, float | Fraction)


def _value(number: Any) -> Fraction:
    return number.value if isinstance(number, Tracked) else Fraction(number)


def _error(number: Any) -> Fraction:
    return number.error if isinstance(number, Tracked) else Fraction(0)


def _around(x: Any, value: Fraction, inherited: Callable[[Fraction], Fraction], own: int) -> Any:
    """`value` as a number of the kind of x, with its error if it has one."""
    if not isinstance(x, Tracked):
        return value
    exact = x.error == 0 and value in (0, 1)  # exp(0), log(1): exact in every library
    return Tracked(x.ledger, value, inherited(x.error), 0 if exact else own)


def _decimal(value: Fraction) -> Decimal:
    return CONTEXT.divide(Decimal(value.numerator), Decimal(value.denominator))


def _cut(value: Fraction) -> Fraction:
    """`value` rounded to BITS significant bits."""
    if value == 0:
        return value
    shift = BITS - (value.numerator.bit_length() - value.denominator.bit_length())
    return Fraction(round(value * Fraction(2) ** shift)) / Fraction(2) ** shift


def _root(value: Fraction) -> Fraction:
    """The square root, exact if rational, else to BITS bits."""
    a, b = math.isqrt(value.numerator), math.isqrt(value.denominator)
    if a * a == value.numerator and b * b == value.denominator:
        return Fraction(a, b)
    shift = 2 * BITS
    return Fraction(math.isqrt(value.numerator * 2**shift // value.denominator), 2 ** (shift // 2))

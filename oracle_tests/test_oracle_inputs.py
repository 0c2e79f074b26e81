"""What cases are made of: tiers, drawn numbers, ids, and the nested lists that the twins take."""

import hashlib
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from refquant._types import Array
from refquant.oracle.case import Case, canonical
from refquant.oracle.draw import codes, dyadic, single
from refquant.oracle.exact.tracked import Ledger, Tracked
from refquant.oracle.nested import (
    as_array,
    as_numbers,
    each,
    flat,
    from_rows,
    pairs,
    rows,
    shape_of,
)
from refquant.oracle.tiers import FORMATS, TIERS, check_tier, significant_bits


def odd_part(x: float) -> int:
    """Return the bits of the odd whole number that times a power of two is |x|."""
    top = abs(Fraction(x).numerator)
    while top and top % 2 == 0:
        top //= 2
    return top.bit_length()


def allowed(tier: str, values: list[Any]) -> bool:
    """Return whether a tier takes numbers; what it refuses is refused by its name."""
    try:
        check_tier("f", "x", np.array(values), TIERS[tier])
    except ValueError as error:
        assert str(error).endswith(
            f"({tier}). Round the inputs, or name the tier that they belong to."
        )
        return False
    return True


@pytest.mark.parametrize(
    "x",
    [0.0, -0.0, 1.0, -3.0, 0.75, 255.0, 257.0, 2.0**-1074, 3 * 2.0**-1074, 2.0**1023, 0.1, -1 / 3],
)
def test_significant_bits_are_those_of_the_odd_part(x: float) -> None:
    """From the exact fraction; subnormal and huge numbers too."""
    assert significant_bits(np.array([x])).tolist() == [odd_part(x)]


def test_what_is_not_finite_has_no_bits() -> None:
    """NaN and infinities pass every tier."""
    assert significant_bits(np.array([np.nan, np.inf, -np.inf])).tolist() == [0, 0, 0]
    assert allowed("T8", [np.nan, np.inf])


@pytest.mark.parametrize(
    ("tier", "value", "ok"),
    [
        ("T8", 255.0, True),
        ("T8", 257.0, False),
        ("T11", 2047.0, True),
        ("T11", 2049.0, False),
        ("T24", 2.0**24 - 1, True),
        ("T24", 2.0**24 + 1, False),
        ("T24", 2.0**128, False),  # one bit, and too large for float32
        ("T24", 2.0**-149, True),
        ("T24", 2.0**-150, False),
        ("T53", 0.1, True),
        ("REAL", 0.1, False),
        ("REAL", float(np.float32(0.1)), True),
    ],
)
def test_a_tier_takes_what_its_arithmetic_holds(tier: str, value: float, ok: bool) -> None:
    """So many bits, and within float32 but for T53."""
    assert allowed(tier, [1.0, value]) == ok


def test_integers_belong_to_every_tier() -> None:
    """Codes have no mantissa."""
    assert allowed("T8", [2**40 + 1]) and not allowed("T8", [2.0**40 + 1])


def test_formats_have_the_roundoff_of_one_operation() -> None:
    """Narrow inputs are accumulated in float32, as tensor cores do."""
    roundoffs = {name: form.roundoff for name, form in FORMATS.items()}
    assert roundoffs.pop("float64") == 2.0**-53 and set(roundoffs.values()) == {2.0**-24}
    assert FORMATS["float64"].dtype == np.float64 and FORMATS["bfloat16"].dtype == np.float32
    bits = {"tf32": 11, "float16": 11, "bfloat16": 8, "float32": 24}
    for name, held in bits.items():
        assert max(TIERS[tier].bits for tier in FORMATS[name].tiers) == held


def test_dyadic_numbers_fill_their_range() -> None:
    """k / 2^point with |k| < 2^bits, both signs, the key alone decides."""
    drawn = dyadic(("range",), (40, 50), 3, 1)
    assert sorted(set((2 * drawn).ravel().tolist())) == list(range(-7, 8))
    assert np.array_equal(drawn, dyadic(("range",), (40, 50), 3, 1))
    assert not np.array_equal(drawn, dyadic(("other",), (40, 50), 3, 1))
    counts = np.unique(drawn, return_counts=True)[1]
    assert counts.min() > 2000 / 15 / 2 and counts.max() < 2000 / 15 * 2


def test_codes_include_both_ends() -> None:
    """low..high, whole numbers."""
    drawn = codes(("range",), 600, -2, 3)
    assert drawn.dtype == np.int64 and sorted(set(drawn.tolist())) == [-2, -1, 0, 1, 2, 3]


def test_single_numbers_are_those_of_float32() -> None:
    """1/10 becomes 13421773 / 2^27, the nearest of 24 bits."""
    assert Fraction(float(single([0.1])[0])) == Fraction(13421773, 2**27)
    assert single(0.1).dtype == np.float64


def test_a_text_is_canonical() -> None:
    """Sorted keys, no spaces, floats by their bits, NaN as itself."""
    assert canonical({"b": (1, 2.5), "a": None}) == '{"a":null,"b":[1,"0x1.4000000000000p+1"]}'
    assert canonical(True) == "true" and canonical(1) == "1" and canonical(np.nan) == '"nan"'


def case(x: Any, **changes: Any) -> Case:
    """Return a case of one input."""
    return Case(**({"op": "f", "tier": "T8", "purpose": "p", "inputs": {"x": x}} | changes))


def test_an_id_is_a_hash_of_what_is_computed() -> None:
    """Of op, attributes and inputs with their shapes; not of purpose, tier or clauses."""
    x = np.array([1.0, 2.0])
    whole = b'["f",{}]' + b'["x","<f8",[2]]' + x.astype("<f8").tobytes()
    first = case(x)
    assert first.id == hashlib.sha256(whole).hexdigest()[:16]
    assert case(x, purpose="q", tier="T11", clauses=("1.1",), flags=("smoke",)).id == first.id
    others = [case(x[:, None]), case(x, op="g"), case(x, attrs={"a": 1}), case(-x), case([1, 2])]
    assert len({first.id, *(other.id for other in others)}) == 6


def test_inputs_are_stored_as_a_reader_finds_them() -> None:
    """float64, int64 or bool, in C order, not writeable, and a copy."""
    given = np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3))
    stored = case(given).inputs["x"]
    assert stored.dtype == np.float64 and stored.flags.c_contiguous and not stored.flags.writeable
    given[0, 0] = 9
    assert stored[0, 0] == 0
    kinds = [case(np.zeros(1, t)).inputs["x"].dtype for t in (np.uint8, np.int16, np.bool_)]
    assert kinds == [np.int64, np.int64, np.bool_]
    with pytest.raises(ValueError, match=r"f \(p\)\(\): x is 9 significant bits"):
        case([257.0])


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 1, 3), (0,), (2, 0)])
def test_nested_lists_come_and_go(shape: tuple[int, ...]) -> None:
    """A 0-d array is one number."""
    x: Array = np.arange(np.prod(shape, dtype=int), dtype=float).reshape(shape)
    lists = as_numbers(x, lambda v: v + 1)
    assert lists == (x + 1).tolist() and flat(lists) == (x + 1).ravel().tolist()
    assert shape_of(lists) == shape
    back, error = as_array(lists, "float")
    assert np.array_equal(back, x + 1) and back.shape == shape and error is None


def test_kinds_are_made_of_numbers() -> None:
    """Whole numbers, truths, floats without a negative zero."""
    assert as_array([1.0, 2.0], "int")[0].tolist() == [1, 2]
    assert as_array([0, 1], "bool")[0].dtype == np.bool_
    assert not np.signbit(as_array([-0.0], "float")[0][0])


def test_errors_are_rounded_upwards() -> None:
    """To float32; zero stays zero, which means exact."""
    ledger = Ledger(24)
    third = Fraction(1, 3)
    tracked = [Tracked(ledger, third), Tracked(ledger, third, own=1), 0.5]
    value, error = as_array(tracked, "float")
    assert value.tolist() == [1 / 3, 1 / 3, 0.5] and error is not None
    assert error.dtype == np.float32 and error[0] == 0 and error[2] == 0
    assert Fraction(float(error[1])) >= Fraction(tracked[1].error) > 0  # type: ignore[union-attr]


def test_numbers_are_visited_one_by_one() -> None:
    """Alone, and in pairs of one shape."""
    assert each([[1, 2], [3]], lambda v: -v) == [[-1, -2], [-3]]
    assert pairs([[1, 2], [3, 4]], [[5, 6], [7, 8]], lambda a, b: a * b) == [[5, 12], [21, 32]]
    with pytest.raises(ValueError, match="shorter"):
        pairs([1, 2], [1], lambda a, b: a)


@pytest.mark.parametrize("axis", [None, 0, 1, 2])
def test_rows_share_an_index(axis: int | None) -> None:
    """As moving the axis to the front does; and back again."""
    x = np.arange(24).reshape(2, 3, 4)
    front = x[None] if axis is None else np.moveaxis(x, axis, 0)
    table = rows(x.tolist(), axis)
    assert table == front.reshape(len(front), -1).tolist()
    assert from_rows(table, x.tolist(), axis) == x.tolist()

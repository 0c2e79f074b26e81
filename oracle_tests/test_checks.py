"""Refusals in one voice: function, argument, got, expected, the fix, and the first bad entry."""

import tracemalloc

import numpy as np
import pytest

from refquant._checks import (
    check_array,
    check_bits,
    check_finite,
    check_in,
    check_int,
    check_operand,
    check_positive,
    complaint,
)

TINY = {kind: np.finfo(kind).tiny for kind in (np.float32, np.float64)}
TABLE = np.array([[1.0, np.inf], [np.nan, 2.0]])


def message(call):
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    return str(caught.value)


def test_a_complaint_is_one_sentence_and_the_fix():
    assert complaint("f", "x", 3, "an array") == "f(): x is 3; expected an array."
    assert complaint("f", "x", 3, "an array", "Wrap it.").endswith("an array. Wrap it.")


def test_the_first_bad_entry_is_named_with_its_place():
    got = "inf at index (0, 1) (2 such entries); expected finite numbers."
    assert got in message(lambda: check_finite("f", "x", TABLE))
    got = "inf at index (0, 1) (2 such entries); expected positive normal numbers."
    assert message(lambda: check_positive("f", "s", TABLE)) == f"f(): s is {got}"
    assert "s is 0;" in message(lambda: check_positive("f", "s", 0))
    assert "s is empty;" in message(lambda: check_positive("f", "s", np.empty(0)))
    assert message(lambda: check_positive("f", "s", 0, "Do.")).endswith("numbers. Do.")


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_positive_starts_at_the_smallest_normal_number_of_the_dtype(kind):
    least = np.array([TINY[kind]], kind)
    assert check_positive("f", "s", least) is least
    below = np.nextafter(least, kind(0.0))
    assert below[0] > 0.0
    assert "positive normal" in message(lambda: check_positive("f", "s", below))


@pytest.mark.parametrize("value", [-1, 4])
def test_integers_within_their_bounds(value):
    assert [check_int("f", "k", k, 0, 3) for k in (0, np.int8(3))] == [0, 3]
    assert type(check_int("f", "k", np.int8(3), 0)) is int
    got = message(lambda: check_int("f", "k", value, 0, 3))
    assert got == f"f(): k is {value}; expected an integer in 0..3."
    assert "at least 5" in message(lambda: check_int("f", "k", value, 5))


@pytest.mark.parametrize("value", [True, 1.0, "1", None])
def test_what_only_looks_like_an_integer_is_refused(value):
    assert f"{value!r} ({type(value).__name__})" in message(lambda: check_int("f", "k", value, 0))


def test_bit_widths_are_2_to_16():
    assert [check_bits("f", "bits", b) for b in (2, 16)] == [2, 16]
    for bits in (1, 17):
        assert "in 2..16" in message(lambda bits=bits: check_bits("f", "bits", bits))


def test_a_near_name_is_suggested_and_a_far_one_is_not():
    assert check_in("f", "mode", "rint", {"rint": 0}) == "rint"
    got = message(lambda: check_in("f", "mode", "rnit", ("rint", "floor")))
    assert got.endswith("expected one of 'rint', 'floor'. Did you mean 'rint'?")
    assert "mean" not in message(lambda: check_in("f", "mode", "xyz", ("rint", "floor")))


@pytest.mark.parametrize(
    ("value", "allowed"), [(True, (0, 1)), (1.0, (0, 1)), (1, (False, True)), (1, (0.5, 1.0))]
)
def test_equal_numbers_of_another_kind_are_refused(value, allowed):
    assert value in allowed  # as Python sees it
    got = message(lambda: check_in("f", "first_step", value, allowed))
    assert got.startswith(f"f(): first_step is {value!r}; expected one of {allowed[0]!r}, ")


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        (np.int64(1), (0, 1)),
        (np.bool_(True), (False, True)),
        (np.float32(0.5), (0.5,)),
        (None, (0, None)),
    ],
)
def test_numbers_of_the_same_kind_are_taken_whatever_their_width(value, allowed):
    assert check_in("f", "axis", value, allowed) is value


def test_operands_are_arrays_of_one_float_dtype_and_shape():
    x = np.ones((2, 3), np.float32)
    assert check_operand("f", "x", x, (2, 3), x.dtype) is x
    cases = {
        "an array of 2 axes": (lambda: check_operand("f", "x", x[0], (2, 3), x.dtype)),
        r"(2, 3); expected (3, 2)": (lambda: check_operand("f", "x", x, (3, 2), x.dtype)),
        "float64 like the rest": (lambda: check_operand("f", "x", x, (2, 3), np.dtype("f8"))),
        "a numpy array": (lambda: check_array("f", "x", [1.0])),
        "x.astype(numpy.float64)": (lambda: check_array("f", "x", x.astype(">f4"))),
    }
    for part, call in cases.items():
        assert part in message(call), part


def test_large_arrays_are_looked_at_in_pieces():
    """The last entry counts, and no mask of all entries is made while all are finite."""
    x = np.zeros((1 << 17, 8))
    tracemalloc.start()
    assert check_finite("f", "x", x) is x
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < x.size / 8
    x[-1, -1] = np.nan
    with pytest.raises(ValueError, match=r"nan at index \(131071, 7\)"):
        check_finite("f", "x", x)

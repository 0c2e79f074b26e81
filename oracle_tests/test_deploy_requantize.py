"""The fixed-point epilogue: equal to its twin, to exact rationals, and within one code (P57)."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.deploy.epilogue import float_epilogue, requantize_float
from refquant.deploy.requantize import (
    STAGES,
    apply_multiplier,
    doubling_high_multiply,
    half_up_shift,
    quantize_multiplier,
    requantize_fixed,
    rounding_shift,
)
from refquant.deploy.rescale import shift_down
from refquant.oracle.exact import requantize as exact
from refquant.oracle.exact import rounding
from refquant.quantizers.transform import fold_output

LOW, HIGH = -(2**31), 2**31 - 1
ENDS = [LOW, LOW + 1, -(2**30) - 1, -(2**30), -3, -2, -1, 0, 1, 2, 3, 5, 2**30, HIGH - 1, HIGH]

int32s = st.one_of(st.integers(LOW, HIGH), st.integers(-300, 300), st.sampled_from(ENDS))
odds = st.integers(-(2**20), 2**20).map(lambda k: 2 * k + 1)
mantissas = st.one_of(
    st.integers(2**30, HIGH), st.sampled_from([0, 2**30, 2**30 + 1, 3 * 2**29, HIGH])
).flatmap(lambda m: st.sampled_from([m, -m]))


def int32(values):
    return np.array(values, dtype=np.int32)


@given(a=int32s, b=int32s, odd=odds)
def test_the_high_multiply_rounds_to_nearest_with_ties_up(a, b, odd):
    """SRDHM is floor(a b / 2^31 + 1/2), saturated; the second row has only exact ties."""
    for left, right in ((a, b), (odd, 2**30), (odd, -(2**30))):
        actual = doubling_high_multiply(int32([left]), int32([right]))
        assert actual.dtype == np.int32
        nearest = rounding.half_up(Fraction(left * right, 2**31))
        assert actual.tolist() == [min(nearest, HIGH)] == [exact.srdhm(left, right)]


def test_the_high_multiply_on_all_pairs_of_ends():
    """methods 17.4: a = b = -2^31 is the one product that saturates."""
    a, b = np.meshgrid(int32(ENDS), int32(ENDS))
    expected = [[exact.srdhm(x, y) for x in ENDS] for y in ENDS]
    assert doubling_high_multiply(a, b).tolist() == expected
    assert doubling_high_multiply(int32([LOW]), int32([LOW])).tolist() == [HIGH]


def test_both_shifts_round_every_small_number_to_nearest():
    """RDivPOT: ties away from zero; the one-stage shift: ties up. All of -600..600, e 0..11."""
    x = np.arange(-600, 601, dtype=np.int32)
    for e in range(12):
        quotients = [Fraction(int(v), 2**e) for v in x]
        assert rounding_shift(x, e).tolist() == [rounding.half_away(u) for u in quotients]
        assert half_up_shift(x, e).tolist() == [rounding.half_up(u) for u in quotients]


@given(x=int32s, e=st.integers(0, 80), odd=odds)
def test_the_shift_of_any_int32_rounds_half_away(x, e, odd):
    """From e = 33 on the result is 0; at e = 32 only -2^31 is a tie and gives -1."""
    tie = odd * 2 ** (e - 1) if 1 <= e <= 10 else x
    for value in (x, tie):
        actual = rounding_shift(int32([value]), np.array([e])).tolist()
        assert actual == [rounding.half_away(Fraction(value, 2**e))] == [exact.rdivpot(value, e)]


@given(mantissa=st.floats(0.5, 1.0), exponent=st.integers(-60, 60), negative=st.booleans())
def test_a_multiplier_is_the_nearest_one_of_31_bits(mantissa, exponent, negative):
    """Golden op 69: |M - m0 2^(-31-e)| is at most half a unit, and m0 is normalised."""
    m = np.ldexp(-mantissa if negative else mantissa, exponent)
    m0, e = (int(part) for part in quantize_multiplier(np.array(m)))
    assert (m0, e) == exact.quantize_multiplier(float(m))
    assert 2**30 <= abs(m0) <= HIGH and (m0 < 0) == negative
    unit = Fraction(1, 2) ** (31 + e) if e >= -31 else Fraction(2) ** (-31 - e)
    assert abs(Fraction(float(m)) - m0 * unit) <= unit / 2


@pytest.mark.parametrize(
    ("m", "m0", "e"),
    [
        (0.0, 0, 0),  # convention 16
        (-0.0, 0, 0),
        (1.0, 2**30, -1),
        (0.5, 2**30, 0),
        (-0.25, -(2**30), 1),
        (1.0 - 2.0**-53, 2**30, -1),  # the mantissa rounds up to 2^31
        (0.75, 3 * 2**29, 0),
        (5e-324, 2**30, 1073),
        (6.0, 3 * 2**29, -3),
    ],
)
def test_multipliers_worked_by_hand(m, m0, e):
    assert [int(p) for p in quantize_multiplier(np.array(m))] == [m0, e]
    assert exact.quantize_multiplier(m) == (m0, e)


def test_a_multiplier_that_is_not_finite_is_refused():
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match=r"quantize_multiplier.*multiplier"):
            quantize_multiplier(np.array([0.5, bad]))


def test_the_last_shift_of_an_addition_rounds_as_its_form_does():
    """Ties of -1/2 and 1/2: away from zero in two stages, up in one."""
    levels = int32([-384, -128, 128, 384, 127, -129])
    assert shift_down(levels, 8, "double").tolist() == [-2, -1, 1, 2, 0, -1]
    assert shift_down(levels, 8, "single").tolist() == [-1, 0, 1, 2, 0, -1]
    for requantize in STAGES:
        assert shift_down(levels, 0, requantize).tolist() == levels.tolist()


def test_two_stages_round_twice():
    """methods 17.4: acc = 5, M = 1/4 gives 2 in two stages where 5/4 rounds to 1."""
    quarter = quantize_multiplier(np.array(0.25))
    assert apply_multiplier(int32([5]), quarter, "double").tolist() == [2]
    assert apply_multiplier(int32([5]), quarter, "single").tolist() == [1]


@given(acc=int32s, m0=mantissas, e=st.integers(-40, 70), requantize=st.sampled_from(STAGES))
def test_the_product_equals_the_twin(acc, m0, e, requantize):
    """Both forms, left shifts that saturate (convention 15) and shifts beyond 31 included."""
    multiplier = quantize_multiplier(np.array([1.0]))._replace(m0=int32([m0]), exponent=int32([e]))
    actual = apply_multiplier(int32([acc]), multiplier, requantize)
    assert actual.dtype == np.int32
    assert actual.tolist() == [exact.apply_multiplier(acc, m0, e, requantize)]


@given(acc=int32s, m0=mantissas, e=st.integers(-3, 40))
def test_one_stage_is_one_rounding_of_the_exact_product(acc, m0, e):
    """methods 17.4: half up, wherever the left shift does not saturate."""
    multiplier = quantize_multiplier(np.array([1.0]))._replace(m0=int32([m0]), exponent=int32([e]))
    if LOW <= acc * 2 ** max(-e, 0) <= HIGH:
        product = Fraction(acc * m0, 2**31) * Fraction(2) ** -e
        expected = [rounding.half_up(product)]
        assert apply_multiplier(int32([acc]), multiplier, "single").tolist() == expected


def test_one_stage_at_its_longest_shift():
    """methods 17.4: e = 31 is the last that can give anything but 0."""
    one = quantize_multiplier(np.array([1.0]))
    for e, expected in ((31, [1, -1, 0]), (32, [0, 0, 0]), (60, [0, 0, 0])):
        multiplier = one._replace(m0=int32([HIGH]), exponent=int32([e]))
        actual = apply_multiplier(int32([HIGH, LOW, 2**29]), multiplier, "single").tolist()
        assert actual == expected
        assert actual == [exact.apply_multiplier(a, HIGH, e, "single") for a in (HIGH, LOW, 2**29)]


def test_a_left_shift_saturates_at_both_ends():
    """Convention 15, in both forms: 2^29 * 2^3 and -2^29 * 2^3 do not fit int32."""
    eight = quantize_multiplier(np.array(4.0))  # m0 = 2^30, e = -3
    for requantize in STAGES:
        actual = apply_multiplier(int32([2**29, -(2**29), 3]), eight, requantize).tolist()
        assert actual == [2**30, -(2**30), 12]


def test_one_stage_is_exact_for_powers_of_two_away_from_ties():
    """P57: M = 2^-k and an integer bias give the float epilogue's code; two stages do not."""
    acc = np.arange(-3000, 3001, dtype=np.int32)
    differ = 0
    for k in range(1, 9):
        m = quantize_multiplier(np.array(2.0**-k))
        real = float_epilogue(acc, np.array(2.0**-k), np.array(0.0))
        away = real - np.floor(real) != 0.5
        wanted = requantize_float(real, 1.0, 7, (-500, 500))
        single = requantize_fixed(acc, m, 7, (-500, 500), "single")
        np.testing.assert_array_equal(single[away], wanted[away])
        differ += int((requantize_fixed(acc, m, 7, (-500, 500), "double") != wanted)[away].sum())
    assert differ > 0


@given(
    m=st.floats(2.0**-24, 1.0, exclude_max=True),
    negative=st.booleans(),
    ratio=st.floats(-(2.0**30), 2.0**30) | st.floats(-50, 50),
    accs=st.lists(st.integers(-(2**30), 2**30) | st.integers(-2000, 2000), min_size=1, max_size=9),
    zero_point=st.integers(0, 255),
    requantize=st.sampled_from(STAGES),
)
def test_the_fixed_epilogue_is_within_one_code_of_the_float_one(
    m, negative, ratio, accs, zero_point, requantize
):
    """P57, 0 < |M| < 1, st = M and s_y = 1: against the float epilogue and exact rationals."""
    m = -m if negative else m
    bias = round(Fraction(ratio))
    acc = int32(accs)
    wide = (-(2**20), 2**20)  # far beyond 8 bits, so that clipping hides nothing
    fixed = requantize_fixed(
        acc + np.int32(bias), quantize_multiplier(np.array(m)), zero_point, wide, requantize
    )
    real = float_epilogue(acc, np.array(m), np.array(m * ratio))
    assert np.abs(fixed - requantize_float(real, 1.0, zero_point, wide)).max() <= 1
    rational = [
        exact.requantize_float(a, m, Fraction(m) * Fraction(ratio), 1, zero_point, wide)
        for a in accs
    ]
    assert max(abs(int(f) - r) for f, r in zip(fixed, rational, strict=True)) <= 1
    twin = exact.requantize_fixed(
        [a + bias for a in accs], exact.quantize_multiplier(m), zero_point, wide, requantize
    )
    assert fixed.tolist() == twin


def test_within_one_code_on_many_accumulators():
    """P57 on 2e5 draws of both signs, with codes from both clip ends and between."""
    rng = np.random.default_rng(0)
    size = 200_000
    m = 2.0 ** rng.uniform(-18, 0, size) * rng.choice([-1.0, 1.0], size)
    acc = rng.integers(-(2**20), 2**20, size).astype(np.int32)
    ratio = rng.uniform(-1e5, 1e5, size)
    real = float_epilogue(acc, m, m * ratio)
    total = acc + np.rint(ratio).astype(np.int32)
    for requantize in STAGES:
        fixed = requantize_fixed(total, quantize_multiplier(m), 3, (-(2**24), 2**24), requantize)
        gap = np.abs(fixed - requantize_float(real, 1.0, 3, (-(2**24), 2**24)))
        assert gap.max() == 1  # reached, and never more


def test_a_multiplier_above_one_magnifies_the_rounding_of_the_bias():
    """P57's caveat: rint(bt / st) alone costs up to M / 2 codes; 4 at M just below 8."""
    m, ratio = 7.98, 0.5  # rint(0.5) = 0
    real = float_epilogue(int32([10]), np.array(m), np.array(m * ratio))
    wanted = requantize_float(real, 1.0, 0, (-999, 999))
    fixed = requantize_fixed(int32([10]), quantize_multiplier(np.array(m)), 0, (-999, 999))
    assert abs(int(wanted[0]) - int(fixed[0])) == 4


def test_codes_clip_before_anything_can_overflow():
    acc = int32([LOW, HIGH, 0])
    one = quantize_multiplier(np.array(0.999))
    for zero_point, limits in ((255, (0, 255)), (0, (0, 255)), (-3, (-128, 127))):
        expected = exact.requantize_fixed(
            [LOW, HIGH, 0], exact.quantize_multiplier(0.999), zero_point, limits, "double"
        )
        assert requantize_fixed(acc, one, zero_point, limits).tolist() == expected


@given(
    real=st.one_of(st.floats(-1e6, 1e6), st.integers(-600, 600).map(lambda k: k / 4)),
    step=st.sampled_from([0.5, 1.0, 2.0, 0.25]),
    zero_point=st.integers(0, 15),
)
def test_float_codes_round_half_even_before_the_zero_point(real, step, zero_point):
    """Golden op 67; methods 1.2: with an odd zero point, ties differ if it is added first."""
    expected = exact.requantize_float(Fraction(real), 1, 0, step, zero_point, (0, 15))
    assert requantize_float(np.array([real]), step, zero_point, (0, 15)).tolist() == [expected]


def test_float_codes_of_nan_and_infinities():
    codes = requantize_float(np.array([np.nan, np.inf, -np.inf, -0.0]), 0.5, 3, (0, 15))
    assert codes.tolist() == [3, 15, 0, 3]


@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_folding_is_exact_and_neutral_values_vanish(data, seed):
    """P42: st = xi s_w s_x and bt = b + eta; with dyadic numbers nothing is lost (AT eq. 9)."""
    rng = np.random.default_rng(seed)
    s_w, xi, bias, eta = (rng.integers(-64, 65, 4) / 2.0**k for k in (9, 5, 3, 4))
    s_x = data.draw(st.sampled_from([0.5, 0.375, 2.0]), label="s_x")
    scale, offset = fold_output(s_w, s_x, bias, xi, eta)
    acc = rng.integers(-(2**20), 2**20, (2, 4))
    y = float_epilogue(acc, scale, offset)
    for c in range(4):
        parts = (Fraction(float(v)) for v in (s_w[c], s_x, bias[c], xi[c], eta[c]))
        st_c, bt_c = exact.fold(*parts)
        assert (Fraction(float(scale[c])), Fraction(float(offset[c]))) == (st_c, bt_c)
        assert [Fraction(float(v)) for v in y[:, c]] == [st_c * int(a) + bt_c for a in acc[:, c]]
    ones, zeros = np.ones(4), np.zeros(4)
    plain = fold_output(s_w, s_x, None, None, None)
    neutral = fold_output(s_w, s_x, zeros, ones, zeros)
    assert [p.tobytes() for p in plain] == [p.tobytes() for p in neutral]


@given(seed=st.integers(0, 2**32 - 1))
def test_folding_real_numbers_costs_a_few_ulp(seed):
    """P42: in float64, xi (s_w s_x acc) + b + eta and the folded form differ by a few ulp."""
    rng = np.random.default_rng(seed)
    s_w, xi, bias, eta = rng.normal(size=(4, 5))
    acc = rng.integers(-(2**20), 2**20, (3, 5))
    scale, offset = fold_output(s_w, 0.37, bias, xi, eta)
    folded = float_epilogue(acc, scale, offset)
    literal = xi * (s_w * 0.37 * acc) + bias + eta
    size = np.abs(xi * s_w * 0.37 * acc) + np.abs(bias) + np.abs(eta)
    assert (np.abs(folded - literal) <= 6 * 2.0**-53 * size).all()


def test_whole_numbers_in_float_and_in_int32_give_the_same_bits():
    acc = np.random.default_rng(1).integers(-(2**31) + 1, 2**31, 10_000)
    scale, offset = np.array(0.001234567), np.array(-0.7654321)
    whole = float_epilogue(acc.astype(np.float64), scale, offset)
    assert whole.tobytes() == float_epilogue(acc.astype(np.int32), scale, offset).tobytes()

"""Wrong requantizations."""

from typing import Any

import numpy as np

from refquant._types import Array
from refquant.oracle.families.fake_quant.plain_uniform import code_range
from refquant.oracle.families.fake_quant.variants_parts import first_of_all, on_axis
from refquant.oracle.families.integer import plain_requantize as plain
from refquant.oracle.families.rounding import plain as nearest
from refquant.oracle.op import Variant


def on(op: str) -> Any:
    """A function that makes variants of one op."""

    def variant(name: str, says: str, source: str, equivalent: str = "", **parts: Any) -> Variant:
        """A variant of the op."""
        return Variant(op, name, says, source, parts, equivalent)

    return variant


def wraps(r: Array, z: int, ends: tuple[int, int], t: Array) -> Array:
    """The code modulo the number of codes."""
    return (r.astype(np.int64) + z - ends[0]) % (ends[1] - ends[0] + 1) + ends[0]


def clipped_first(r: Array, z: int, ends: tuple[int, int], t: Array) -> Array:
    """The clip to the codes before the zero point."""
    return np.clip(r, *ends).astype(np.int64) + z


def without_zero(r: Array, z: int, ends: tuple[int, int], t: Array) -> Array:
    """No zero point."""
    return np.clip(r, *ends).astype(np.int64)


def relu_at_zero(grid: str, bits: int, relu: bool, z: int) -> tuple[int, int]:
    """Codes below 0 become 0."""
    low, high = code_range(grid, bits)
    return (max(low, 0) if relu else low), high


def without_relu(grid: str, bits: int, relu: bool, z: int) -> tuple[int, int]:
    """The ReLU left out."""
    return code_range(grid, bits)


def narrow_is_signed(grid: str, bits: int, relu: bool, z: int) -> tuple[int, int]:
    """The full signed range for the narrow one."""
    return plain.limits("signed" if grid == "narrow" else grid, bits, relu, z)


def code_parts(op: Any) -> tuple[Variant, ...]:
    """What goes wrong at the end of either epilogue."""
    return (
        op("wraps_around", "Codes out of range wrap around instead of saturating.",
           "onnx/onnx#7835", to_codes=wraps),
        op("saturates_before_the_zero_point",
           "The clip to the code range comes before the zero point is added.",
           "Xilinx/onnx-mlir#96", to_codes=clipped_first),
        op("zero_point_not_added", "The zero point of the output is not added.",
           "codes taken for levels", to_codes=without_zero),
        op("relu_at_code_0", "A fused ReLU clips at code 0 instead of the zero point.",
           "relu on codes; microsoft/onnxruntime#10649", limits=relu_at_zero),
        op("relu_left_out", "The fused ReLU is left out.", "microsoft/onnxruntime#10649",
           limits=without_relu),
        op("narrow_is_signed", "The lowest narrow code is -2^(b-1).",
           "the narrow range asked for and not applied", limits=narrow_is_signed),
        op("channels_on_the_last_axis", "Parameters run along the last axis.",
           "a parameter of shape (c,) broadcast as it is", along=on_axis(-1)),
        op("channels_on_the_first_axis", "Parameters run along axis 0, whatever the axis.",
           "microsoft/onnxruntime#19694", along=on_axis(0)),
        op("first_channel_for_all", "The parameters of the first channel are used for all.",
           "a per-tensor kernel fed with per-channel parameters", along=first_of_all),
    )  # fmt: skip


def sum_of_32_bits(r: Array, z: int, ends: tuple[int, int], t: Array) -> Array:
    """The zero point added before the clip, in 32 bits."""
    return np.clip((r.astype(np.int64) + z).astype(np.int32), *ends).astype(np.int64)


def cast_to_int32(r: Array, z: int, ends: tuple[int, int], t: Array) -> Array:
    """32 bits before the clip."""
    return plain.to_codes(r.astype(np.int64).astype(np.int32), z, ends, t)


fl, fixed = on("requant_float"), on("requant_fixed")


def bias_in_integers(acc: Array, scale: Array, offset: Array, step: Array) -> Array:
    """scale (acc + rint(offset / scale))."""
    whole = np.where(scale == 0, 0, np.rint(offset / np.where(scale == 0, 1, scale)))
    return np.asarray(scale * (acc + whole) + np.where(scale == 0, offset, 0)).astype(scale.dtype)


FLOAT = (
    *code_parts(fl),
    fl("ties_away", "Ties go away from zero instead of to the even level.",
       "microsoft/onnxruntime#25045", rounded=nearest.half_away),
    fl("ties_up", "Ties go up instead of to the even level.", "apache/tvm#4131",
       rounded=nearest.half_up),
    fl("truncates", "Quotients are cut towards zero.", "microsoft/onnxruntime#32452",
       rounded=np.trunc),
    fl("zero_point_inside_the_round",
       "The zero point is added before the rounding, which moves ties where it is odd.",
       "openvinotoolkit/nncf#2807",
       to_codes=lambda r, z, ends, t: np.clip(np.rint(t + z), *ends).astype(np.int64)),
    fl("cast_before_the_clip", "Quotients beyond 32 bits wrap around before the clip.",
       "pytorch/pytorch#113861", to_codes=cast_to_int32),
    fl("offset_forgotten", "The offset is not added.", "the bias left to the next layer",
       real=lambda acc, scale, offset, step: scale * acc.astype(scale.dtype)),
    fl("offset_in_steps", "The offset is added after the division by the step.",
       "pytorch/pytorch#107810: a bias at the wrong scale",
       real=lambda acc, scale, offset, step: scale * acc.astype(scale.dtype) + offset * step),
    fl("offset_scaled", "The offset is multiplied by the scale.",
       "a real offset taken for an integer bias",
       real=lambda acc, scale, offset, step: scale * (acc.astype(scale.dtype) + offset)),
    fl("bias_in_integers", "The offset is rounded to a whole number of scales.",
       "the integer bias of the fixed-point epilogue", real=bias_in_integers),
    fl("sign_of_the_scale", "The sign of the scale is lost.", "OpenPPL/ppq#518: a negative scale",
       real=lambda acc, scale, offset, step: np.abs(scale) * acc.astype(scale.dtype) + offset),
    fl("multiplied_by_the_step", "The real value is multiplied by the step.",
       "the reciprocal expected by the kernel", divide=np.multiply),
    fl("not_divided", "The real value is not divided by the step.",
       "output left at the scale of the accumulator", divide=lambda real, step: real),
    fl("in_half_precision", "The real value is rounded to half precision.",
       "an epilogue in float16",
       divide=lambda real, step: real.astype(np.float16).astype(real.dtype) / step),
    fl("reciprocal", "", "pytorch/pytorch#47468", divide=lambda real, step: real * (1 / step),
       equivalent="within two roundings of the quotient; where that decides, both are right"),
)  # fmt: skip


def half_up_shift(x: Array, e: Array) -> Array:
    """x / 2^e, half up."""
    shift = np.minimum(e, 62)
    half = np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), 0)
    return np.asarray((x + half) >> shift)


def even_shift(x: Array, e: Array) -> Array:
    """x / 2^e, half to even."""
    return np.asarray(np.rint(np.ldexp(x.astype(np.float64), -e)).astype(np.int64))


def by_stage(function: Any) -> Any:
    """The single stage in place of both, or the other way round."""
    return lambda acc, m0, e, part: function(acc, m0, e)


def doubled(acc: Array, m0: Array, e: Array) -> Array:
    """Two stages where one is asked for."""
    product = acc * m0
    high = plain.saturated(plain.towards_zero(product + plain.nudge(product)))
    return plain.right_shift(high, e)


def sign_of_acc(acc: Array, m0: Array, e: Array, part: Any) -> Array:
    """Two stages, the second with the sign of the accumulator in place of the product's."""
    product = acc * m0
    high = part.saturated(part.truncated(product + part.nudge(product)))
    shift = np.minimum(e, 62)
    mask = (np.int64(1) << shift) - 1
    return np.asarray((high >> shift) + ((high & mask) > (mask >> 1) + (acc < 0)))


def in_floats(dtype: Any) -> Any:
    """acc M in floats, rounded half to even."""

    def scaled(acc: Array, m0: Array, e: Array) -> Array:
        real = acc.astype(dtype) * np.ldexp(m0.astype(dtype), -31 - e).astype(dtype)
        return np.asarray(np.rint(real).astype(np.int64))

    return scaled


def masked_shift(bits: int) -> Any:
    """The shift modulo the width of a register."""
    return lambda x, e: plain.right_shift(x, e & (bits - 1))


FIXED = (
    *code_parts(fixed),
    fixed("one_rounding_for_two", "The product is rounded once where two stages are declared.",
          "tensorflow/tensorflow#25087", double_stage=by_stage(plain.single_stage)),
    fixed("two_roundings_for_one", "The product is rounded twice where one stage is declared.",
          "google/ruy#227; tensorflow/tflite-micro#3252", single_stage=doubled),
    fixed("floats_in_double", "The multiplier is applied in floats, half to even, for two stages.",
          "a float epilogue behind an integer interface",
          double_stage=by_stage(in_floats(np.float64))),
    fixed("floats_in_single", "The multiplier is applied in floats, half to even, for one stage.",
          "a float epilogue behind an integer interface", single_stage=in_floats(np.float64)),
    fixed("nudge_without_sign", "2^30 is added to negative products too.",
          "the nudge of positive products for all", nudge=lambda product: 1 << 30),
    fixed("nudge_one_off", "The nudge of negative products is -2^30: ties go down, not up.",
          "1 - 2^30 read as its mirror image",
          nudge=lambda product: np.where(product >= 0, 1 << 30, -(1 << 30))),
    fixed("no_nudge", "The high product is truncated.", "the rounding left out",
          nudge=lambda product: 0 * product),
    fixed("high_product_floored", "The nudged product is shifted: rounded down, not to zero.",
          "an arithmetic shift in place of a division", truncated=lambda t: t >> 31),
    fixed("sum_of_32_bits", "Result and zero point are added in 32 bits, which wraps around.",
          "a zero point added before the clip", to_codes=sum_of_32_bits),
    fixed("not_doubled", "The high word is taken without doubling: half the result.",
          "mulhi in place of SRDHM", truncated=lambda t: plain.towards_zero(t >> 1)),
    fixed("one_product_not_saturated", "-2^31 times -2^31 wraps around to -2^31.",
          "the one overflow of SRDHM left out",
          saturated=lambda t: np.where(t > plain.HIGH, plain.LOW, t)),
    fixed("second_shift_half_up", "The second rounding sends negative ties up.",
          "apache/tvm#4828; RDivPOT without (x < 0)", right_shift=half_up_shift),
    fixed("second_shift_by_sign_of_acc",
          "The second rounding moves ties by the sign of the accumulator, not of the product.",
          "a correction of ties that forgets the sign of the multiplier",
          double_stage=sign_of_acc),
    fixed("second_shift_half_even", "The second rounding sends ties to the even integer.",
          "vector instructions that round to even", right_shift=even_shift),
    fixed("second_shift_floors", "The second shift rounds down.",
          "an arithmetic shift in place of RDivPOT",
          right_shift=lambda x, e: x >> np.minimum(e, 62)),
    fixed("shift_modulo_32", "The shift is taken modulo 32.",
          "shift counts of 32-bit registers", right_shift=masked_shift(32)),
    fixed("shift_modulo_64", "The shift is taken modulo 64.",
          "shift counts of 64-bit registers", right_shift=masked_shift(64)),
    fixed("single_shift_modulo_32", "One stage: the shift is taken modulo 32.",
          "shift counts of 32-bit registers",
          single_stage=lambda acc, m0, e: plain.single_stage(acc, m0, e & 31)),
    fixed("nudge_two_off", "The nudge of negative products is 2 - 2^30.",
          "the correction of negative products made twice",
          nudge=lambda product: np.where(product >= 0, 1 << 30, 2 - (1 << 30))),
    fixed("single_without_nudge", "One stage: the product is shifted without rounding.",
          "the rounding left out", single_stage=lambda acc, m0, e: np.where(
              e > 31, 0, (acc * m0) >> (31 + np.minimum(e, 31)))),
    fixed("single_nudge_of_31_bits", "One stage: 2^30 is added, whatever the shift.",
          "the nudge of the first stage kept", single_stage=lambda acc, m0, e: np.where(
              e > 31, 0, (acc * m0 + (1 << 30)) >> (31 + np.minimum(e, 31)))),
    fixed("single_half_away", "One stage: negative ties go away from zero instead of up.",
          "apache/tvm#3531", single_stage=lambda acc, m0, e: np.where(
              e > 31, 0, plain.right_shift(acc * m0, 31 + np.minimum(e, 31)))),
    fixed("single_shift_limited", "One stage: shifts beyond 31 are taken as 31.",
          "a shift limited to the register", single_stage=lambda acc, m0, e: plain.single_stage(
              acc, m0, np.minimum(e, 31))),
    fixed("single_in_float32", "One stage: the multiplier is applied in float32.",
          "XNNPACK's fp32 requantization, taken for the integer one",
          single_stage=in_floats(np.float32)),
    fixed("left_shift_dropped", "A negative exponent is taken as 0.",
          "tensorflow/tensorflow#59859", left_shift=lambda acc, e: acc),
    fixed("left_shift_wraps", "A left shift wraps around instead of saturating.",
          "tensorflow/tflite-micro#3627", left_shift=lambda acc, e: (
              acc << np.minimum(np.maximum(-e, 0), 31)).astype(np.int32).astype(np.int64)),
    fixed("left_shift_not_limited", "A left shift leaves 32 bits.",
          "64-bit intermediate results", left_shift=lambda acc, e: acc << np.minimum(
              np.maximum(-e, 0), 16)),
    fixed("exponent_sign", "The exponent is taken as a left shift.",
          "the sign convention of TFLite's shift",
          left_shift=lambda acc, e: plain.left_shift(acc, -e),
          right_shift=lambda x, e: x, single_stage=lambda acc, m0, e: plain.single_stage(
              acc, m0, 0 * e)),
)  # fmt: skip
VARIANTS = FLOAT + FIXED

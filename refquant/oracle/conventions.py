"""What holds for all ops: printed below every page, so that no description has to repeat it."""

CONVENTIONS = """\
- Formulas are meant exactly, of the inputs as they are: floor(x + 1/2) of 0.49999999999999994 is 0.
  Where a rounding of the computation could turn a rounded value, a comparison or a choice, both
  answers are right, or no case depends on it. Constants are the nearest doubles (ln 11:
  2.3978952727983707); what hangs on their last bits is asked of doubles only.
- [condition] is 1 or 0, and selects: what a 0 multiplies is left out, be it NaN or infinite.
  rint: ties to even;  clip(t, a, b) = min(max(t, a), b);  sign(0) = 0;  0^0 = 1;  0 ln 0 = 0;
  sigma(t) = 1 / (1 + exp(-t));  standard deviations and covariances divide by N.
- Steps are positive. Below its inputs a page names those that are ever NaN or infinite: all others
  are finite. A quotient that overflows is infinite; sums and products of finite numbers do
  not. A page that does not say what becomes of NaN and infinities follows IEEE 754.
- Codes: unsigned, affine 0..2^b - 1;  signed -2^(b-1)..2^(b-1) - 1;  narrow without the lowest;
  n and p are their ends less the zero point. A zero point is a code, and 0 unless the grid is
  affine, where the page does not say otherwise.
- () is an array without axes. Parameters of shape (c,) belong to the indices of `axis`, or of axis
  0 where there is no such attribute; where axis is none they are (). Axes count from 0; only
  `channel_axis` may be negative.
- Of equal candidates the first is taken. Sums are taken in any order.
- An output that may be left out is there when the input is that it is named after, or as it says,
  and then alone: one that was not asked for is an error. No bias is 0.
- Floats come as float64, or as float32 if the backend declares something narrower; integers as
  int32 if they fit, else int64. Floats and integers of any width are taken back, and 0 and 1 for
  booleans. -0.0 equals 0.0, NaN equals NaN.
- In the purpose of a case: any numbers fill 24 bits, so that results are rounded; both ends, or
  kinks, are n and p, with numbers at, beside and beyond them; a hair is less than an arithmetic
  one format narrower can tell; equal sizes are there since axes can be exchanged unseen.
"""

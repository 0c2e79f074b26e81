"""Where a sliding window reads: kernel, stride, dilation, padding and groups of a layer.

Window (p, q) reads, for i < k_h and j < k_w, row p * stride_h + i * dilation_h - top and column
q * stride_w + j * dilation_w - left; what lies outside the map is padding. Along one axis

    span     = dilation * (k - 1) + 1                    extent of the dilated kernel
    size_out = (size + before + after - span) // stride + 1

Reference: the output size of the convolution in V. Dumoulin, F. Visin, "A guide to convolution
arithmetic for deep learning", arXiv:1603.07285, relationship 6, with dilation.

    paper    here                           meaning
    k        kernel    (k_h, k_w)           taps along rows and columns
    s        stride    (s_h, s_w)           distance of neighbouring windows
    d        dilation  (d_h, d_w)           distance of neighbouring taps
    p        padding   (top, left, bottom, right)
    --       groups    int                  channels fall into groups that do not mix

Edge cases: rows and columns that no window reaches (the division leaves a remainder) are
ignored; padding may exceed the kernel (some windows then see padding only); an empty output is
an error. The order of padding is ONNX's (all befores, then all afters), not torch's.
"""

from dataclasses import dataclass

from refquant._checks import check_int, complaint


@dataclass(frozen=True)
class Geometry:
    """Geometry of a convolution or pooling; see the module docstring.

    Parameters
    ----------
    kernel : pair of int, at least 1
    stride, dilation : pair of int, at least 1
    padding : four int, at least 0
        (top, left, bottom, right).
    groups : int, at least 1

    Raises
    ------
    TypeError, ValueError
        If a field is not so many integers, or an integer is too small.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    groups: int = 1

    def __post_init__(self) -> None:
        """Check every field, and store plain tuples of plain ints so that equal means equal."""
        for name, count, low in (
            ("kernel", 2, 1),
            ("stride", 2, 1),
            ("dilation", 2, 1),
            ("padding", 4, 0),
        ):
            object.__setattr__(self, name, _integers(name, getattr(self, name), count, low))
        object.__setattr__(self, "groups", check_int("Geometry", "groups", self.groups, 1))

    @property
    def taps(self) -> int:
        """Positions of the kernel, k_h * k_w."""
        return self.kernel[0] * self.kernel[1]

    @property
    def span(self) -> tuple[int, int]:
        """Extent of the dilated kernel, (rows, columns)."""
        (k_h, k_w), (d_h, d_w) = self.kernel, self.dilation
        return d_h * (k_h - 1) + 1, d_w * (k_w - 1) + 1

    def padded_size(self, h: int, w: int) -> tuple[int, int]:
        """Size of the map with its padding, (rows, columns)."""
        top, left, bottom, right = self.padding
        return h + top + bottom, w + left + right

    def output_size(self, h: int, w: int) -> tuple[int, int]:
        """Windows along rows and columns of an (h, w) map.

        Raises
        ------
        ValueError
            If not even one window fits.
        """
        (h_pad, w_pad), (span_h, span_w) = self.padded_size(h, w), self.span
        if h_pad < span_h or w_pad < span_w:
            got = f"{(h, w)}, {(h_pad, w_pad)} with padding {self.padding}"
            expected = f"at least the span {(span_h, span_w)} of the dilated kernel"
            fix = "The output would be empty: pad more, or use a smaller kernel or dilation."
            raise ValueError(complaint("Geometry.output_size", "map size", got, expected, fix))
        return (h_pad - span_h) // self.stride[0] + 1, (w_pad - span_w) // self.stride[1] + 1

    def check_channels(self, function: str, argument: str, channels: int) -> int:
        """Return `channels` if groups divides it; ValueError otherwise."""
        if channels % self.groups:
            got = f"of {channels} channels"
            expected = f"a multiple of groups = {self.groups}"
            raise ValueError(complaint(function, argument, got, expected))
        return channels


def _integers(name: str, value: object, count: int, low: int) -> tuple[int, ...]:
    """`value` as a tuple of `count` ints that are at least `low`."""
    if not isinstance(value, tuple | list) or len(value) != count:
        fix = "Padding is (top, left, bottom, right)." if count == 4 else "Write both: (3, 3)."
        expected = f"{count} integers, each at least {low}"
        raise TypeError(complaint("Geometry", name, repr(value), expected, fix))
    return tuple(check_int("Geometry", f"{name}[{i}]", v, low) for i, v in enumerate(value))

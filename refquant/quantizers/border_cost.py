"""What a border costs: parameters, operations and bits, from the shapes of the layers alone.

References: AQuant, arXiv:2208.11945, AQ 4.3 and 5.3; methods, section 13.6, P16.

    paper   here       meaning
    o_c     c_out      output channels
    i_c     c_in       input channels
    K       taps       k_h k_w, 1 for a fully connected layer
    g       groups     groups
    L       windows    h_o w_o, sliding blocks of one image

    per layer     border parameters   (degree + 1) c_in K      ratio to the weights 3 g / c_out
                  weights             c_out c_in / g K
                  border evaluations  c_in K L                 ratio to the products g / c_out
                  products            c_out c_in / g K L

The paper's counts (0.81 % of ResNet-18) take every convolution and the classifier, three per
position, fusion weights left out, over all parameters of the model.

Differs from: the paper writes h_i w_i, the size of the input, where the windows are h_o w_o. It
announces a linear border for MNasNet but prints the share of a quadratic one (decision D31).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from refquant._checks import check_bits, check_in, check_int, complaint
from refquant.quantizers.border_options import DEGREES


@dataclass(frozen=True, kw_only=True)
class LayerShape:
    """The shape of a convolution or fully connected layer.

    Parameters
    ----------
    c_in, c_out : int
        Channels, or features.
    taps : int
        k_h k_w.
    groups : int
        Divides both channels; c_in for a depthwise layer.

    Raises
    ------
    TypeError, ValueError
        If a number is not a positive integer, or `groups` is no divisor.
    """

    c_in: int
    c_out: int
    taps: int = 1
    groups: int = 1

    def __post_init__(self) -> None:
        """Refuse what is not the shape of a layer."""
        for name in ("c_in", "c_out", "taps", "groups"):
            check_int("LayerShape", name, getattr(self, name), 1)
        if self.c_in % self.groups or self.c_out % self.groups:
            got = f"{self.groups} for {self.c_in} and {self.c_out} channels"
            raise ValueError(complaint("LayerShape", "groups", got, "a divisor of both"))


def weight_count(layer: LayerShape) -> int:
    """c_out (c_in / g) K."""
    return layer.c_out * (layer.c_in // layer.groups) * layer.taps


def border_count(layer: LayerShape, degree: int = 2, fusion: bool = False) -> int:
    """(degree + 1) c_in K, methods 13.6.

    Parameters
    ----------
    layer : LayerShape
    degree : {2, 1}
    fusion : bool
        Count the fusion weights too, one more per position where K > 1. The paper does not.

    Returns
    -------
    int
    """
    check_in("border_count", "degree", degree, DEGREES)
    per_position = degree + 1 + int(fusion and layer.taps > 1)
    return per_position * layer.c_in * layer.taps


def border_share(
    layers: Iterable[LayerShape], others: int = 0, degree: int = 2, fusion: bool = False
) -> float:
    """Border parameters over all parameters of a model, P16.

    Parameters
    ----------
    layers : iterable of LayerShape
        Every layer that has a border.
    others : int
        Parameters of the model besides the weights of `layers`: biases, batch norm.
    degree, fusion
        As `border_count`.

    Returns
    -------
    float
        A share of 1, not per cent.

    Raises
    ------
    ValueError
        If there is no layer.
    """
    shapes = tuple(layers)
    if not shapes:
        raise ValueError(complaint("border_share", "layers", "empty", "at least one layer"))
    check_int("border_share", "others", others, 0)
    borders = sum(border_count(layer, degree, fusion) for layer in shapes)
    return borders / (sum(weight_count(layer) for layer in shapes) + others)


def product_operations(layer: LayerShape, windows: int) -> int:
    """Multiplications of the layer for one image: c_out (c_in / g) K L."""
    return weight_count(layer) * check_int("product_operations", "windows", windows, 1)


def border_operations(
    layer: LayerShape, windows: int, degree: int = 2, fusion: bool = False
) -> int:
    """Multiplications of the border for one image: `degree` per element, methods 13.6.

    Parameters
    ----------
    layer : LayerShape
    windows : int
        L = h_o w_o.
    degree : {2, 1}
        By Horner's rule a polynomial takes as many multiplications.
    fusion : bool
        One more per element where K > 1.

    Returns
    -------
    int
        The bound is not counted.
    """
    check_in("border_operations", "degree", degree, DEGREES)
    check_int("border_operations", "windows", windows, 1)
    per_element = degree + int(fusion and layer.taps > 1)
    return per_element * layer.c_in * layer.taps * windows


def size_growth(share: float, weight_bits: int, border_bits: int = 16) -> float:
    """Growth of the stored model: share times border_bits / weight_bits, methods 13.6."""
    check_bits("size_growth", "weight_bits", weight_bits)
    check_bits("size_growth", "border_bits", border_bits)
    return share * border_bits / weight_bits

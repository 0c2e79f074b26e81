"""digits-mobilenet: inverted residuals with depthwise convolutions and linear bottlenecks.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018,
arXiv:1801.04381, table 1 and figure 4.

    block(x) = norm(project(relu6(norm(depthwise(relu6(norm(expand(x))))))))   (+ x)

The addition stands where the stride is 1 and the channels stay; no activation follows `project`.
"""

from refquant.network.graph import Network
from refquant.zoo.assemble import image_network
from refquant.zoo.parts import Conv, Part, conv_norm, join, plain

PLAN = ((16, 1), (24, 2), (24, 1), (32, 2), (32, 1))  # (c_out, stride) of each block
EXPANSION = 3  # channels of the depthwise convolution per channel of the block's input


def digits_mobilenet(seed: int = 1) -> Network:
    """Return digits-mobilenet with random weights drawn from `seed`."""
    return image_network("digits-mobilenet", "relu6", PLAN, _block, seed)


def _block(name: str, source: str, outer: Conv) -> Part:
    """Return an inverted residual from `outer`.c_in to `outer`.c_out channels."""
    wide = EXPANSION * outer.c_in
    depthwise = Conv(wide, wide, outer.kernel, outer.stride, groups=wide)
    parts = [
        conv_norm(f"{name}.expand", source, Conv(outer.c_in, wide, 1), f"{name}.bn1"),
        plain(f"{name}.relu1", "relu6", f"{name}.bn1"),
        conv_norm(f"{name}.depthwise", f"{name}.relu1", depthwise, f"{name}.bn2"),
        plain(f"{name}.relu2", "relu6", f"{name}.bn2"),
        conv_norm(f"{name}.project", f"{name}.relu2", Conv(wide, outer.c_out, 1), f"{name}.bn3"),
    ]
    if outer.stride == 1 and outer.c_in == outer.c_out:
        parts.append(plain(f"{name}.add", "add", f"{name}.bn3", source))
    return join(*parts)

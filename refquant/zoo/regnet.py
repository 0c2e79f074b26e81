"""digits-regnet: bottlenecks whose 3x3 convolution works in groups of channels.

Radosavovic et al., "Designing Network Design Spaces", CVPR 2020, arXiv:2003.13678, figure 4: the
X block with bottleneck ratio 1 and a fixed group width.

    block(x) = relu(norm(conv3(relu(norm(conv2(relu(norm(conv1(x)))))))) + skip(x))
    skip(x)  = x, or norm(downsample(x)) where the stride or the channels change

`conv1` and `conv3` are 1x1; `conv2` is 3x3 with c_out / GROUP_WIDTH groups and the stride.
"""

from refquant.network.graph import Network
from refquant.zoo.assemble import image_network
from refquant.zoo.parts import Conv, Part, conv_norm, join, plain

PLAN = ((32, 1), (48, 2), (64, 2))  # (c_out, stride) of each block
GROUP_WIDTH = 8  # channels in each group of conv2


def digits_regnet(seed: int = 1) -> Network:
    """Return digits-regnet with random weights drawn from `seed`."""
    return image_network("digits-regnet", "relu", PLAN, _block, seed)


def _block(name: str, source: str, outer: Conv) -> Part:
    """Return an X block from `outer`.c_in to `outer`.c_out channels."""
    c_out = outer.c_out
    grouped = Conv(c_out, c_out, outer.kernel, outer.stride, groups=c_out // GROUP_WIDTH)
    parts = [
        conv_norm(f"{name}.conv1", source, Conv(outer.c_in, c_out, 1), f"{name}.bn1"),
        plain(f"{name}.relu1", "relu", f"{name}.bn1"),
        conv_norm(f"{name}.conv2", f"{name}.relu1", grouped, f"{name}.bn2"),
        plain(f"{name}.relu2", "relu", f"{name}.bn2"),
        conv_norm(f"{name}.conv3", f"{name}.relu2", Conv(c_out, c_out, 1), f"{name}.bn3"),
    ]
    skip = source
    if outer.stride != 1 or outer.c_in != c_out:
        narrow = Conv(outer.c_in, c_out, 1, outer.stride)
        skip = f"{name}.downsample.bn"
        parts.append(conv_norm(f"{name}.downsample", source, narrow, skip))
    parts.append(plain(f"{name}.add", "add", f"{name}.bn3", skip))
    parts.append(plain(f"{name}.relu", "relu", f"{name}.add"))
    return join(*parts)

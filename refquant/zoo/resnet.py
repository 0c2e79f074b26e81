"""digits-resnet: residual blocks of two 3x3 convolutions.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv:1512.03385, figure 2
and option B of section 3.3 (a 1x1 convolution on the skip path where the shape changes).

    block(x) = relu(norm(conv2(relu(norm(conv1(x))))) + skip(x))
    skip(x)  = x, or norm(downsample(x)) where the stride or the channels change
"""

from refquant.network.graph import Network
from refquant.zoo.assemble import image_network
from refquant.zoo.parts import Conv, Part, conv_norm, join, plain

PLAN = ((16, 1), (32, 2), (32, 1), (48, 2))  # (c_out, stride) of each block


def digits_resnet(seed: int = 1) -> Network:
    """Return digits-resnet with random weights drawn from `seed`."""
    return image_network("digits-resnet", "relu", PLAN, _block, seed)


def _block(name: str, source: str, first: Conv) -> Part:
    """Return a basic block whose first convolution is `first`."""
    second = Conv(first.c_out, first.c_out)
    parts = [
        conv_norm(f"{name}.conv1", source, first, f"{name}.bn1"),
        plain(f"{name}.relu1", "relu", f"{name}.bn1"),
        conv_norm(f"{name}.conv2", f"{name}.relu1", second, f"{name}.bn2"),
    ]
    skip = source
    if first.stride != 1 or first.c_in != first.c_out:
        narrow = Conv(first.c_in, first.c_out, 1, first.stride)
        skip = f"{name}.downsample.bn"
        parts.append(conv_norm(f"{name}.downsample", source, narrow, skip))
    parts.append(plain(f"{name}.add", "add", f"{name}.bn2", skip))
    parts.append(plain(f"{name}.relu", "relu", f"{name}.add"))
    return join(*parts)

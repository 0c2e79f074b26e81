"""Layer shapes of the networks in AQuant's tables, written down from their published designs.

Every list holds (c_in, c_out, kernel side, groups) of every convolution and of the classifier.
ResNet (He et al., 2016), RegNetX (Radosavovic et al., 2020), MobileNetV2 (Sandler et al., 2018),
MNasNet (Tan et al., 2019).
"""


def resnet18():
    layers, width = [(3, 64, 7, 1)], 64
    for c in (64, 128, 256, 512):
        for _ in range(2):
            layers += [(width, c, 3, 1), (c, c, 3, 1)]
            layers += [(width, c, 1, 1)] if width != c else []
            width = c
    return [*layers, (512, 1000, 1, 1)]


def resnet50():
    layers, width = [(3, 64, 7, 1)], 64
    for depth, c in ((3, 64), (4, 128), (6, 256), (3, 512)):
        for block in range(depth):
            layers += [(width, c, 1, 1), (c, c, 3, 1), (c, 4 * c, 1, 1)]
            layers += [(width, 4 * c, 1, 1)] if block == 0 else []
            width = 4 * c
    return [*layers, (2048, 1000, 1, 1)]


def regnet_x(depths, widths, group_width):
    layers, width = [(3, 32, 3, 1)], 32
    for depth, c in zip(depths, widths, strict=True):
        for block in range(depth):
            layers += [(width, c, 1, 1)] if block == 0 else []
            layers += [(width, c, 1, 1), (c, c, 3, c // group_width), (c, c, 1, 1)]
            width = c
    return [*layers, (width, 1000, 1, 1)]


def mobilenet_v2():
    layers, width = [(3, 32, 3, 1)], 32
    stages = ((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1))
    for expansion, c, depth in stages:
        for _ in range(depth):
            hidden = width * expansion
            layers += [(width, hidden, 1, 1)] if expansion != 1 else []
            layers += [(hidden, hidden, 3, hidden), (hidden, c, 1, 1)]
            width = c
    return [*layers, (320, 1280, 1, 1), (1280, 1000, 1, 1)]


def _rounded(width):
    """To a multiple of eight, up where rounding down would lose more than a tenth."""
    near = max(8, int(width + 4) // 8 * 8)
    return near if near >= 0.9 * width else near + 8


def mnasnet(alpha):
    stem, first, *widths = (_rounded(c * alpha) for c in (32, 16, 24, 40, 80, 96, 192, 320))
    layers = [(3, stem, 3, 1), (stem, stem, 3, stem), (stem, first, 1, 1)]
    width = first
    stages = ((3, 3, 3), (5, 3, 3), (5, 6, 3), (3, 6, 2), (5, 6, 4), (3, 6, 1))
    for (kernel, expansion, depth), c in zip(stages, widths, strict=True):
        for _ in range(depth):
            hidden = width * expansion
            layers += [(width, hidden, 1, 1), (hidden, hidden, kernel, hidden), (hidden, c, 1, 1)]
            width = c
    return [*layers, (width, 1280, 1, 1), (1280, 1000, 1, 1)]

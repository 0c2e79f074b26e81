"""The properties P01 to P90 that every implementation must have, and the tests that hold them.

A test says which property it holds by naming it, "P08", in its docstring: that is the marker.
`python -m oracle_tests.properties` writes validation/properties.md from the markers; a test fails
where a property has none.
"""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "validation" / "properties.md"
MARK = re.compile(r"\bP(\d\d)\b")

SECTIONS = {
    "Layers and quantizers": {
        1: "a convolution by im2col is direct summation",
        2: "col2im is the adjoint of im2col and counts window memberships",
        3: "fully connected, grouped and depthwise layers are special cases",
        4: "folding a batch norm keeps the function",
        5: "quantizing twice is quantizing once",
        6: "an error is at most half a step inside, the distance to the end outside",
        7: "an affine grid is the unsigned one, shifted",
    },
    "Border": {
        8: "outside n < u < p no border has an effect",
        9: "without errors the border is 1/2, which is nearest but for ties",
        10: "f <= B exactly where rounding down is the better direction",
        11: "with B in [0, 1] the chosen error is at most |A| / 2",
        12: "f uniform: the border removes the bias",
        13: "its second moment is A^2 / 12, nearest's c^2 more",
        14: "what is left where x' moves with f",
        15: "the shared border is the A^2-weighted mean, and optimal",
        16: "3 g / c_out parameters a weight; the published shares of whole networks",
        17: "scale of input and step, and order of channels, do not matter",
        66: "a higher border never rounds higher, and at most one lower",
        67: "one tap: fusion is the identity; unit weights stay in range",
        68: "outer and inner scale agree at 0 and saturate differently",
        69: "schedule: 0 only clips, 1 rounds, affine between",
        70: "zeros and padding stay zero",
        71: "fusion weights can be absorbed before the bound, not after",
        72: "one pixel, several codes; uniform borders commute with im2col",
        73: "moments of the rounding error at a constant border",
    },
    "AdaRound and the QUBO": {
        18: "the soft weight starts at the weight",
        19: "the hard one starts at nearest, ties up",
        20: "decided: soft is hard and the penalty is 0; its bounds",
        21: "h is monotone, symmetric and saturates",
        22: "the gradient of alpha is that of central differences",
        23: "a large beta is flat in the middle and steep at the ends",
        24: "ends, order and middle of the beta schedules",
        25: "the loss is a Gram form",
        26: "rows are independent in the loss",
        27: "order of rows and sign of features do not matter",
        28: "scaling weights and steps together scales the output alone",
        29: "no gradient outside the levels",
        32: "energy plus constant is the layer's error, for every rounding",
        33: "Q has a block for each row",
        34: "no rounding beats the exact one; strict examples",
        35: "AdaRound beats nearest in the mean over seeds (statistical)",
        74: "local search never ends higher, and no flip improves its end",
        75: "a diagonal Gram matrix makes nearest optimal",
    },
    "Drop, mix, losses, Adam": {
        30: "keeping all is the quantizer, keeping nothing the identity",
        31: "noise on inputs is noise on weights",
        52: "scaling loss and penalty together changes nothing",
        55: "all gradients are those of central differences",
        56: "all inside: the step's gradient is a sum of errors",
        59: "Adam does not see the scale of the gradient",
        76: "the expectation of the drop",
        84: "ASoftmax: a sigmoid of two, argmax when cold, gradients sum to 0",
        85: "AMixup: 1 is the identity, 0 the quantizer",
        86: "the gradient of KL sums to 0 and vanishes at equality",
        87: "Fisher weights of 1 are no weights",
        88: "the square has the gradient of a mean of squares",
    },
    "A-rounding, SQuant": {
        36: "after the channel stage |S_i| <= 1/2",
        37: "at the end |S_i| <= 1",
        38: "at the end |T| <= 1/2",
        39: "codes are floor or ceiling; how many flip",
        77: "one position: the channel stage flips nothing",
        78: "whole numbers stay",
        79: "sums are kept to within 1/2",
        80: "one position: as few flips as possible",
    },
    "AdaQTransform and closed forms": {
        40: "case 2.2 is eq. 8, exactly",
        41: "and takes Adam's path if the rates are scaled, otherwise not",
        42: "folding is exact and free; integers equal fake quantization",
        43: "un-folded batch norm is xi and eta, and back",
        44: "least squares: stationary, residual (1 - rho^2) var",
        45: "Lloyd's search never loses",
        46: "the closed-form step is the argmin",
        47: "neutral xi and eta change no bit; table 15.1 is one function",
        48: "the finer xi and eta are shared, the smaller the loss",
        49: "order and scale of output channels",
        50: "bias correction leaves no mean error",
        51: "bit allocation is that of brute force",
        53: "cases 1.1.2 and 2.2 start at the same loss",
        54: "gradient descent on xi and eta ends at least squares",
    },
    "Integers, ranges, redistribution, placement": {
        57: "the fixed epilogue is within one code of the float one",
        58: "int32 accumulators are those of float64",
        60: "OS+ keeps the float function",
        61: "SmoothQuant keeps it and balances maxima",
        62: "RepQ keeps it",
        63: "and keeps the codes where z is whole",
        64: "forms and codes of log sqrt 2",
        65: "CLE keeps the function and equalizes ranges",
        81: "the KL search of amct: candidates, scale, sign, channels",
        82: "searches never lose to min-max",
        83: "searches follow scale, and sign on narrow grids",
        89: "both placements: the same float function, the same chain",
        90: "nested grids: one more bit never loses",
    },
}
PROPERTIES = {number: says for part in SECTIONS.values() for number, says in part.items()}


def marked() -> dict[int, list[str]]:
    """Return the tests, as ``file::test``, that name each property, in the order of the files."""
    found: dict[int, list[str]] = {number: [] for number in PROPERTIES}
    for path in sorted(TESTS.glob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                marks = {int(mark) for mark in MARK.findall(ast.get_docstring(node) or "")}
                for number in sorted(marks & found.keys()):
                    found[number].append(f"{path.stem}::{node.name}")
    return found


def page() -> str:
    """Return the index as Markdown."""
    tests = marked()
    lines = ["# Properties", "", "Made by `python -m oracle_tests.properties`.", ""]
    for title, part in SECTIONS.items():
        lines += [f"## {title}", "", "| | says | tests |", "|---|---|---|"]
        for number, says in sorted(part.items()):
            names = ", ".join(f"`{test}`" for test in tests[number])
            lines.append(f"| P{number:02d} | {says.replace('|', chr(92) + '|')} | {names} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

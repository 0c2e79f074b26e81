"""Families of operations: each a package of four files.

    ops.py        descriptions, with the calls of the library and of the scalar twins
    plain.py      the same in plain NumPy, of named parts
    cases.py      inputs, chosen for what they distinguish
    variants.py   wrong implementations: parts exchanged

A new family is one such package and one word below.
"""

FAMILIES = (
    "rounding",
    "fake_quant",
    "calibrate",
    "layers",
    "integer",
    "adaround",
    "losses",
    "optimum",
    "aquant",
    "adaqtransform",
    "mixing",
    "redistribution",
)

"""Kernels in CUDA C++ as backends, compiled at run time with one set of options for each.

refquant verify validation.cuda.cupy_backend:Cuda32
refquant fingerprint validation.cuda.cupy_backend:FastMath
"""

from functools import cached_property
from pathlib import Path
from typing import Any

import cupy
import numpy as np

from validation.backends.common import CODES, Arrays, dispatch

SOURCE = Path(__file__).with_name("kernels.cu")
THREADS = 64
RULES = ("rint", "half_up", "half_down", "half_away", "floor", "ceil")
REST = {"low": -1, "zero_point": 0, "high": 1}


class Cuda:
    """The kernels of kernels.cu, for float or double, with options of the compiler."""

    profile = "any"

    def __init__(self, dtype: str, *options: str) -> None:
        how = " ".join([dtype, *options])
        self.name, self.dtype, self.options = f"CUDA C++, {how}", dtype, options

    @cached_property
    def kernels(self) -> Any:
        """Compiled by NVRTC once."""
        real = "-DREAL=double" if self.dtype == "float64" else "-DREAL=float"
        return cupy.RawModule(code=SOURCE.read_text(), options=(real, *self.options))

    def run(self, op: str, inputs: Arrays, attrs: Arrays) -> Arrays:
        """Look the op up."""
        x = {k: cupy.asarray(np.array(v, order="C")) for k, v in inputs.items()}
        parts = (
            self.border_round, self.fake_quant, self.adaround_weight,
            self.requant_float, self.requant_fixed,
        )  # fmt: skip
        found = dispatch(op, x, attrs, **{part.__name__: part for part in parts})
        return {k: cupy.asnumpy(v) for k, v in found.items()}

    def launch(self, name: str, given: tuple[Any, ...], outputs: Arrays, *numbers: int) -> Arrays:
        """One thread for each element of the first array."""
        size = given[0].size
        blocks = (size + THREADS - 1) // THREADS
        arguments = [*given, *outputs.values(), *(np.int32(n) for n in (size, *numbers))]
        if blocks:
            self.kernels.get_function(name)((blocks,), (THREADS,), tuple(arguments))
        return outputs

    def border_round(self, x: Arrays, attrs: Arrays) -> Arrays:
        """Each number has a border."""
        return self.launch("border_round", (x["u"], x["border"]), {"y": cupy.empty_like(x["u"])})

    def fake_quant(self, x: Arrays, attrs: Arrays) -> Arrays:
        """Every rule and every code of NaN."""
        value = x["x"]
        outputs = {"y": cupy.empty_like(value), "codes": codes_like(value)}
        numbers = (RULES.index(attrs["rounding"]), REST[attrs["nan"]])
        where = *per(value, x["s"], attrs["axis"]), *CODES[attrs["grid"]](attrs["bits"])
        given = value, x["s"], x["zero_point"]
        return self.launch("fake_quant", given, outputs, *where, *numbers)

    def adaround_weight(self, x: Arrays, attrs: Arrays) -> Arrays:
        """Soft, or hard with codes."""
        w, soft = x["w"], attrs["rounding"] == "soft"
        outputs = {"w_hat": cupy.empty_like(w), "codes": codes_like(w)}
        where = *per(w, x["s"], 0), *CODES[attrs["grid"]](attrs["bits"])
        given = w, x["s"], x["zero_point"], x["alpha"]
        self.launch("adaround_weight", given, outputs, *where, soft, attrs["tie"] == "up")
        return {"w_hat": outputs["w_hat"]} if soft else outputs

    def requant_float(self, x: Arrays, attrs: Arrays) -> Arrays:
        """Through floats."""
        given = x["acc"], x["scale"], x["offset"], x["step"], x["zero_point"]
        return self.requantized("requant_float", given, attrs)

    def requant_fixed(self, x: Arrays, attrs: Arrays) -> Arrays:
        """Through 64-bit integers, rounded twice or once."""
        given = x["acc"], x["m0"], x["exponent"], x["zero_point"]
        return self.requantized("requant_fixed", given, attrs, attrs["requantize"] == "double")

    def requantized(self, name: str, given: Any, attrs: Arrays, *numbers: int) -> Arrays:
        """What both epilogues are launched with."""
        where = *per(given[0], given[1], attrs["axis"]), *CODES[attrs["grid"]](attrs["bits"])
        outputs = {"codes": codes_like(given[0])}
        return self.launch(name, given, outputs, *where, attrs["relu"], *numbers)


def codes_like(x: Any) -> Any:
    """Where 32-bit codes go."""
    return cupy.empty(x.shape, cupy.int32)


def per(x: Any, parameter: Any, axis: int | None) -> tuple[int, int]:
    """Elements between two channels of x, and how many parameters there are."""
    shape = x.shape[axis % x.ndim + 1 :] if axis is not None and parameter.ndim else ()
    return int(np.prod(shape, dtype=int)), parameter.size


Cuda64, Cuda32 = Cuda("float64"), Cuda("float32")
Unfused = Cuda("float32", "--fmad=false")
FastMath = Cuda("float32", "--use_fast_math")

"""Run a plan: as the hardened fake-quantized network, or in integers.

Reference: methods 17; AdaQTransform equations 4 and 9 (P42, P58).

    run_fake       codes as float64, float epilogue: what the calibration measured
    run_integer    codes and accumulators in int32; epilogue "float" or "fixed"

With the float epilogue both give the same codes and the same output, bit for bit: the accumulators
are the same whole numbers, and one function turns them into real values. The fixed epilogue
rounds in other places and stays within one code per layer (P57).

Large inputs are best cut into batches: ``network.predict(lambda x: run_integer(plan, x).output,
x)``. Neither codes nor integers depend on the cut.
"""

from refquant._checks import check_in, complaint
from refquant._types import Array
from refquant.deploy.build import product_of, quantizer_of
from refquant.deploy.evaluate import Forced, Trace, evaluate
from refquant.deploy.fixed import compile_fixed
from refquant.deploy.plan import Plan
from refquant.deploy.rules import fake_rules, fixed_rules, integer_rules

EPILOGUES = ("float", "fixed")


def run_fake(plan: Plan, x: Array, forced: Forced | None = None) -> Trace:
    """Run the hardened fake-quantized network in float64.

    Parameters
    ----------
    plan : Plan
    x : (n, \\*input_shape) array, float32 or float64
    forced : mapping of quantize-node name to array of codes, optional
        See `run_integer`.

    Returns
    -------
    Trace
    """
    return evaluate(plan, x, fake_rules(plan), forced)


def run_integer(
    plan: Plan,
    x: Array,
    epilogue: str = "float",
    requantize: str = "double",
    guard_bits: int = 8,
    forced: Forced | None = None,
) -> Trace:
    """Run the network on integers.

    Parameters
    ----------
    plan : Plan
    x : (n, \\*input_shape) array, float32 or float64
        Real numbers; the network's first quantize node makes codes of them.
    epilogue : {"float", "fixed"}
        Between the layers: real numbers in float64, or int32 only (methods 17.3, 17.4). "fixed"
        needs a step on every edge.
    requantize : {"double", "single"}
        Rounding stages of the fixed epilogue; see `refquant.deploy.requantize`.
    guard_bits : int
        Extra bits of the common step at additions, fixed epilogue only; fewer are taken where
        int32 leaves no room.
    forced : mapping of quantize-node name to array of codes, optional
        Codes that the readers of these edges see in place of the computed ones, so that every
        layer can be compared from equal inputs.

    Returns
    -------
    Trace

    Raises
    ------
    ValueError
        If a layer's input is not quantized, or the epilogue is "fixed" and a node has no
        fixed-point form; the message names the node and says why.
    """
    check_in("run_integer", "epilogue", epilogue, EPILOGUES)
    _check_sources(plan)
    if epilogue == "float":
        return evaluate(plan, x, integer_rules(plan), forced)
    program = compile_fixed(plan, guard_bits)
    return evaluate(plan, x, fixed_rules(plan, program, requantize), forced)


def _check_sources(plan: Plan) -> None:
    for name, layer in plan.layers.items():
        if layer.source is None:
            got = "a linear layer whose input is in real numbers"
            fix = "Quantize the activations too, or use run_fake."
            if found := quantizer_of(plan.network, product_of(plan.network, name).inputs[0]):
                got = f"a linear layer behind {found!r}, whose levels are powers of sqrt(2)"
                fix = "Leave out 'log-sqrt2', or use run_fake (Result.network)."
            where = f"node {name!r}"
            raise ValueError(complaint("run_integer", where, got, "codes as input", fix))

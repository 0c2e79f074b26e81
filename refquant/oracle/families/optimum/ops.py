"""Descriptions of the rounding problem of a row, its solvers, and bit allocation."""

from typing import Any

import numpy as np

from refquant.optimal.bit_allocation import allocate_bits
from refquant.optimal.brute_force import brute_force
from refquant.optimal.local_search import one_flip
from refquant.optimal.moments import gram_loss, input_moments
from refquant.optimal.qubo import build_qubo, qubo_energy
from refquant.optimal.row import Row
from refquant.oracle.exact import bit_allocation as bit_twin
from refquant.oracle.exact import qubo as twin
from refquant.oracle.families.optimum import plain
from refquant.oracle.op import Arrays, Attr, Attrs, Inputs, Op, Tensor
from refquant.quantizers.grid import KINDS, Grid

Numbers = dict[str, Any]
Q = Tensor("q", "float", "(k, k)", "symmetric; the energy of a choice is h^T Q h")
H = Tensor("h", "int", "(k,)", "the choice: 0 stays at the floor, 1 goes one up")
ENERGY = Tensor("energy", "float", "()", "h^T Q h, without the constant")


def _build(inputs: Inputs, attrs: Attrs) -> Arrays:
    w = inputs["w"]
    low, high = Grid(attrs["grid"], attrs["bits"]).limits(int(inputs["zero_point"]))
    parts = (np.full(w.shape, value, np.float64) for value in (inputs["s"], low, high))
    found = build_qubo(Row(w, *parts), input_moments(inputs["x"], inputs.get("x_hat")))
    constant = np.asarray(found.constant)
    return {"q": found.q, "constant": constant, "base": found.base, "free": found.free}


def _build_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    w = numbers["w"]
    low, high = Grid(attrs["grid"], attrs["bits"]).limits(numbers["zero_point"])
    step, n, p = ([value] * len(w) for value in (numbers["s"], low, high))
    base, free = twin.base_levels(w, step, n, p)
    x = [list(column) for column in zip(*numbers["x"], strict=True)]
    if "x_hat" not in numbers:
        q, constant = twin.build_symmetric(w, step, base, free, twin.moment(x, x))
    else:
        x_hat = [list(column) for column in zip(*numbers["x_hat"], strict=True)]
        moments = (twin.moment(a, b) for a, b in ((x_hat, x_hat), (x_hat, x), (x, x)))
        q, constant = twin.build_asymmetric((w, step, base, free), *moments)
    return {"q": q, "constant": constant, "base": base, "free": free}


def _energy(inputs: Inputs, attrs: Attrs) -> Arrays:
    return {"energy": np.asarray(qubo_energy(inputs["q"], inputs["h"]))}


def _energy_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    return {"energy": [twin.energy(numbers["q"], h) for h in numbers["h"]]}


def _exact(inputs: Inputs, attrs: Attrs) -> Arrays:
    found = brute_force(inputs["q"])
    return {"h": found.h, "energy": np.asarray(found.energy)}


def _exact_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    h, energy = twin.exact_optimum(numbers["q"])
    return {"h": h, "energy": energy}


def _one_flip(inputs: Inputs, attrs: Attrs) -> Arrays:
    found = one_flip(inputs["q"], inputs["h0"])
    return {"h": found.h, "energy": np.asarray(found.energy)}


def _one_flip_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    h = twin.one_flip(numbers["q"], tuple(numbers["h0"]))
    return {"h": h, "energy": twin.energy(numbers["q"], h)}


def _gram_loss(inputs: Inputs, attrs: Attrs) -> Arrays:
    return {"loss": np.asarray(gram_loss(inputs["w"], inputs["w_hat"], inputs["gram"]))}


def _gram_loss_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    total: Any = 0
    for row, rounded in zip(numbers["w"], numbers["w_hat"], strict=True):
        e = [a - b for a, b in zip(row, rounded, strict=True)]
        total += sum(a * g * b for a, line in zip(e, numbers["gram"], strict=True)
                     for g, b in zip(line, e, strict=True))  # fmt: skip
    return {"loss": total}


def _allocate(inputs: Inputs, attrs: Attrs) -> Arrays:
    found = allocate_bits(inputs["loss"], inputs["size"], float(inputs["budget"]))
    totals = {"total_loss": np.asarray(found.loss), "total_size": np.asarray(found.size)}
    return {"choice": found.choice, **totals}


def _allocate_twin(numbers: Numbers, attrs: Numbers) -> Numbers:
    loss, size = numbers["loss"], numbers["size"]
    choice = bit_twin.allocate_bits(loss, size, numbers["budget"]) or ()
    totals = {
        "total_loss": bit_twin.total(loss, choice),
        "total_size": bit_twin.total(size, choice),
    }
    return {"choice": choice, **totals}


OPS = (
    Op(
        name="qubo_build",
        says="The rounding of one row of weights as a quadratic problem in 0 and 1.",
        formula="F = clip(floor(w / s), n, p);  f = w / s - F;  free: n <= floor(w / s) < p\n"
        "G = x x^T / m;  Q = s^2 (G - 2 diag(G f));  constant = s^2 f^T G f\n"
        "with x_hat: Gh = x_hat x_hat^T / m;  C = x_hat x^T / m\n"
        "Q = s^2 Gh + diag(2 s^2 Gh F - 2 s C w)\n"
        "constant = s^2 F^T Gh F - 2 s F^T C w + w^T G w\n"
        "rows and columns that are not free are dropped from Q last",
        inputs=(
            Tensor("w", "float", "(d,)", "float weights of one output"),
            Tensor("s", "float", "()", "distance of two levels, units of w"),
            Tensor(
                "zero_point",
                "int",
                "()",
                "the code of 0; affine: may lie outside the codes; else 0",
            ),
            Tensor("x", "float", "(d, m)", "inputs, one column a sample"),
            Tensor("x_hat", "float", "(d, m)", "quantized inputs, if any", optional=True),
        ),
        outputs=(
            Tensor("q", "float", "(k, k)", "over the k free weights, k >= 0"),
            Tensor("constant", "float", "()", "energy + constant is the mean squared error"),
            Tensor("base", "int", "(d,)", "F: levels, without the zero point"),
            Tensor("free", "bool", "(d,)", "whether rounding up or down makes a difference"),
        ),
        attrs=(
            Attr("bits", 4, "width of a code, 2..16"),
            Attr("grid", "signed", "which codes there are", KINDS),
        ),
        clauses=("7", "P32"),
        reference=_build,
        twin=_build_twin,
        composite=True,
        plain=plain.BUILD,
    ),
    Op(
        name="qubo_energy",
        says="The energy of choices.",
        formula="energy = h^T Q h of every row h",
        inputs=(Q, Tensor("h", "int", "(choices, k)", "choices of 0 and 1")),
        outputs=(Tensor("energy", "float", "(choices,)", "energies, without the constant"),),
        clauses=("7",),
        reference=_energy,
        twin=_energy_twin,
        plain=plain.ENERGY,
    ),
    Op(
        name="qubo_exact",
        says="The choice of least energy.",
        formula="h = argmin h^T Q h;  of equal energies the lexicographically smallest h;  k <= 22",
        inputs=(Q,),
        outputs=(H, ENERGY),
        clauses=("7", "C7"),
        reference=_exact,
        twin=_exact_twin,
        plain=plain.EXACT,
    ),
    Op(
        name="qubo_1flip",
        says="Steepest descent by single flips.",
        formula="flip the variable that lowers the energy most, the lowest index among equals,\n"
        "until no flip lowers it:  d_i = (1 - 2 h_i) (Q_ii + 2 sum_{j != i} Q_ij h_j)",
        inputs=(Q, Tensor("h0", "int", "(k,)", "the start")),
        outputs=(H, ENERGY),
        clauses=("7", "C6", "P74"),
        reference=_one_flip,
        twin=_one_flip_twin,
        plain=plain.ONE_FLIP,
    ),
    Op(
        name="gram_loss",
        says="The squared error of a layer, mean over samples, by second moments of its input.",
        formula="loss = tr((w - w_hat) gram (w - w_hat)^T);  gram = x x^T / m",
        inputs=(
            Tensor("w", "float", "(c_out, d)", "float weights"),
            Tensor("w_hat", "float", "(c_out, d)", "quantized weights"),
            Tensor("gram", "float", "(d, d)", "second moments of the input"),
        ),
        outputs=(Tensor("loss", "float", "()", "summed over the outputs"),),
        clauses=("7", "P25"),
        reference=_gram_loss,
        twin=_gram_loss_twin,
        plain=plain.GRAM_LOSS,
    ),
    Op(
        name="bit_alloc_exact",
        says="One bit width for each layer: least total loss within a budget.",
        formula="choice = argmin sum_l loss[l, choice_l]  with  sum_l size[l, choice_l] <= budget\n"
        "of equal losses the lexicographically smallest choice;  some choice fits",
        inputs=(
            Tensor("loss", "float", "(l, b)", "loss of each layer at each width"),
            Tensor("size", "float", "(l, b)", "its size"),
            Tensor("budget", "float", "()", "the largest total size allowed"),
        ),
        outputs=(
            Tensor("choice", "int", "(l,)", "index of the width of each layer"),
            Tensor("total_loss", "float", "()", "of the choice"),
            Tensor("total_size", "float", "()", "of the choice"),
        ),
        clauses=("8", "C7", "P51"),
        reference=_allocate,
        twin=_allocate_twin,
        plain=plain.ALLOCATE,
    ),
)

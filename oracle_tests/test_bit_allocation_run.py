"""Bit allocation as part of a run: what is measured, what is chosen, what the rest makes of it."""

import itertools
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

import refquant as rq
from oracle_tests.reconstruct_cases import images, residual
from oracle_tests.term_cases import kl_rows
from refquant.cli.compare_report import markdown
from refquant.cli.main import main
from refquant.components import FreeBias
from refquant.methods import METHODS, BitAllocation, resolve
from refquant.network import Network, Node, evaluate
from refquant.optimal.bit_allocation_milp import allocate_bits_milp
from refquant.oracle.exact import bit_allocation as twin
from refquant.reconstruct.allocate import allocated
from refquant.reconstruct.model import Bits, build_model
from refquant.sweeps import integer_equals_fake

NET = residual()
X = images(NET)
LAYERS = ("stem", "dw", "point", "fc")
SIZES = {"stem": 72, "dw": 36, "point": 16, "fc": 12}
PLACES = {"stem": 16, "dw": 16, "point": 16, "fc": 1}  # output maps of 4 x 4, and the last layer
HOW = BitAllocation(bits=(4, 3, 2))
RUN = {"weight_bits": 3, "act_bits": 4, "first_last_bits": None}


def nearest(how, **fields):
    return replace(METHODS["nearest"], allocate=how, **fields)


@given(data=st.data())
@settings(max_examples=30)
def test_scipys_solver_equals_brute_force(data):
    """P51: whole losses and sizes with ties; the optimum's loss, within the budget."""
    layers, choices = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    entries = st.integers(0, 5)
    row = st.lists(entries, min_size=choices, max_size=choices)
    table = st.lists(row, min_size=layers, max_size=layers)
    loss, size = data.draw(table), data.draw(table)
    budget = sum(min(row) for row in size) + data.draw(st.integers(0, 6))
    best = twin.allocate_bits(loss, size, budget)
    found = allocate_bits_milp(np.array(loss, float), np.array(size, float), budget)
    picks = found.choice.tolist()
    assert found.loss == twin.total(loss, picks) == twin.total(loss, best)
    assert found.size == twin.total(size, picks) <= budget
    with pytest.raises(ValueError, match=r"allocate_bits_milp\(\): budget is .*smallest"):
        allocate_bits_milp(np.array(loss, float), np.array(size, float), budget - 7 - 20)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"success": True, "x": np.array([1.0, 0.0])}, "budget is 1.0, overdrawn by rounding"),
        ({"success": False, "message": "Time limit"}, "the solver stopped with: Time limit"),
    ],
)
def test_what_the_solver_must_not_answer_is_refused(answer, words, monkeypatch):
    """A choice of size 1.5 for a budget of 1, and none at all."""
    monkeypatch.setattr(optimize, "milp", lambda *_, **__: optimize.OptimizeResult(answer))
    with pytest.raises(RuntimeError, match=words):
        allocate_bits_milp(np.array([[0.0, 1.0]]), np.array([[1.5, 1.0]]), 1.0)


def defined_increases(network, widths, at_inputs):
    """KL of the logits with one layer at one width, the others at the first, less all at it.

    Rounded with `quantize` itself at one width for all; codes and input quantizers of one layer
    are then put among those of another run.
    """
    x_run = {"act_bits": RUN["act_bits"], "first_last_bits": None}
    runs = {}
    for width in widths:
        both = {**x_run, **({"act_bits": width} if at_inputs else {})}
        runs[width] = rq.quantize(NET, X, network, weight_bits=width, **both)
    base = runs[widths[0]]
    float_logits = NET(X)

    def logits(layer, width):
        own = dict(hard(base))
        own |= {key: v for key, v in hard(runs[width]).items() if key[0].startswith(f"{layer}.")}
        nodes = [
            runs[width].prepared.node(n.name) if n.name == f"{layer}.patches.q" else n
            for n in base.prepared.nodes
        ]
        mixed = replace(base.prepared, nodes=tuple(nodes), params=own)
        return evaluate(mixed, X, ("fc",))["fc"]

    table = np.array([[kl_rows(logits(n, w), float_logits).mean() for w in widths] for n in LAYERS])
    return table - table[:, :1]


def hard(result):
    params = dict(result.prepared.params)
    for name, one in result.layers.items():
        steps = np.reshape(one.s_w, (-1, *(1,) * (one.codes.ndim - 1)))
        params[(f"{name}.product", "w")] = steps * (one.codes - one.zero_point)
    return params


CASES = {
    "memory": (HOW, {}, 1),
    "milp": (replace(HOW, solver="milp"), {}, 1),
    "bit-operations": (replace(HOW, cost="bit-operations"), {"placement": "input"}, 2),
    "given share": (replace(HOW, share=0.08), {}, 1),
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_chooses_what_brute_force_chooses(case):
    """P51 through `quantize`: losses from their definition, all 81 choices, the first best one."""
    how, fields, power = CASES[case]
    setting = nearest(how, **fields)
    result = rq.quantize(NET, X, setting, **RUN)
    found = result.allocation
    increase = defined_increases(replace(setting, allocate=None), how.bits, power == 2)
    np.testing.assert_allclose([one.increase for one in found.layers], increase, atol=1e-14)
    loss = np.maximum(increase, 1e-6)
    loss[:, 0] = 0.0
    counts = [SIZES[n] * (PLACES[n] if power == 2 else 1) for n in LAYERS]
    size = [[count * width**power for width in how.bits] for count in counts]
    budget = sum(counts) * (3 if power == 1 else 3 * 4)
    if how.share is not None:
        budget = how.share * 32 * sum(counts)
    best = min(
        (sum(loss[i, c] for i, c in enumerate(picks)), picks)
        for picks in itertools.product(range(3), repeat=4)
        if sum(size[i][c] for i, c in enumerate(picks)) <= budget
    )
    widths = [how.bits[c] for c in best[1]]
    assert [one.bits for one in found.layers] == widths == list(result.widths.values())
    assert found.loss == pytest.approx(best[0], rel=1e-9) and found.size <= found.budget
    assert found.budget == pytest.approx(budget) and len({*widths}) > 1
    assert found.size == sum(one.size for one in found.layers)
    if power == 2:
        inputs = [result.prepared.node(f"{n}.patches.q").attr("component").bits for n in LAYERS]
        assert inputs == widths
    for name, layer in result.layers.items():
        low, high = -(2 ** (result.widths[name] - 1)), 2 ** (result.widths[name] - 1) - 1
        assert layer.codes.min() >= low and layer.codes.max() <= high
    assert integer_equals_fake(result, X) is True
    assert all(gap.feasible for gap in result.optimality_gap(X))  # on the grid of its own width


@pytest.mark.parametrize("method", ["nearest", "adaround", "qdrop", "aquant"])
def test_where_there_is_no_choice_the_run_is_the_plain_one(method):
    """A budget of the smallest width, and one for the base everywhere: bit for bit."""
    run = {"act_bits": 4, "first_last_bits": None, "steps": 3, "seed": 5}
    for bits, share in ((2, None), (4, 1.0)):
        how = BitAllocation(bits=(4, 2), share=share)
        found = rq.quantize(NET, X, replace(METHODS[method], allocate=how), weight_bits=bits, **run)
        plain = rq.quantize(NET, X, method, weight_bits=bits, **run)
        assert {*found.widths.values()} == {bits}
        for name, layer in found.layers.items():
            np.testing.assert_array_equal(layer.codes, plain.layers[name].codes)
        np.testing.assert_array_equal(found.network(X), plain.network(X))


def test_ends_keep_their_width_and_learning_follows():
    """Between the first and the last layer alone; the same run gives the same bits."""
    run = {"weight_bits": 3, "act_bits": 4, "first_last_bits": 6, "steps": 3}
    one, two = (rq.quantize(NET, X, "qdrop+bit-allocation+cle", **run) for _ in range(2))
    assert [row.layer for row in one.allocation.layers] == ["dw", "point"]
    assert (one.widths["stem"], one.widths["fc"]) == (6, 6) and len(one.history) == 3
    np.testing.assert_array_equal(one.network(X), two.network(X))
    assert integer_equals_fake(one, X) is True


def test_a_rounded_bias_has_the_bits_of_its_layer():
    """AdaQuant's b_w + b_x, of the widths that were given out."""
    setting = nearest(HOW, output=FreeBias(fake_quant=True))
    bits = Bits(weights=3, activations=5, first_last=None)
    model = allocated(build_model(NET, X, setting, bits), X, HOW, bits)
    widths = {one.layer: one.bits for one in model.allocation.layers}
    assert model.bias_bits == {layer: width + 5 for layer, width in widths.items()}


def test_nothing_between_two_ends_is_noted():
    """Two layers, both of a width of their own."""
    rng = np.random.default_rng(0)
    nodes = (Node("a", "linear", ("input",)), Node("b", "linear", ("a",)))
    params = {("a", "w"): rng.normal(size=(3, 4)), ("b", "w"): rng.normal(size=(2, 3))}
    network, x = Network("two", (4,), nodes, params), rng.normal(size=(8, 4))
    result = rq.quantize(network, x, "nearest+bit-allocation")
    assert result.allocation is None
    assert result.notes == (
        "BitAllocation: its pattern is absent from 'two', which stays as it is",
    )


def test_contradictions_are_refused():
    with pytest.raises(ValueError, match="beside real weights"):
        resolve("aquant-w32+bit-allocation")
    with pytest.raises(ValueError, match="Use placement='input'"):
        nearest(BitAllocation(cost="bit-operations"))
    for bits in ((4,), (2, 4), (4, 4), (4, 1)):
        with pytest.raises(ValueError, match="bits is"):
            BitAllocation(bits=bits)
    with pytest.raises(ValueError, match=r"share is 0\.0"):
        BitAllocation(share=0.0)
    with pytest.raises(ValueError, match="the widths of layers"):
        resolve("nearest+bit-allocation+bit-allocation")
    with pytest.raises(ValueError, match=r"weight_bits is 2 a weight.*at least 3"):
        rq.quantize(NET, X, nearest(BitAllocation(bits=(8, 3))), weight_bits=2)


def test_reports_and_rows_have_it(tmp_path, capsys):
    """quantize, compare (rows kept and found again), describe, and the saved result."""
    name = "nearest+bit-allocation"
    words = ["digits-mlp", "--quiet", "--json"]
    assert main(["quantize", *words, "--method", name, "--weight-bits", "3"]) == 0
    report = json.loads(capsys.readouterr().out)["allocation"]
    assert report["widths"] == [8, 7, 6, 5, 4, 3, 2] and report["size"] <= report["budget"]
    assert [row["layer"] for row in report["layers"]] == ["fc2"]
    compare = [
        "compare",
        *words,
        "--methods",
        f"nearest,{name},nearest+log-sqrt2",
        "--bits",
        "W3A8",
    ]
    compare += ["--workers", "1", "--resamples", "100", "--out", str(tmp_path / "rows")]
    outs, written = [], []
    for _ in range(2):
        assert main(compare) == 0
        compared = json.loads(capsys.readouterr().out)
        outs.append(compared["remarks"])
        written.append([path.stat().st_mtime_ns for path in sorted((tmp_path / "rows").iterdir())])
    assert written[0] == written[1] and len(written[0]) == 3  # not run again
    assert outs[0] == outs[1] and [one["method"] for one in outs[0]] == [name, "nearest+log-sqrt2"]
    assert outs[0][0]["allocation"] == report
    assert main([*compare[:2], *compare[4:]]) == 0  # as text
    line = f"digits-mlp:1 {name} W3A8: bits: fc2 {report['layers'][0]['bits']}"
    note = f"digits-mlp:1 nearest+log-sqrt2 W3A8: {outs[0][1]['notes'][0]}"
    assert f"\n\n{line}\n{note}\n" in capsys.readouterr().out
    assert f"\n\n{line}\n\n{note}\n\n" in markdown(compared)
    assert main(["quantize", "digits-mlp", "--quiet", "--method", name, "--weight-bits", "3"]) == 0
    text = capsys.readouterr().out
    assert f"size {report['size']:.0f} of at most {report['budget']:.0f}" in text
    assert re.search(rf"\nfc2 +{report['layers'][0]['bits']} ", text) and "loss at 8" in text
    assert main(["describe", name]) == 0
    assert "  allocate: BitAllocation\n    bits: (8, 7, 6, 5, 4, 3, 2)\n" in capsys.readouterr().out

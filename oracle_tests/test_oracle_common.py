"""What all failures of an op have in common: bugs made by hand, each named by its place."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from oracle_tests.oracle_cases import Backend, half_away
from oracle_tests.wrong_samples import OP, RIGHT, SHAPE, at, case
from refquant import oracle
from refquant._types import Array
from refquant.oracle import corpus
from refquant.oracle.build import Built, Golden
from refquant.oracle.common import common
from refquant.oracle.compare import compare
from refquant.oracle.conditions import bounds, conditions
from refquant.oracle.diagnose import Diagnosis, Seen
from refquant.oracle.layouts import LAYOUTS
from refquant.oracle.places import places
from refquant.oracle.registry import ops
from refquant.oracle.tiers import FORMATS

Change = Callable[[Any, Any, Any], Any]


class Changed:
    """The plain op, changed behind."""

    name = "changed"

    def __init__(self, change: Change) -> None:
        self.change = change

    def run(self, op: str, inputs: Any, attrs: Any) -> Any:
        """Compute, then change the outputs in view of inputs and attributes."""
        found = {k: v.copy() for k, v in ops()[op].plain(inputs, attrs).items()}
        return self.change(found, inputs, attrs) or found


def diagnosis(op: str, change: Change) -> Diagnosis:
    """Return what is said of a bug."""
    return oracle.verify(Changed(change), ops=op).failures[0].diagnosis


def tail(found: Any, inputs: Any, attrs: Any) -> None:
    """A loop that takes four elements at once, and forgets the rest."""
    flat = found["y"].reshape(-1)
    flat[flat.size - flat.size % 4 :] = 0


def last_channel(found: Any, inputs: Any, attrs: Any) -> None:
    """An index that stops one channel early."""
    found["y"][:, -1] = 77


def grouped(found: Any, inputs: Any, attrs: Any) -> None:
    """Groups are not known."""
    if attrs["groups"] > 1:
        found["y"] *= 2


def no_groups(found: Any, inputs: Any, attrs: Any) -> None:
    """And refused."""
    if attrs["groups"] > 1:
        raise ValueError("groups")


def strides(found: Any, inputs: Any, attrs: Any) -> None:
    """Strides that differ are mistaken."""
    if attrs["stride"][0] != attrs["stride"][1]:
        found["y"] *= 0


def bias(found: Any, inputs: Any, attrs: Any) -> None:
    """The bias comes twice."""
    if "bias" in inputs:
        found["y"] += 3 * inputs["bias"]


def top_code(found: Any, inputs: Any, attrs: Any) -> None:
    """The highest code is not used."""
    codes = found["codes"]
    codes[codes == codes.max(initial=-999)] -= 1


def odd_channels(found: Any, inputs: Any, attrs: Any) -> None:
    """Every second channel is doubled."""
    found["y"][:, 1::2] *= 2


def memory(found: Any, inputs: Any, attrs: Any) -> None:
    """Memory is read as if it lay in C order."""
    if not all(v.flags.c_contiguous for v in inputs.values()):
        found["codes"] += 1


@pytest.mark.parametrize(
    ("op", "change", "says"),
    [
        ("linear", tail, "y is wrong exactly behind the last whole 4 indices of the elements in C "
         "order; each is 0 (4 of 6 cases)"),
        ("conv2d", last_channel, "y is wrong exactly at the last index of c_out; each is 77 "
         "(11 of 11 cases)"),
        ("conv2d", grouped, "y is wrong exactly with groups other than 1; each is 2 times the "
         "right one (3 of 11 cases)"),
        ("conv2d", no_groups, "there is no answer exactly with groups other than 1 (3 of 11 "
         "cases)"),
        ("conv2d", strides, "y is wrong exactly with entries of stride that differ; each is 0 "
         "(5 of 11 cases)"),
        ("linear", bias, "y is wrong exactly with bias (5 of 6 cases)"),
        ("fake_quant", top_code, "codes is wrong exactly where the right codes is its largest; "
         "each is 1 too low"),
        ("bn_infer", odd_channels, "y is wrong only at odd indices of c; each is 2 times the right "
         "one (5 of 5 cases, 51 of 52 such elements)"),
        ("fake_quant", memory, "codes is wrong only where arrays are not in C order; each is 1 too "
         "high (27 of 57 cases, 36 have such elements)"),
    ],
)  # fmt: skip
def test_a_bug_nobody_listed_is_described_by_its_place(op: str, change: Change, says: str) -> None:
    """Over all cases of the op, and first; how many there are is the corpus's matter."""
    found = diagnosis(op, change)
    assert not found.known and found.common[0].startswith(says.partition(" (")[0])
    assert found.lines[0] == f"In common: {found.common[0]}." and found.lines[-1] == found.text


def test_a_known_bug_keeps_its_name_first() -> None:
    """And the place behind it."""
    found = oracle.verify(Backend({"rint": half_away}), ops="round").failures[0].diagnosis
    assert found.known and found.lines[0] == found.text
    assert found.lines[1].startswith("In common: y is wrong only where x is a tie")


def seen(*wrong: Array, **inputs: Any) -> list[Seen]:
    """Return a case of the sample for each mask, wrong there in no common way."""
    found = []
    for index, mask in enumerate(wrong):
        right = np.resize(RIGHT, mask.shape) + index
        built = Built(case(**{k: v[index] for k, v in inputs.items()}), {"y": Golden(right)}, {})
        odd = np.arange(mask.size).reshape(mask.shape) % 2
        value = np.where(mask, np.where(odd, right / 2, right**2 + 3), right)
        mismatches = tuple(compare(OP, built.outputs, {"y": value}, FORMATS["float64"]))
        found.append(Seen(built, {"y": value}, "C", mismatches))
    return found


def test_a_place_must_hold_in_all_failing_cases() -> None:
    """One case has the last index of w wrong, the other the first: neither is said of both."""
    last, first, none = at(..., -1), at(..., 0), np.zeros(SHAPE, bool)
    (text,) = common(OP, seen(last, last, none))
    assert text.startswith("y is wrong only at the last index of w; ")
    assert text.endswith(" (2 of 3 cases, 3 have such elements)")
    assert common(OP, seen(last, last))[0].startswith("y is wrong exactly at the last index of w")
    assert "index" not in " ".join(common(OP, seen(last, first)))


def test_numbers_are_held_side_by_side() -> None:
    """A threshold that parts all wrong elements of all cases from the right ones; NaN is right."""
    rng = np.random.default_rng(0)
    x = [rng.integers(-20, 20, SHAPE) / 4 for _ in range(3)]
    x[1].flat[5] = np.nan
    (text,) = common(OP, seen(*(v >= 2.25 for v in x), x=x))
    assert text == "y is wrong exactly where x >= 2.25 (3 of 3 cases)"
    (text,) = common(OP, seen(*((v < 0) & (v == np.rint(v)) for v in x), x=x))
    assert text == "y is wrong exactly where x is whole and x < 0 (3 of 3 cases)"


@pytest.mark.parametrize("seed", range(5))
def test_chance_is_not_described(seed: int) -> None:
    """A tenth of all elements, anywhere, in half of the cases."""
    rng = np.random.default_rng(seed)
    masks = [(rng.random(SHAPE) < 0.1 * (i % 2)) for i in range(8)]
    x = [rng.integers(-20, 20, SHAPE) / 4 for _ in masks]
    assert common(OP, seen(*masks, x=x)) == ()


def test_one_wrong_number_is_no_pattern() -> None:
    """It is shown anyway."""
    assert common(OP, seen(np.arange(9) == 4, np.zeros(9, bool))) == ()


def test_conditions_have_the_same_words_in_every_case() -> None:
    """Otherwise they could not be held side by side; memory that is not known is not spoken of."""
    op = ops()["conv2d"]
    said = [conditions(op, item, "C") for item in oracle_cases("conv2d")]
    assert len({frozenset(c["setting"]) for c in said}) == 1
    assert said[0]["setting"]["with groups other than 1"] in (True, False)
    assert conditions(op, oracle_cases("conv2d")[0])["memory"] == {}
    for layout in LAYOUTS:
        memory = conditions(op, oracle_cases("conv2d")[0], layout)["memory"]
        assert memory["where arrays are not in C order"] == (layout not in ("C", "read-only"))


def oracle_cases(op: str) -> list[Built]:
    """Return the frozen cases of an op."""
    return list(corpus.load(op))


def test_bounds_hold_for_all_that_is_wrong() -> None:
    """From the smallest to the largest wrong one; a case without the number is outside."""
    found = bounds([{"k": 3.0}, {"k": 5.0}, {"k": 9.0}, {}], [False, True, True, False])
    assert found["where k >= 5"] == [False, True, True, False]
    assert found["where k <= 9"] == [True, True, True, False]
    assert bounds([{"k": 3.0}, {}], [False, True]) == {}


def test_places_have_the_shape_of_the_output() -> None:
    """Of every op, output and case: whatever is said of an element, it is said of each."""
    for op in ops().values():
        for item in oracle_cases(op.name)[:3]:
            for output, golden in item.outputs.items():
                with np.errstate(all="ignore"):
                    found = places(op, item, output)
                for family in found.values():
                    assert all(mask.shape == golden.value.shape for mask in family.values())
                    assert all(mask.dtype == bool for mask in family.values())


@pytest.mark.parametrize(
    ("op", "change", "text"),
    [
        ("linear_backward", lambda f, i, a: {"d_bias": f["d_bias"] / len(i["x"])},
         "each is the right one divided by the size of d_y along n"),
        ("kl_logits_backward", lambda f, i, a: {"d_z": f["d_z"] * len(i["z"])},
         "each is the right one times the size of z along n"),
        ("gram_loss", lambda f, i, a: {"loss": f["loss"] * 3}, "each is 3 times the right one"),
        ("linear", lambda f, i, a: {"y": f["y"] * (1 + 1 / i["x"].size)},
         "each is the right one times a number of its case"),
    ],
)  # fmt: skip
def test_a_factor_is_recognised_in_the_numbers_of_the_case(
    op: str, change: Change, text: str
) -> None:
    """A mean for a sum is divided by a size, which differs from case to case."""
    cases = [
        b for b in oracle_cases(op) if all(np.isfinite(v).all() for v in b.case.inputs.values())
    ]
    report = oracle.verify(Changed(change), cases=cases)
    assert text in report.failures[0].diagnosis.common[0]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            lambda f, i, a: {"y": np.roll(f["y"], 1)},
            "each is the right number of the place before it",
        ),
        (lambda f, i, a: {"y": i["x"]}, "each is x at its place"),
        (lambda f, i, a: {"y": f["y"] + np.abs(f["y"]) + 1}, "each is too high"),
        (lambda f, i, a: {"y": 0 * f["y"] - 0.0}, "each is 0"),
    ],
)
def test_what_was_done_is_said_over_all_cases(change: Change, text: str) -> None:
    """A neighbour's number, the input itself, one side, one number."""
    finite = [b for b in oracle_cases("round") if np.isfinite(b.case.inputs["x"]).all()]
    report = oracle.verify(Changed(change), cases=finite)
    assert (
        f"; {text} (" in report.failures[0].diagnosis.common[0]
        or f": {text} (" in report.failures[0].diagnosis.common[0]
    )

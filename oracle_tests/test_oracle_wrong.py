"""What is kept of wrong elements, their distances in steps, and the names of axes."""

import numpy as np
import pytest

from oracle_tests.wrong_samples import OP, RIGHT, mismatch
from refquant.oracle import compare as comparison
from refquant.oracle.axes import axis_names
from refquant.oracle.build import Golden
from refquant.oracle.compare import compare
from refquant.oracle.digits import steps
from refquant.oracle.tiers import FORMATS
from refquant.oracle.wrong import gather


def test_wrong_elements_are_gathered_in_c_order_with_the_nearer_answer() -> None:
    """7 lies nearer to 6 than to 1; the elements that are right are left out."""
    golden = Golden(np.array([[1, 2], [3, 4]]), None, np.array([[6, 2], [3, 5]]))
    found = compare(OP, {"code": golden}, {"code": np.array([[7, 2], [9, 5]])}, FORMATS["float64"])
    elements = found[0].elements
    assert elements is not None and elements.complete and elements.shape == (2, 2)
    assert elements.at.tolist() == [0, 2] and elements.expected.tolist() == [6, 3]
    assert elements.actual.tolist() == [7, 9] and elements.mask.tolist() == [[1, 0], [1, 0]]


def test_nothing_is_gathered_where_all_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """The passing path costs nothing."""
    monkeypatch.setattr(comparison, "gather", None)
    assert compare(OP, {"y": Golden(RIGHT)}, {"y": RIGHT.copy()}, FORMATS["float64"]) == []


@pytest.mark.parametrize(("dtype", "unit"), [("float64", 2.0**-52), ("float32", 2.0**-23)])
def test_steps_are_units_in_the_last_place(dtype: str, unit: float) -> None:
    """Of what is expected: 1 has the unit 2^-52, 6 four times that; zero and infinity have none."""
    right, value = np.array([1.0, 6.0, 0.0, 1.0]), np.array([1.5, 5.0, 1.0, np.inf])
    found = gather(np.ones(4, bool), (right, None), value, np.full(4, unit))
    apart, limit = steps(found, dtype)
    assert apart[:2].tolist() == [0.5 / unit, 0.25 / unit] and np.isnan(apart[2:]).all()
    assert limit[:2].tolist() == [1.0, 0.25]


def test_steps_of_codes_are_whole() -> None:
    """A code that is 3 off is 3 LSB off; booleans are right or wrong."""
    codes = mismatch(np.array([1, 2]), np.array([4, 2]), "code").elements
    flags = mismatch(np.array([True]), np.array([False]), "on").elements
    assert codes and steps(codes, "float32")[0].tolist() == [3]
    assert flags and np.isnan(steps(flags, "float32")[0]).all()


@pytest.mark.parametrize(
    ("tensor", "ndim", "names"),
    [
        ("x", 4, ("n", "c", "h", "w")),
        ("y", 4, ("n", "c", "h", "w")),
        ("y", 2, ("", "")),
        ("s", 1, ("c",)),
        ("s", 0, ()),
        ("code", 3, ("c_out", "", "")),
        ("code", 1, ("c_out",)),
        ("on", 2, ("", "")),
        ("unheard of", 1, ("",)),
    ],
)
def test_axes_have_the_names_of_the_description(
    tensor: str, ndim: int, names: tuple[str, ...]
) -> None:
    """Through "like", among alternatives, and with the rest left open."""
    assert axis_names(OP, tensor, ndim) == names

"""Entering and leaving an arithmetic."""

import contextvars
import threading

import numpy as np
import pytest

from refquant import numerics as nx
from refquant.numerics import context

FAST = nx.Arithmetic()


def test_fast_is_the_default_and_blocks_nest() -> None:
    """Each block restores what was before it."""
    assert nx.current() == FAST == nx.Arithmetic("fast", None)
    with nx.arithmetic("pinned") as outer:
        assert outer == nx.current() == nx.Arithmetic("pinned", 2)
        with nx.arithmetic("pinned", slices=3):
            assert nx.current().slices == 3
            with nx.arithmetic("fast"):
                assert nx.current() == FAST
            assert nx.current().slices == 3
        assert nx.current() == outer
    assert nx.current() == FAST


def test_restored_after_an_exception() -> None:
    """An exception leaves the block and its arithmetic."""
    with pytest.raises(ZeroDivisionError), nx.arithmetic("pinned"):
        raise ZeroDivisionError
    assert nx.current() == FAST


def test_an_arithmetic_can_be_sent_and_entered() -> None:
    """What `current` returns can be entered elsewhere, and is hashable."""
    with nx.arithmetic("pinned", 1):
        sent = nx.current()
    with nx.arithmetic(sent):
        assert nx.current() == sent
    assert len({sent, nx.Arithmetic("pinned", 1), FAST}) == 2


def test_a_fresh_context_starts_in_fast() -> None:
    """A context that inherits nothing, as threads have by default, is in fast."""
    seen = []
    with nx.arithmetic("pinned"):
        empty = contextvars.Context()
        thread = threading.Thread(target=lambda: seen.append(empty.run(nx.current)))
        thread.start()
        thread.join()
    assert seen == [FAST]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("pined",), ValueError, "Did you mean 'pinned'"),
        (("pinned", 0), ValueError, r"slices is 0; expected an integer in 1\.\.3"),
        (("pinned", 4), ValueError, "slices is 4"),
        (("pinned", 2.0), TypeError, "an integer"),
        (("fast", 2), ValueError, "Only pinned"),
        ((nx.Arithmetic("pinned"), 2), ValueError, "beside an Arithmetic"),
    ],
)
def test_refusals(arguments: tuple[object, ...], error: type, message: str) -> None:
    """Unknown modes and misplaced slices; the arithmetic stays as it was."""
    with pytest.raises(error, match=message), nx.arithmetic(*arguments):  # type: ignore[arg-type]
        pass
    assert nx.current() == FAST


def test_flushed_subnormals_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entering pinned raises where the smallest numbers behave like zero."""
    nx.arithmetic("pinned").__enter__().mode  # noqa: B018
    monkeypatch.setattr(context, "SMALLEST", 0.0)
    with pytest.raises(RuntimeError, match="flushes subnormal"), nx.arithmetic("pinned"):
        pass


def test_fast_is_plain_numpy() -> None:
    """In fast, results are NumPy's own."""
    a, b = np.float32([[1, 2], [3, 4]]), np.float32([[5], [6]])
    np.testing.assert_array_equal(nx.matmul(a, b), a @ b)
    np.testing.assert_array_equal(nx.exp(a), np.exp(a))
    np.testing.assert_array_equal(nx.power(a, 1.7), a**1.7)
    np.testing.assert_array_equal(nx.sum(a, 0), a.sum(0))
    assert {f(a).dtype for f in (nx.sigmoid, nx.softmax, nx.log_softmax, nx.tanh)} == {a.dtype}

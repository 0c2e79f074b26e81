"""validation/loss_curves.py: what it makes of the records of a run."""

from types import SimpleNamespace

import numpy as np

from oracle_tests.scripts import script

SCRIPT = script("loss_curves")


def record(phase, scale, rounded, binary):
    """A record of 20 of 20 steps, the loss of the first half ten times that of the second."""
    loss = tuple(scale * (10.0 if step <= 10 else 1.0) for step in range(1, 21))
    steps = tuple(range(1, 21))
    return SimpleNamespace(phase=phase, steps=steps, loss=loss, rounded=rounded, binary=binary)


def test_losses_add_up_and_shares_are_weighted():
    """Two units: a loss summed, weights counted; the other phase does not matter."""
    rising = tuple(step / 20 for step in range(1, 21))
    history = (
        record(0, 1.0, 10, rising),
        record(1, 7.0, 10, rising),
        record(0, 2.0, 30, (1.0,) * 20),
    )
    loss, decided = SCRIPT.curves(SimpleNamespace(history=history), 0, 20)
    assert loss == [30.0] * 5 + [3.0] * 5
    np.testing.assert_allclose(decided, [(0.1 * n + 3.0) / 4.0 for n in range(1, 11)])

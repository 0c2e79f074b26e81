"""Scalar twin of Adam: one step on one list of numbers.

Written from methods.md 5.7. Numbers are floats, Fractions or tracked numbers; everything is exact
but the square root, and that too where it is rational. beta^t is a repeated multiplication, of
exact numbers only while it is short.
"""

from typing import Any

from refquant.oracle.exact.real import repeated, sqrt

SHORT = 1000  # factors: beyond it an exact product has more digits than its bound needs


def running_product(beta: Any, steps: int) -> Any:
    """Return beta * beta * ... , `steps` factors, from left to right."""
    if steps > SHORT:
        return repeated(beta, int(steps))
    product: Any = 1
    for _ in range(steps):
        product = product * beta
    return product


def adam_step(
    x: list[Any],
    g: list[Any],
    means: tuple[list[Any], list[Any]],
    t: int,
    rate: Any,
    constants: tuple[Any, Any, Any],
) -> tuple[list[Any], tuple[list[Any], list[Any]]]:
    """Return x and the means (m, v) after step number t = 1, 2, ...

    `means` are (m, v) before the step, `constants` are (beta1, beta2, eps).
    """
    beta1, beta2, eps = constants
    left1, left2 = 1 - running_product(beta1, t), 1 - running_product(beta2, t)
    m_new, v_new, x_new = [], [], []
    for x_i, g_i, m_i, v_i in zip(x, g, *means, strict=True):
        m_i = beta1 * m_i + (1 - beta1) * g_i
        v_i = beta2 * v_i + (1 - beta2) * (g_i * g_i)
        m_hat, v_hat = m_i / left1, v_i / left2
        m_new.append(m_i)
        v_new.append(v_i)
        x_new.append(x_i - rate * m_hat / (sqrt(v_hat) + eps))
    return x_new, (m_new, v_new)

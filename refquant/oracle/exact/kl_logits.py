"""Twin of the KL divergence of two softmaxes, in decimal arithmetic of 60 digits.

Written from methods.md 5.3. Logits are rows of floats (a float is taken as the exact number it
is) and finite. Imports the standard library only.
"""

from decimal import Context, Decimal, localcontext

DIGITS = Context(prec=60)
Rows = list[list[float]]


def probabilities(row: list[float], temperature: float) -> list[Decimal]:
    """exp(t_c / T) / sum exp(t / T) of one sample."""
    weights = [(Decimal(v) / Decimal(temperature)).exp() for v in row]
    total = sum(weights, Decimal(0))
    return [weight / total for weight in weights]


def kl_logits(z: Rows, t: Rows, temperature: float = 1.0) -> tuple[Decimal, list[list[Decimal]]]:
    """(mean of sum P_f ln(P_f / P_q), its gradient in z by the quotient rule of softmax)."""
    with localcontext(DIGITS):
        value, d_z = Decimal(0), []
        for row, target in zip(z, t, strict=True):
            p_q, p_f = probabilities(row, temperature), probabilities(target, temperature)
            value += sum((f * (f / q).ln() for f, q in zip(p_f, p_q, strict=True)), Decimal(0))
            scale = Decimal(temperature) * len(z)
            # dL/dz_c = -sum_k (f_k / q_k) dq_k/dz_c, dq_k/dz_c = q_k ([k = c] - q_c) / T
            d_z.append(
                [
                    -sum((f * (int(k == c) - p_q[c]) for k, f in enumerate(p_f)), Decimal(0))
                    / scale
                    for c in range(len(row))
                ]
            )
        return value / len(z), d_z

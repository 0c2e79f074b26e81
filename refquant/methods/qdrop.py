"""QDrop: learn weights and steps together while activation quantization is dropped at random.

Reference: Wei et al., "QDrop: Randomly Dropping Quantization for Extremely Low-bit Post-Training
Quantization", ICLR 2022, arXiv:2203.05740 (methods.md 10).

    paper   here                        value
    p       Mix.keep                    0.5, probability of *keeping* the quantized value (D26)
    --      Mix(at="input")             block input: quantized prefix or float, elementwise
    --      Mix(at="quantizers")        the same at every activation quantizer in the block

The block's own output quantizer stands inside the reconstructed function, and the target is the
float output, un-quantized.

Differs from: its code divides the gradient of s_x by the square root of the elements in the batch
times the largest code, and brings a step that crossed 0 back as |s| (D34). `QDROP` does neither:
BRECQ, MQBench's QDrop and PD-Quant have no such factor. `QDROP_RELEASED` does both. Adam is blind
to the factor but for its epsilon (P59): see `validation/qdrop-gradient-scale.md`.
"""

from dataclasses import replace

from refquant.methods.brecq import BRECQ, LINEAR
from refquant.methods.lsq import S_X
from refquant.methods.setting import Learn, Mix, Phase

QDROP = replace(
    BRECQ,
    name="qdrop",
    reference="Wei et al. 2022, arXiv:2203.05740",
    parents=("brecq",),
    order="unit-first",
    phases=(
        Phase(
            learn=(("alpha", Learn(lr=1e-3)), ("s_x", S_X)),
            unit="block",
            mix=(Mix(at="input", keep=0.5), Mix(at="quantizers", keep=0.5)),
            penalty=LINEAR,
            sampling="with_replacement",
            steps=20_000,
        ),
    ),
)

QDROP_RELEASED = replace(
    QDROP,
    name="qdrop-released",
    reference="wimh966/QDrop, step's gradient (D34)",
    parents=("qdrop",),
    phases=(
        replace(
            QDROP.phases[0],
            learn=(
                ("alpha", Learn(lr=1e-3)),
                ("s_x", replace(S_X, grad_scale="qdrop", reflect=True)),
            ),
        ),
    ),
)

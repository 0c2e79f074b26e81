"""QDrop: learn weights and steps together while activation quantization is dropped at random.

Reference: Wei et al., "QDrop: Randomly Dropping Quantization for Extremely Low-bit Post-Training
Quantization", ICLR 2022, arXiv:2203.05740 (methods.md 10).

    paper   here                        value
    p       Mix.keep                    0.5, probability of *keeping* the quantized value (D26)
    --      Mix(at="input")             block input: quantized prefix or float, elementwise
    --      Mix(at="quantizers")        the same at every activation quantizer in the block

Differs from: its code scales the gradient of s_x and reflects a step that crossed 0, see `lsq`.

The block's own output quantizer stands inside the reconstructed function, and the target is the
float output, un-quantized.
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

"""LSQ after training: nothing is rounded adaptively, only the steps are learnt.

Reference: Esser et al., "Learned Step Size Quantization", arXiv:1902.08153, with the float weights
frozen and the layer's output as the target (methods.md 12; AdaQTransform's case 1.2).

    paper   here        value
    s_w     s_w         one per output channel, Adam 4e-5 at 20,000 steps, relative to its size
    s_x     s_x         one per tensor, Adam 4e-5 at 20,000 steps, cosine

Differs from: LSQ trains the weights too, with the task's loss and labels; `qat-lsq` does. LSQ and
QDrop scale the gradients of steps (`Learn.grad_scale`), and QDrop and MQBench bring a step that
crossed 0 back as |s| (`Learn.reflect`); here it has no scale and stops at the floor. Both are off
in the other methods with these rates too, but for `qdrop-released`.
"""

from dataclasses import replace

from refquant.methods.nearest import NEAREST
from refquant.methods.setting import Learn, Phase

FLOOR = (1.19e-7, 1e5)  # QDrop keeps |s| above float32's epsilon (methods.md 2.1)
S_X = Learn(lr=4e-5, schedule="cosine", project=FLOOR)
S_W = Learn(lr=4e-5, schedule="cosine", relative=True, project=FLOOR)

LSQ = replace(
    NEAREST,
    name="lsq",
    reference="Esser et al. 2020, arXiv:1902.08153",
    parents=("nearest",),
    phases=(Phase(learn=(("s_w", S_W), ("s_x", S_X)), unit="block", steps=20_000),),
)

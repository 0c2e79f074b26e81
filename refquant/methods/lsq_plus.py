"""LSQ+ after training: LSQ, and the zero of the activations is learnt too.

Reference: Bhalgat et al., arXiv:2004.09576, with the float weights frozen and the block's output as
the target (methods.md 2.2 and 12).

    paper   here   setting         value
    s       s_x    both            as in LSQ
    z       z_x    `lsq+`          integer zero point, Adam 4e-5 at 20,000 steps, in codes
    o       o_x    `lsq+offset`    real offset, Adam 4e-5 at 20,000 steps, in units of x

Differs from: LSQ+ trains the weights with the task's loss, and gives its offset to activations with
negative values alone; here every quantizer learns one, and behind a ReLU it starts at 0. The paper
has the real offset; QDrop and MQBench the integer zero point, which deploys at any placement. The
paper starts both by a search of their own, ``LsqPlusActivations(calibration=LsqPlusSearch())``;
here they start where LSQ does, so that what is learnt is the only difference. At
the steps' rate, which is QDrop's, an integer zero point travels 0.4 codes at most, so that one that
starts at 0 stays there: on digits-resnet at W2A2 and 200 steps `lsq+` ends with the codes of `lsq`.
"""

from dataclasses import replace

from refquant.components import LsqPlusActivations
from refquant.methods.lsq import LSQ
from refquant.methods.setting import Learn

ZERO = Learn(lr=4e-5, schedule="cosine")
CALIBRATION = LSQ.activations.calibration

LSQ_PLUS = replace(
    LSQ,
    name="lsq+",
    reference="Bhalgat et al. 2020, arXiv:2004.09576",
    parents=("lsq",),
    activations=LsqPlusActivations(calibration=CALIBRATION),
    phases=(replace(LSQ.phases[0], learn=(*LSQ.phases[0].learn, ("z_x", ZERO))),),
)
LSQ_PLUS_OFFSET = replace(
    LSQ_PLUS,
    name="lsq+offset",
    reference="arXiv:2004.09576, real offset; AT eq. 11",
    parents=("lsq+",),
    placement="input",
    activations=LsqPlusActivations(calibration=CALIBRATION, form="offset"),
    phases=(replace(LSQ.phases[0], learn=(*LSQ.phases[0].learn, ("o_x", ZERO))),),
)

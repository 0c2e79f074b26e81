"""MRECG: QDrop, with neighbouring blocks reconstructed as one.

Reference: Ma et al., "Solving Oscillation Problem in Post-Training Quantization Through a
Theoretical Perspective", CVPR 2023, arXiv:2303.11906 (methods.md 9.1).

    paper                  here           value
    mixed granularity      Phase.merge    sizes of the first groups of neighbours, here (1, 2)
    the rest               QDROP          steps, rates, drops and penalty

The loss of a block oscillates along depth where a block with little capacity follows one with
much; merging the two lets either answer the other. Which to merge depends on the network, so the
scheme is part of the setting: `dataclasses.replace` the phase with one of your own.

Not modelled: the measure of capacity by which the paper chooses the scheme (methods.md 9.1 does not
specify it). (1, 2) keeps the first unit alone and merges the next two; it is no recommendation.
"""

from dataclasses import replace

from refquant.methods.qdrop import QDROP

MRECG = replace(
    QDROP,
    name="mrecg",
    reference="Ma et al. 2023, arXiv:2303.11906, scheme given",
    parents=("qdrop",),
    phases=(replace(QDROP.phases[0], merge=(1, 2)),),
)

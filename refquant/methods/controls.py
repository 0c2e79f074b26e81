"""Controls: what AQuant's gain over QDrop is made of.

Reference: Li et al., AQuant, arXiv:2208.11945, table 3 and appendix B, whose text moves the
quantizer and drops inside the block no more, beside learning a border (methods.md 13.1, 13.5).

    control               is                                         differs from      by
    aquant-fixed-border   AQuant whose border stays at 1/2           aquant            the border
    qdrop-input           QDrop at the layers' inputs, input drop    qdrop             placement
                          alone
    aquant-unscheduled    recommended AQuant that rounds in full     aquant-           the schedule
                          from the first step                        recommended

Not to learn the border is to learn it at a rate of 0, with the same bits and less work. At a border
of 1/2 exact ties go down, where nearest goes to even.
"""

from dataclasses import replace

from refquant.methods.aquant import AQUANT, AQUANT_RECOMMENDED, BORDER_NAMES
from refquant.methods.qdrop import QDROP
from refquant.methods.setting import Mix

AQUANT_FIXED_BORDER = replace(
    AQUANT,
    name="aquant-fixed-border",
    reference=f"control of {AQUANT.reference}",
    parents=("aquant",),
    phases=(
        replace(
            AQUANT.phases[0],
            learn=tuple(entry for entry in AQUANT.phases[0].learn if entry[0] not in BORDER_NAMES),
        ),
    ),
)

QDROP_INPUT = replace(
    QDROP,
    name="qdrop-input",
    reference=f"control of {AQUANT.reference}",
    parents=("qdrop",),
    placement="input",
    phases=(replace(QDROP.phases[0], mix=(Mix(at="input", keep=0.5),)),),
)

AQUANT_UNSCHEDULED = replace(
    AQUANT_RECOMMENDED,
    name="aquant-unscheduled",
    reference=f"control of {AQUANT_RECOMMENDED.reference}",
    parents=("aquant-recommended",),
    phases=(replace(AQUANT_RECOMMENDED.phases[0], drive=()),),
)

"""What is said of a bug that nobody listed: writes validation/oracle-unknown.md.

    python -m validation.oracle_unknown          writes the page
    python -m validation.oracle_unknown --check  fails if the page is another

Some wrong implementations (every 47th of the catalogue, when they were chosen) are taken out of it,
one at a time, and run as a backend. What is said then, of the failing cases together and of the
nearest known bug, stands beside the sentence that was taken out. Whether it names the thing was
judged by reading, and is written down here.
"""

import sys
from dataclasses import replace
from pathlib import Path

from refquant.oracle import corpus
from refquant.oracle.common import common
from refquant.oracle.compare import compare
from refquant.oracle.diagnose import Diagnosis, Seen, diagnose
from refquant.oracle.gallery import Gallery, candidates_of
from refquant.oracle.layouts import turn
from refquant.oracle.op import Variant
from refquant.oracle.registry import ops, variants
from validation.oracle_pairs import FORM, outputs
from validation.pages import command

PAGE = Path(__file__).parent / "oracle-unknown.md"
READ = {
    "named": """
        fake_quant.plus_infinity_zero fake_quant_backward.unsigned_is_signed
        kl_logits_backward.sum requant_fixed.narrow_is_signed xieta_to_bn.bias_ignored
    """,
    "placed": """
        adaqt_backward.alpha_without_step aquant_quant.border_of_nan
        adaquant_quant_backward.minimum_by_the_zero_point adaround_weight.not_limited
        aquant_quant_backward.b2_not_squared asoftmax_backward.step_forgotten
        border_eq7.half_forgotten cle_scale.of_product conv2d.padding_only_is_zero
        fake_quant.rint_by_floor_parity int_conv_acc.sums_of_the_first_filter
        lloyd_scale.fit_inverted range_to_qparams.unsigned_by_the_width
        rect_sigmoid.not_shifted relu_backward.flushes_subnormals
    """,
    "silent": """
        a_rounding.not_clipped adam_step.uphill adaqt_step.no_repeats
        aquant_step.input_not_quantized border_fuse.over_channels
        fisher_diag.mean_over_all kl_scale_amct.sign_lost lsqplus_real.offset_scaled
    """,
}
VERDICTS = {name: kind for kind, names in READ.items() for name in names.split()}
MEANING = {
    "named": "the sentence, or another that says the same, can be read off",
    "placed": "where it goes wrong is said, not what is done there",
    "silent": "nothing that helps beyond the cases themselves",
}


def left_out(variant: Variant) -> Diagnosis:
    """Return what is said of a variant that the catalogue does not know."""
    op, seen = ops()[variant.op], []
    for item in corpus.load(op.name):
        found = outputs(op, item, variant.parts)
        wrong = compare(op, item.outputs, found, FORM)
        seen.append(Seen(item, found, turn(item.case.id), tuple(wrong)))
    others = [c for c in candidates_of(op) if variant.id not in c.ids]
    found = diagnose(op, seen, FORM, Gallery(op, FORM, others))
    return replace(found, common=common(op, seen))


def sample() -> list[Variant]:
    """Return the variants that are left out, one at a time."""
    return [variant for variant in variants() if variant.id in VERDICTS]


def page() -> str:
    """Return the page."""
    rows = []
    for variant in sample():
        said = " ".join(left_out(variant).lines).replace("|", "&#124;")
        rows.append(f"| `{variant.id}`: {variant.says} | {said} | {VERDICTS[variant.id]} |")
    counts = {kind: sum(VERDICTS[v.id] == kind for v in sample()) for kind in MEANING}
    return "\n".join(
        [
            "# Bugs that nobody listed",
            "",
            "Written by `python -m validation.oracle_unknown`: wrong implementations, every 47th "
            "when they were chosen, each taken out of the catalogue.",
            "",
            "Read by hand, for what somebody who does not know the bug learns:",
            "",
            *(f"- {kind}, {counts[kind]} of {len(rows)}: {MEANING[kind]}" for kind in MEANING),
            "",
            "| taken out | said without it | read as |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(command(PAGE, page, "validation.oracle_unknown", __doc__))

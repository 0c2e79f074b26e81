"""The numbered equations of AQuant and AdaQTransform: where each one is computed, and tested.

`python -m oracle_tests.equations` writes validation/equations.md; a test fails where an equation
has no function or no test, or where that page is out of date.
"""

from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parent.parent / "validation" / "equations.md"


class Equation(NamedTuple):
    """One equation: its number, what it says, ``module:function``, ``file::test``."""

    number: str
    says: str
    function: str
    test: str


AQ, OPT = "refquant.quantizers.", "refquant.optimal."
THEORY, OBJECTIVE = "test_aquant_theory::", "test_aquant_objective::"
EQUATIONS = (
    Equation(
        "AQ Def 2.1",
        "border of an error function: both ends equally wrong",
        AQ + "border_theory:border_imbalance",
        THEORY + "test_figure_1a",
    ),
    Equation(
        "AQ eq.1",
        "loss change to second order, 1/2 E[dx^T H dx]",
        AQ + "border_objective:second_order_change",
        OBJECTIVE + "test_second_order_change_of_a_quadratic_loss",
    ),
    Equation(
        "AQ eq.2",
        "entries of the input Hessian",
        AQ + "border_objective:input_hessian",
        OBJECTIVE + "test_input_hessian_entry_by_entry",
    ),
    Equation(
        "AQ eq.3",
        "H = W^T (d2L/dz2) W",
        AQ + "border_objective:input_hessian",
        OBJECTIVE + "test_input_hessian_matches_central_differences",
    ),
    Equation(
        "AQ eq.4",
        "constant diagonal: E[(W_i dx)^2] for every row",
        AQ + "border_objective:row_errors",
        OBJECTIVE + "test_constant_diagonal_splits_into_rows",
    ),
    Equation(
        "AQ eq.5",
        "output error with weights and activations quantized",
        AQ + "border_objective:output_error",
        OBJECTIVE + "test_output_error_with_both_factors_quantized",
    ),
    Equation(
        "AQ eq.6",
        "error of one product, a line in dx",
        AQ + "border_theory:error_line",
        THEORY + "test_error_of_one_product",
    ),
    Equation(
        "AQ eq.7",
        "its border, 1/2 + dw/(w+dw) x' + w/(w+dw) e",
        AQ + "border_theory:border_eq7",
        THEORY + "test_border_of_one_product",
    ),
    Equation(
        "AQ eq.8",
        "quadratic border b2 u^2 + b1 u + b0",
        AQ + "border_poly:border_poly_forward",
        "test_aquant_border_parts::test_polynomial_equals_exact_rationals",
    ),
    Equation(
        "AQ eq.9",
        "fusion over the taps of a channel",
        AQ + "border_fuse:border_fuse_forward",
        "test_aquant_border::test_borders_equal_exact_rationals",
    ),
    Equation(
        "AQ eq.10",
        "objective with border-rounded activations",
        AQ + "border_objective:border_objective",
        OBJECTIVE + "test_objective_of_border_rounded_activations",
    ),
    Equation(
        "AQ app. eq.1",
        "gradients of the input side pass through What",
        AQ + "aquant:aquant_backward",
        "test_aquant_backward::test_gradients_pass_through_the_quantized_weight",
    ),
    Equation(
        "AQ app. eq.2",
        "rounding schedule u + a (r - u)",
        "refquant.optim.schedules:rounding_schedule",
        "test_aquant_forward::test_rounding_schedule",
    ),
    Equation(
        "AQ app. eq.3",
        "soft weight s clip(F + h(alpha), n, p)",
        AQ + "adaround:adaround_forward",
        "test_quantizer_adaround::test_equal_to_exact_rationals_on_dyadic_inputs",
    ),
    Equation(
        "AQ app. eq.4",
        "rounding regulariser",
        AQ + "rounding_regularizer:rounding_regularizer_forward",
        "test_quantizer_rectified_sigmoid::test_regularizer_by_hand",
    ),
    Equation(
        "AT eq.1",
        "nearest weight, step of least squared error",
        "refquant.calibrate.mse_search:mse_search",
        "test_calibrate_mse_search::test_search_equals_the_exact_twin",
    ),
    Equation(
        "AT eq.2",
        "AdaRound weight, nearest activation",
        AQ + "adaround:adaround_codes",
        "test_quantizer_adaround::test_hard_codes_at_the_start_are_half_up",
    ),
    Equation(
        "AT eq.3",
        "reconstruction over alpha and s_x",
        "refquant.reconstruct.unit:gradients",
        "test_reconstruct_unit::test_gradients_are_central_differences",
    ),
    Equation(
        "AT eq.4",
        "the fake-quantized sum is the integer sum times s_w s_x",
        "refquant.deploy.run:run_integer",
        "test_deploy_networks::test_the_integer_network_is_the_fake_quantized_one",
    ),
    Equation(
        "AT eq.5",
        "decoupled step: s'_w clip(F(W; s_w) + h, n, p)",
        AQ + "decoupled:decoupled_forward",
        "test_adaqtransform_math::test_decoupled_weights_equal_exact_rationals",
    ),
    Equation(
        "AT eq.6",
        "case 2.2: s'_w learned, s_w frozen",
        AQ + "decoupled:decoupled_backward",
        "test_adaqtransform_math::test_decoupled_gradients_match_central_differences",
    ),
    Equation(
        "AT eq.7",
        "case 2.2 with a learned bias",
        "refquant.components.output_transform:FreeBias",
        "test_adaqtransform_laws::test_learned_step_is_learned_scale",
    ),
    Equation(
        "AT eq.8",
        "xi and eta behind the product",
        AQ + "transform:output_transform_forward",
        "test_quantizer_transform::test_values_by_hand",
    ),
    Equation(
        "AT eq.9",
        "folding: st = xi s_w s_x, bt = b + eta",
        OPT + "fold:fold_transform",
        "test_optimal_fold_norm::test_folding_is_exact_on_dyadic_inputs",
    ),
    Equation(
        "AT eq.10",
        "un-folded batch norm as xi and eta",
        OPT + "batch_norm_map:batch_norm_to_transform",
        "test_optimal_fold_norm::test_norm_and_transform_map_both_ways_exactly",
    ),
    Equation(
        "AT eq.11",
        "LSQ+ with a real offset",
        AQ + "lsq_plus:lsq_plus_real_forward",
        "test_quantizer_lsq::test_real_form_by_hand",
    ),
    Equation(
        "AT eq.12",
        "channel scaling: Q(W sc) Q(x / sc)",
        "refquant.redistribute.rescale:rescale",
        "test_redistribute_steps::test_the_float_function_is_unchanged",
    ),
    Equation(
        "AT eq.13",
        "channel scaling inside xi and eta",
        "refquant.methods.compose:compose",
        "test_methods_transform::test_redistribution_stands_inside_the_transform",
    ),
)


def page() -> str:
    """Return the index as Markdown."""
    lines = [
        "# Numbered equations",
        "",
        "AQ: AQuant, arXiv:2208.11945. AT: AdaQTransform.",
        "Made by `python -m oracle_tests.equations`.",
        "",
        "| equation | says | function | test |",
        "|---|---|---|---|",
    ]
    for e in EQUATIONS:
        says = e.says.replace("|", "\\|")
        lines.append(f"| {e.number} | {says} | `{e.function}` | `{e.test}` |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

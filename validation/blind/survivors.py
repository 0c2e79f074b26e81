"""What was not caught: of the later sets when they were first measured, by class; and why today.

SECOND and THIRD are what the first measurements left over, all of it. REASONS are why one cannot
be caught, or need not be; a survivor without a reason is a gap in the vectors.
"""

SECOND = {
    "sizes beyond a tile, a warp, a word or a counter": (
        "adam_step.step_16_bits border_fuse.one_warp conv2d.channels_in_fours "
        "global_average_pool.last_warp_lost gram_loss.tail_of_tile "
        "kl_logits_backward.last_warp_lost linear_backward.batch_in_tiles "
        "max_pool_backward.index_4_bits qubo_energy.mask_32_bits relu6_backward.last_word_lost "
        "round_reg.first_block"
    ),
    "axes whose sizes agree": (
        "adaqt_ols.bias_by_position adaround_init_alpha.scale_last_axis "
        "adaround_step.scale_last_axis asoftmax.last_axis asoftmax_backward.last_axis "
        "bn_infer.channels_last_if_it_fits bn_infer_backward.channels_last_if_it_fits "
        "bn_infer_backward.two_map_axes border_poly.square_transposed fisher_full.last_axis "
        "fisher_full_backward.last_axis gram_loss.square_transposed qubo_energy.wrong_axis"
    ),
    "one rounding more or less: reciprocals, float32, cancellation": (
        "adaquant_quant.reciprocal_levels adaround_init_alpha.one_to_zero "
        "adaround_init_alpha.reciprocal adaround_weight.codes_recomputed aquant_quant.reciprocal "
        "fake_quant.reciprocal kl_logits.log_of_softmax kl_scale_amct.float32_bins "
        "lp_rec_loss.square_expanded lsqplus_real.float32_difference lsqplus_real.two_quotients"
    ),
    "searches: what is tried, in what order, when it stops": (
        "a_rounding.balanced_offers a_rounding.one_offer bit_alloc_exact.whole_sizes "
        "kl_scale_trt.first_bins_of_4096 lloyd_scale.stops_together lsqplus_init.one_step_short "
        "mse_search.last_minimum mse_search.last_zero_left_out qubo_1flip.each_once"
    ),
    "thresholds near 0": (
        "adaqt_ols.small_is_flat adaqt_step.positive_step border_eq7.near_zero "
        "border_round.border_off_its_ends cle_scale.near_zero qubo_1flip.absolute_tolerance"
    ),
    "narrow integers that wrap": (
        "lloyd_scale.int32_dot repq_reparam.byte_gap repq_reparam.byte_sum "
        "requant_fixed.sum_wraps requant_float.cast_wraps squant_weight.wrapped_byte"
    ),
    "ends of a range, ties, zeros, infinities and NaN": (
        "adaround_weight_backward.level_open asoftmax_backward.open_ends "
        "average_pool.running_sums ema_observer.zero_is_unset fake_quant.nan_low_is_zero "
        "lsq_init.no_smallest_step max_pool_backward.signed_zeros minmax_observer.else_if "
        "round_reg_backward.sign_of_zero squant_weight.zero_half_up"
    ),
    "an order of operations or a value of an attribute": (
        "adaquant_quant.zero_of_raw_span average_pool_backward.unreached_stale "
        "lsqplus_init.divisor_for_activations requant_fixed.relu_on_acc "
        "requant_float.relu_before_offset"
    ),
}
THIRD = {
    "sizes beyond a tile, a warp, a word or a counter": (
        "bn_fold.folded_twice kl_scale_trt.byte_counters linear.panel_bias "
        "linear_backward.panel_stored"
    ),
    "one rounding more or less: reciprocals, float32, cancellation": "asoftmax.largest_share",
    "ends of a range, ties, zeros, infinities and NaN": (
        "adaqt.nan_plus_h adaround_weight_backward.mask_of_clipped "
        "adaround_weight_backward.strict_levels amixup.one_product cle_scale.by_product "
        "logsqrt2_quant.exponent_field qdrop_mix.rescues_nan round_reg_backward.sign_by_where"
    ),
    "an order of operations or a value of an attribute": (
        "adaqt_backward.unrounded_soft beta_schedule.no_span conv2d.depthwise conv2d.winograd"
    ),
}
RECIPROCAL = "one rounding more: it shows at ties alone, where both answers are right"
END_OR_NOT = "one rounding decides whether a level lies on an end of the grid: both are right"
SIGN = "2 h - 1 at beta = 1 is 0 or not by one rounding: no vector can ask for its sign"
ONE_TAP = "weights for one tap are refused by the library: no legal input"
REASONS = {
    "adaquant_quant.reciprocal_levels": RECIPROCAL,
    "adaround_init_alpha.reciprocal": RECIPROCAL,
    "adaround_weight.recip": RECIPROCAL,
    "adaround_weight_backward.level_open": END_OR_NOT,
    "adaround_weight_backward.level_strict": END_OR_NOT,
    "adaround_weight_backward.mask_both": END_OR_NOT,
    "adaround_weight_backward.strict_levels": END_OR_NOT,
    "aquant_quant.reciprocal": RECIPROCAL,
    "aquant_quant_backward.one_tap_fused": ONE_TAP,
    "border_fuse.one_tap_fused": ONE_TAP,
    "border_fuse_backward.one_tap_fused": ONE_TAP,
    "fake_quant.reciprocal": RECIPROCAL,
    "requant_float.fused_scale": RECIPROCAL,
    "requant_float.recip": RECIPROCAL,
    "round_reg_backward.sign0_up": SIGN,
    "round_reg_backward.sign_by_where": SIGN,
    "round_reg_backward.sign_of_zero": SIGN,
}

"""Wrong implementations, written from the descriptions alone, without sight of vectors or variants.
CORRECT[op](inputs, attrs) -> outputs;  BUGS: list of {op, name, says, run}.
Every op is op(I, A, H): H is the set of active mistakes (empty: correct)."""
import itertools
import math
import numpy as np

np.seterr(all="ignore")
LN11 = math.log(11.0)
OPS, BUGS, CORRECT = {}, [], {}


def op(f):
    OPS[f.__name__] = f
    CORRECT[f.__name__] = lambda i, a, f=f: f(i, a, frozenset())
    return f


def bug(opname, name, says):
    f = OPS[opname]
    BUGS.append({"op": opname, "name": name, "says": says,
                 "run": lambda i, a, f=f, n=name: f(i, a, frozenset([n]))})


F64 = lambda v: np.asarray(v, dtype=np.float64)
I32 = lambda v: np.asarray(v).astype(np.int32)


def get(I, k):
    v = I.get(k)
    return None if v is None else np.asarray(v)


# ---------------------------------------------------------------- basics
def rnd(u, mode):
    u = F64(u)
    fl = np.floor(u)
    half_up = lambda v: np.where(np.isfinite(v), np.floor(v) + (v - np.floor(v) >= 0.5), v)
    if mode == "rint":
        return np.rint(u)
    if mode == "half_up":
        return half_up(u)
    if mode == "half_down":
        return -half_up(-u)
    if mode == "half_away":
        return np.where(np.isnan(u), u, np.copysign(half_up(np.abs(u)), u))
    if mode == "floor":
        return fl
    return np.ceil(u)


def codes_range(bits, grid):
    if grid in ("unsigned", "affine"):
        return 0, 2 ** bits - 1
    if grid == "signed":
        return -2 ** (bits - 1), 2 ** (bits - 1) - 1
    return -(2 ** (bits - 1) - 1), 2 ** (bits - 1) - 1


def along(s, axis, nd):
    s = np.asarray(s)
    if axis is None or s.ndim == 0:
        return s.reshape(()) if s.size == 1 else s
    sh = [1] * nd
    sh[axis] = s.size
    return s.reshape(sh)


def red(v, axis, like):
    if axis is None or np.ndim(like) == 0:
        return np.asarray(v.sum()).reshape(np.shape(like))
    ax = axis % v.ndim
    return v.sum(axis=tuple(i for i in range(v.ndim) if i != ax))


def sig(a):
    a = F64(a)
    e = np.exp(-np.abs(a))
    return np.where(a >= 0, 1 / (1 + e), e / (1 + e))


def rect(a):
    a = F64(a)
    h = np.clip(1.2 * sig(a) - 0.1, 0, 1)
    return np.where(a >= LN11, 1.0, np.where(a <= -LN11, 0.0, h))


def drect(a, edge="inclusive", H=()):
    a = F64(a)
    s = sig(a)
    m = np.abs(a) <= LN11 if edge == "inclusive" else np.abs(a) < LN11
    if "edge_ignored" in H:
        m = np.abs(a) <= LN11
    if "torch_mask" in H:
        st = s * (1.1 - (-0.1)) + (-0.1)
        m = (st >= 0) & (st <= 1) if edge == "inclusive" else (st > 0) & (st < 1)
    if "no_edge_mask" in H:
        m = np.ones(a.shape)
    if "half_open_edge" in H:
        m = (a >= -LN11) & (a < LN11) if edge == "inclusive" else m
    if "width_1" in H:
        return s * (1 - s) * m
    return 1.2 * s * (1 - s) * m


@op
def round(I, A, H):
    x, m = F64(I["x"]), A["mode"]
    if "floor_plus_half" in H and m == "half_up":
        return {"y": np.floor(x + 0.5)}
    if "ceil_minus_half" in H and m == "half_down":
        return {"y": np.ceil(x - 0.5)}
    if "away_as_up" in H and m == "half_away":
        m = "half_up"
    if "trunc_away" in H and m == "half_away":
        return {"y": np.trunc(x + np.copysign(0.5, x))}
    if "int_cast" in H:
        y = rnd(x, m)
        return {"y": np.where(np.isfinite(y), np.clip(np.nan_to_num(y), -2 ** 31, 2 ** 31 - 1), y)}
    return {"y": rnd(x, m)}


bug("round", "floor_plus_half", "half_up as floor(x + 0.5): wrong just below 1/2 and for large odd values")
bug("round", "ceil_minus_half", "half_down as ceil(x - 0.5) in floats")
bug("round", "away_as_up", "half_away sends negative ties up")
bug("round", "trunc_away", "half_away as trunc(x + copysign(0.5, x))")
bug("round", "int_cast", "result passes through int32, large values saturate")


@op
def border_round(I, A, H):
    u, b = F64(I["u"]), F64(I["border"])
    fl = np.floor(u)
    f = u - fl
    if "at_border_up" in H:
        up = f >= b
    elif "ceil_form" in H:
        return {"y": np.where(np.isfinite(u), np.ceil(u - b), u)}
    elif "trunc_frac" in H:
        up = np.abs(u - np.trunc(u)) > b
    elif "fmod_half" in H:
        up = np.float32(f) > np.float32(b)
    elif "up_border1" in H:
        up = (f > b) & (b < 1) & (b > 0) | ((b == 0) & (f >= 0))
    elif "inf_nan" in H:
        return {"y": fl + f * 0 + (f > b)}
    else:
        up = f > b
    return {"y": np.where(np.isfinite(u), fl + up, u)}


bug("border_round", "at_border_up", "a fraction equal to the border goes up")
bug("border_round", "ceil_form", "computed as ceil(u - border)")
bug("border_round", "trunc_frac", "fraction of negative numbers taken from truncation")
bug("border_round", "fmod_half", "comparison in float32")
bug("border_round", "up_border1", "border 0 moves whole numbers up")
bug("border_round", "inf_nan", "infinities become NaN")


@op
def fake_quant(I, A, H):
    x, s, z = F64(I["x"]), F64(I["s"]), np.asarray(I["zero_point"]).astype(np.int64)
    ax = A["axis"]
    if "axis_last" in H and ax is not None and x.ndim and x.shape[-1] == s.size and s.ndim:
        ax = -1
    lo, hi = codes_range(A["bits"], A["grid"] if not ("narrow_full" in H and A["grid"] == "narrow") else "signed")
    S, Z = along(s, ax, x.ndim), along(z, ax, x.ndim)
    if "z_scalar" in H and Z.ndim:
        Z = Z * 0 + Z.ravel()[0]
    n, p = lo - Z, hi - Z
    u = x / S
    if "reciprocal" in H:
        u = x * (1 / S)
    if "f32_div" in H:
        u = F64(np.float32(x) / np.float32(S))
    mode = A["rounding"]
    if "half_away_up" in H and mode == "half_away":
        mode = "half_up"
    if "half_down_rint" in H and mode == "half_down":
        mode = "rint"
    r = rnd(u + Z, mode) - Z if "z_before" in H else rnd(u, mode)
    if "code_clip_unshifted" in H:
        n, p = lo + 0 * Z, hi + 0 * Z
    nan = np.isnan(x)
    if "inf_as_nan" in H:
        nan = ~np.isfinite(x)
    if "clip_then_round" in H:
        q = rnd(np.clip(u, n, p), mode) if mode not in () else r
        q = np.clip(rnd(np.clip(u, n - 0.5, p + 0.5), mode), n, p + (mode == "ceil"))
    else:
        q = np.clip(r, n, p)
    nanq = {"zero_point": 0 * Z, "low": n, "high": p}[A["nan"]]
    if "nan_zero_code" in H and A["nan"] == "zero_point":
        nanq = np.clip(0 - Z, n, p)
    if "nan_always_zp" in H:
        nanq = 0 * Z
    q = np.where(nan, nanq, q)
    codes = q + Z
    y = S * q
    if "nan_y_zero" in H:
        y = np.where(nan, 0, y)
    if "nan_y_nan" in H:
        y = np.where(np.isnan(x), np.nan, y)
    if "int16_codes" in H:
        codes = codes.astype(np.int64).astype(np.int16)
    if "y_from_codes" in H:
        y = S * codes - S * Z
    return {"y": y + np.zeros(x.shape), "codes": I32(np.broadcast_to(codes, x.shape))}


for a in [("axis_last", "square tensors: the parameters are broadcast along the last axis"),
          ("narrow_full", "narrow grid has the extra lowest code"),
          ("z_scalar", "per-channel zero points: the first one is used for all"),
          ("reciprocal", "multiplies by 1 / s"),
          ("f32_div", "divides in float32"),
          ("half_away_up", "half_away is half_up"),
          ("half_down_rint", "half_down is rint"),
          ("z_before", "zero point is added before rounding"),
          ("code_clip_unshifted", "affine: q is clipped to code_min..code_max before the zero point is added"),
          ("inf_as_nan", "infinities are treated as NaN"),
          ("clip_then_round", "clips to p + 1/2 then rounds; ceil can exceed p by one"),
          ("nan_zero_code", "NaN gets the code 0 in place of the zero point"),
          ("nan_always_zp", "attribute nan is ignored"),
          ("nan_y_zero", "NaN codes are right, but y is always 0"),
          ("nan_y_nan", "y of NaN stays NaN"),
          ("int16_codes", "codes of 16 bits wrap in int16")]:
    bug("fake_quant", *a)


@op
def fake_quant_backward(I, A, H):
    x, s, z, g = F64(I["x"]), F64(I["s"]), np.asarray(I["zero_point"]).astype(np.int64), F64(I["d_y"])
    ax, c = A["axis"], A["grad_scale"]
    lo, hi = codes_range(A["bits"], A["grid"])
    S, Z = along(s, ax, x.ndim), along(z, ax, x.ndim)
    n, p = lo - Z, hi - Z
    u = x / S
    r = np.rint(u) if "rint_only" in H else rnd(u, A["rounding"])
    q = np.where(np.isnan(x), 0, np.clip(r, n, p))
    if "mask_unshifted" in H:
        n, p = lo + 0 * Z, hi + 0 * Z
    t = r if A["mask"] == "rounded" else u
    M = (t >= n) & (t <= p)
    if "upper_strict" in H:
        M = (t >= n) & (t < p)
    if "unrounded_strict" in H and A["mask"] == "unrounded":
        M = (u > n) & (u < p)
    if "mask_swapped_half" in H:
        M = (u >= n - 0.5) & (u <= p + 0.5) if A["mask"] == "rounded" else M
    M = M & np.isfinite(x)
    Ms = M
    if "ds_rounded_mask" in H:
        Ms = (r >= n) & (r <= p) & np.isfinite(x)
    us = np.where(np.isfinite(x), u, 0)
    e = q - np.where(Ms, us, 0)
    if "ds_no_mask" in H:
        e = q - us
    if "ds_zero_outside" in H:
        e = np.where(Ms, q - us, 0)
    if "ds_code" in H:
        e = e + Z * ~Ms
    if "inf_dropped" in H:
        e = np.where(np.isfinite(x), e, 0)
    if "nan_zero_point_low" in H:
        e = np.where(np.isnan(x), n, e)
    if "ds_unclipped_q" in H:
        e = np.where(Ms, np.where(np.isfinite(r), r, q) - us, np.where(us > 0, hi, lo))
    dx = g * M
    if "nan_passes" in H:
        dx = g * (M | np.isnan(x))
    if "scale_dx" in H:
        dx = dx * c
    ds = red(g * e, ax, s) * (1.0 if "no_scale_channel" in H and ax is not None else c)
    if "s_abs_mean" in H and ax is not None and s.ndim:
        ds = ds / (1 if s.size == 1 else 1) * 1.0
    return {"d_x": dx, "d_s": ds}


for a in [("rint_only", "the backward always rounds half to even"),
          ("mask_unshifted", "affine: the mask compares u with the code limits, zero point not taken off"),
          ("upper_strict", "mask excludes the highest level"),
          ("unrounded_strict", "mask unrounded is strict"),
          ("mask_swapped_half", "mask rounded written as n - 1/2 <= u <= p + 1/2 (ties, other roundings)"),
          ("ds_rounded_mask", "d_s always uses the rounded mask"),
          ("ds_no_mask", "d_s = sum d_y (q - u) without the mask"),
          ("ds_zero_outside", "clipped elements give nothing to d_s"),
          ("ds_code", "clipped elements give the code, not the code less the zero point, to d_s"),
          ("inf_dropped", "infinities give nothing to d_s"),
          ("nan_zero_point_low", "NaN gives n to d_s"),
          ("ds_unclipped_q", "outside, d_s takes the code limits instead of n and p (affine)"),
          ("nan_passes", "NaN passes its gradient"),
          ("scale_dx", "grad_scale also multiplies d_x"),
          ("no_scale_channel", "grad_scale is forgotten per channel")]:
    bug("fake_quant_backward", *a)


# ---------------------------------------------------------------- LSQ+
def _lsqi(I, A, H):
    x, s, zp = F64(I["x"]), F64(I["s"]), F64(I["zero_point"])
    L = 2 ** A["bits"] - 1
    S, zz = along(s, A["axis"], x.ndim), along(zp, A["axis"], x.ndim)
    Z = np.rint(zz)
    if "z_floor" in H:
        Z = np.floor(zz)
    if "z_half_up" in H:
        Z = np.floor(zz + 0.5)
    if "z_real" in H:
        Z = zz
    if "z_clipped" in H:
        Z = np.clip(Z, 0, L)
    u = np.where(np.isnan(x), 0, x / S)
    r = np.rint(u + Z) if "round_sum" in H else np.rint(u) + Z
    q = np.clip(r, 0, L)
    return x, s, S, Z, u, r, q, L, zp


@op
def lsqplus_int(I, A, H):
    x, s, S, Z, u, r, q, L, zp = _lsqi(I, A, H)
    if "nan_is_zero" in H:
        return {"y": np.where(np.isnan(x), 0, S * (q - Z))}
    return {"y": S * (q - Z) + np.zeros(x.shape)}


@op
def lsqplus_int_backward(I, A, H):
    x, s, S, Z, u, r, q, L, zp = _lsqi(I, A, H)
    g, c = F64(I["d_y"]), A["grad_scale"]
    M = (r >= 0) & (r <= L) & np.isfinite(x)
    if "mask_unrounded" in H:
        M = (u + Z >= 0) & (u + Z <= L) & np.isfinite(x)
    dx = g * M
    uf = np.where(np.isfinite(u), u, 0)
    ds = red(g * (q - Z - M * uf), A["axis"], s) * c
    o = np.where(M | (np.isnan(x) if "nan_no_dz" in H else False), 0.0, 1.0)
    k = -1.0 if "dz_no_s" in H else -S
    dz = red(g * k * o, A["axis"], zp) * (1 if "dz_no_scale" in H else c)
    if "dz_all" in H:
        dz = red(-S * g, A["axis"], zp) * c
    if "ds_keeps_z" in H:
        ds = red(g * (q - M * (uf + Z)), A["axis"], s) * c
    return {"d_x": dx, "d_s": ds, "d_zero_point": dz}


for a in [("z_floor", "zero point is floored"), ("z_half_up", "zero point is rounded half up"),
          ("z_real", "zero point is used as a real number"), ("z_clipped", "Z is clipped to the codes"),
          ("round_sum", "rint(x / s + Z)"), ("nan_is_zero", "NaN gives y = 0 though Z lies outside the codes")]:
    bug("lsqplus_int", *a)
for a in [("z_clipped", "Z is clipped to the codes"), ("mask_unrounded", "mask on x / s + Z"),
          ("nan_no_dz", "NaN gives nothing to d_zero_point"), ("dz_no_s", "d_zero_point lacks s"),
          ("dz_no_scale", "d_zero_point lacks grad_scale"), ("ds_keeps_z", "clipped elements give q, not q - Z, to d_s"),
          ("z_half_up", "zero point is rounded half up")]:
    bug("lsqplus_int_backward", *a)


def _lsqr(I, A, H):
    x, s, o = F64(I["x"]), F64(I["s"]), F64(I["offset"])
    n, p = codes_range(A["bits"], A["grid"])
    S, O = along(s, A["axis"], x.ndim), along(o, A["axis"], x.ndim)
    v = (x - O) / S
    r = np.rint(x / S) - np.rint(O / S) if "round_apart" in H else np.rint(v)
    q = np.where(np.isnan(x), 0, np.clip(r, n, p))
    return x, s, o, S, O, v, r, q, n, p


@op
def lsqplus_real(I, A, H):
    x, s, o, S, O, v, r, q, n, p = _lsqr(I, A, H)
    if "offset_rounded" in H:
        O = S * np.rint(O / S)
    return {"y": S * q + O + np.zeros(x.shape)}


@op
def lsqplus_real_backward(I, A, H):
    x, s, o, S, O, v, r, q, n, p = _lsqr(I, A, H)
    g, c = F64(I["d_y"]), A["grad_scale"]
    t = v if "mask_unrounded" in H else r
    M = (t >= n) & (t <= p) & np.isfinite(x)
    w = np.where(M, x / S if "ds_no_offset" in H else v, 0)
    return {"d_x": g * M, "d_s": red(g * (q - w), A["axis"], s) * c,
            "d_offset": red(g * np.where(M, 0.0, 1.0), A["axis"], o) * (1 if "do_no_scale" in H else c)}


bug("lsqplus_real", "round_apart", "x and offset are rounded apart")
bug("lsqplus_real", "offset_rounded", "the offset added back is on the grid")
bug("lsqplus_real_backward", "mask_unrounded", "mask on v, not rint(v)")
bug("lsqplus_real_backward", "ds_no_offset", "d_s uses x / s in place of v")
bug("lsqplus_real_backward", "do_no_scale", "d_offset lacks grad_scale")


def _adq(I, A, H):
    x, R, m = F64(I["x"]), F64(I["span"]), F64(I["minimum"])
    L = 2 ** A["bits"] - 1
    Rc = R if "span_unclipped" in H else np.clip(R, 1e-6, 1e5)
    s = Rc / (L + 1 if "levels_2b" in H else L)
    Zr = np.rint(-m / s)
    Z = Zr if "z_unclipped" in H else np.clip(Zr, 0, L)
    S, ZZ, mm = along(s, A["axis"], x.ndim), along(Z, A["axis"], x.ndim), along(m, A["axis"], x.ndim)
    t0 = x / S + ZZ
    if "round_apart" in H:
        t0 = np.rint(x / S) + ZZ
    t = np.clip(t0, 0, L)
    q = np.where(np.isnan(x), 0, np.rint(t) - ZZ)
    return x, R, m, L, s, Zr, S, ZZ, t0, t, q


@op
def adaquant_quant(I, A, H):
    x, R, m, L, s, Zr, S, ZZ, t0, t, q = _adq(I, A, H)
    return {"y": S * q + np.zeros(x.shape)}


@op
def adaquant_quant_backward(I, A, H):
    x, R, m, L, s, Zr, S, ZZ, t0, t, q = _adq(I, A, H)
    g, ax = F64(I["d_y"]), A["axis"]
    tt = np.rint(t0) if "mask_rounded" in H else t0
    M = (tt >= 0) & (tt <= L) & np.isfinite(x)
    zz = -m / s if "mz_unrounded" in H else Zr
    MZ = (zz >= 0) & (zz <= L)
    if "no_mz" in H:
        MZ = MZ | True
    MR = (R >= 1e-6) & (R <= 1e5)
    MRm = MR
    if "no_mr_min" in H:
        MRm = MR | True
    if "mr_strict" in H:
        MR = MRm = (R > 1e-6) & (R < 1e5)
    c = red(g * np.where(M, 0.0, 1.0), ax, R)
    us = np.where(np.isfinite(x), x / S, 0)
    a = red(g * (q - M * us), ax, R)
    b = 0 if "no_z_path" in H else MZ * (m / s) * c
    return {"d_x": g * M, "d_span": MR / L * (a - b), "d_minimum": MRm * MZ * c * 1.0}


bug("adaquant_quant", "span_unclipped", "span is not clipped")
bug("adaquant_quant", "z_unclipped", "Z is not clipped")
bug("adaquant_quant", "round_apart", "x / s is rounded before Z is added (ties, odd Z)")
for a in [("mask_rounded", "mask on the rounded value"), ("mz_unrounded", "mask of Z before rounding"),
          ("no_mz", "clip of Z blocks no gradient"), ("no_mr_min", "d_minimum flows where span is clipped"),
          ("mr_strict", "span exactly at 1e-6 or 1e5 gets no gradient"), ("no_z_path", "d_span forgets that Z depends on s")]:
    bug("adaquant_quant_backward", *a)


@op
def logsqrt2_quant(I, A, H):
    x, sc, L = F64(I["x"]), F64(I["scale"]), 2 ** A["bits"] - 1
    r = np.rint(-2 * np.log2(x / sc))
    if "twice_rounded" in H:
        r = 2 * np.rint(-np.log2(x / sc))
    if "eps_log" in H:
        r = np.rint(-2 * np.log2(x / sc + 1e-8))
    zero = r >= 2 ** A["bits"]
    if "zero_off" in H:
        zero = r > 2 ** A["bits"]
    if "zero_at_max" in H:
        zero = r >= L
    nan = np.isnan(x)
    codes = np.clip(np.where(nan, 0, r), 0, L)
    zero = zero | nan
    codes = np.where(nan, L, codes)
    if "zero_code_0" in H:
        codes = np.where(zero, 0, codes)
    y = np.where(zero, 0, sc * 2.0 ** (-codes / 2))
    if "above_scale" in H:
        y = np.where(zero, 0, sc * 2.0 ** (-np.where(np.isfinite(r) & ~nan, np.minimum(r, L), codes) / 2))
    return {"y": y, "codes": I32(codes), "zero": zero}


for a in [("twice_rounded", "rounds octaves, not half octaves"), ("eps_log", "adds 1e-8 inside the logarithm"),
          ("zero_off", "zero starts one late"), ("zero_at_max", "the last code decodes to 0"),
          ("zero_code_0", "zero elements have the code 0"), ("above_scale", "values above scale decode to more than scale")]:
    bug("logsqrt2_quant", *a)


@op
def range_to_qparams(I, A, H):
    lo, hi, eps, b = F64(I["lo"]), F64(I["hi"]), A["eps"], A["bits"]
    n, p = codes_range(b, A["grid"])
    if A["grid"] == "affine":
        a, bb = np.minimum(lo, 0), np.maximum(hi, 0)
        if "no_zero" in H:
            a, bb = lo, hi
        s0 = (bb - a) / (2 ** b - 1)
        s = np.maximum(s0, eps)
        if "eps_added" in H:
            s = s0 + eps
        z = -np.rint(a / (s0 if "z_before_eps" in H else s))
        if "z_half_up" in H:
            z = np.floor(-a / s + 0.5)
        z = np.nan_to_num(z)
        if "z_unclipped" not in H:
            z = np.clip(z, 0, 2 ** b - 1)
        return {"s": s, "zero_point": I32(z)}
    if A["grid"] == "unsigned":
        h = np.abs(hi) if "unsigned_abs" in H else np.maximum(hi, 0)
        if "unsigned_half" in H:
            h = np.maximum(-lo, hi)
        s = np.maximum(h / (2 ** b - 1), eps)
    else:
        T = np.maximum(-lo, hi)
        if A["divisor"] == "half_span":
            d = (2 ** b - 1) / 2 if "narrow_half" in H else (p - n) / 2
            s = np.maximum(T / d, eps)
        elif A["divisor"] == "p":
            s = np.maximum(T / p, eps)
        else:
            s = np.maximum(np.maximum(hi / p, lo / n), eps)
            if "amct_pp" in H:
                s = np.maximum(np.maximum(hi / p, -lo / p), eps)
            if "amct_one_side" in H:
                s = np.maximum(np.where(hi >= -lo, hi / p, lo / n), eps)
    return {"s": s, "zero_point": np.zeros(lo.shape, np.int32)}


for a in [("no_zero", "range is not made to hold 0"), ("z_half_up", "zero point half up"),
          ("unsigned_half", "unsigned: magnitude of lo counts"), ("narrow_half", "narrow half span uses 2^b - 1"),
          ("amct_pp", "amct divides lo by p"), ("amct_one_side", "amct: the larger magnitude decides which side"),
          ("z_before_eps", "zero point from the step before eps"), ("eps_added", "eps is added")]:
    bug("range_to_qparams", *a)


# ---------------------------------------------------------------- convolution
def geom(h, w, kh, kw, A, H=()):
    sh, sw = A["stride"]
    dh, dw = A["dilation"]
    t, l, b, r = A["padding"]
    if "pad_torch" in H:                      # left, right, top, bottom
        l, r, t, b = A["padding"]
    if "pad_tblr" in H:                       # top, bottom, left, right
        t, b, l, r = A["padding"]
    if "pad_sym" in H:
        b, r = t, l
    if "dil_swap" in H:
        dh, dw = dw, dh
    if "stride_swap" in H:
        sh, sw = sw, sh
    ho = (h + t + b - dh * (kh - 1) - 1) // sh + 1
    wo = (w + l + r - dw * (kw - 1) - 1) // sw + 1
    if "ceil_size" in H:
        ho = -(-(h + t + b - dh * (kh - 1) - 1) // sh) + 1
        wo = -(-(w + l + r - dw * (kw - 1) - 1) // sw) + 1
    return sh, sw, dh, dw, t, l, b, r, max(ho, 0), max(wo, 0)


def unfold(x, kh, kw, A, fill=0, H=()):
    n, c, h, w = x.shape
    sh, sw, dh, dw, t, l, b, r, ho, wo = geom(h, w, kh, kw, A, H)
    out = np.full((n, c, kh, kw, ho, wo), fill, x.dtype)
    for i in range(kh):
        for j in range(kw):
            for P in range(ho):
                rr = P * sh + i * dh - t
                if not 0 <= rr < h:
                    continue
                cc = np.arange(wo) * sw + j * dw - l
                ok = (cc >= 0) & (cc < w)
                if "edge_col_lost" in H:
                    ok = (cc >= 0) & (cc < w - (r > 0) * 0) & ~((cc == w - 1) & (l != r))
                out[:, :, i, j, P, ok] = x[:, :, rr, cc[ok]]
    return out


def fold(p, shape, kh, kw, A, H=()):
    n, c, h, w = shape
    sh, sw, dh, dw, t, l, b, r, ho, wo = geom(h, w, kh, kw, A, H)
    if "crop_end" in H:
        t, l = b, r
    x = np.zeros(shape, p.dtype)
    p = p.reshape(n, c, kh, kw, ho, wo)
    for i in range(kh):
        for j in range(kw):
            for P in range(ho):
                rr = P * sh + i * dh - t
                if not 0 <= rr < h:
                    continue
                for q in range(wo):
                    cc = q * sw + j * dw - l
                    if 0 <= cc < w:
                        if "assign" in H:
                            x[:, :, rr, cc] = p[:, :, i, j, P, q]
                        elif "buffered_add" in H and q and False:
                            pass
                        else:
                            x[:, :, rr, cc] += p[:, :, i, j, P, q]
    return x


@op
def im2col(I, A, H):
    x = F64(I["x"])
    kh, kw = A["kernel"]
    u = unfold(x, kh, kw, A, 0, H)
    n, c = x.shape[:2]
    if "tap_major" in H:
        u = u.transpose(0, 2, 3, 1, 4, 5)
    if "taps_transposed" in H:
        u = u.transpose(0, 1, 3, 2, 4, 5)
    return {"patches": u.reshape(n, c * kh * kw, u.shape[-2] * u.shape[-1])}


@op
def col2im(I, A, H):
    kh, kw = A["kernel"]
    return {"x": fold(F64(I["patches"]), tuple(A["x_shape"]), kh, kw, A, H)}


bug("im2col", "tap_major", "rows run tap first, channel last")
bug("im2col", "taps_transposed", "k_w before k_h inside a channel")
bug("im2col", "dil_swap", "dilations of rows and columns are swapped")
bug("col2im", "assign", "overlapping windows overwrite")
bug("col2im", "crop_end", "crops bottom and right paddings off the front")


def split(w, groups, c_in, H=()):
    """channel index of x for (o, c)"""
    co, cg = w.shape[:2]
    g = np.arange(co) // max(co // groups, 1)
    if "groups_interleaved" in H:
        g = np.arange(co) % groups
    idx = g[:, None] * cg + np.arange(cg)[None]
    if "inputs_interleaved" in H:
        idx = g[:, None] + np.arange(cg)[None] * groups
    return idx % max(c_in, 1)


@op
def conv2d(I, A, H):
    x, w = F64(I["x"]), F64(I["w"])
    b = get(I, "bias")
    u = unfold(x, w.shape[2], w.shape[3], A, 0, H)
    if "flipped" in H and w.shape[2] > 1:
        w = w[:, :, ::-1, ::-1]
    if "transposed_tap" in H and w.shape[2] == w.shape[3]:
        w = w.transpose(0, 1, 3, 2)
    idx = split(w, A["groups"], x.shape[1], H)
    y = np.einsum("ocij,nocijpq->nopq", w, u[:, idx])
    if b is not None and not ("bias_lost_groups" in H and A["groups"] > 1):
        y = y + b[None, :, None, None]
    return {"y": y}


@op
def conv2d_backward(I, A, H):
    g, x, w = F64(I["d_y"]), F64(I["x"]), F64(I["w"])
    kh, kw = w.shape[2:]
    u = unfold(x, kh, kw, A, 0)
    idx = split(w, A["groups"], x.shape[1], [h for h in H if h.startswith("groups")])
    dw = np.einsum("nopq,nocijpq->ocij", g, u[:, idx])
    if "dw_no_pad" in H:
        A0 = dict(A)
        xx = np.roll(x, 0)
        t, l, b, r = A["padding"]
        if (t, l) != (b, r):
            u2 = unfold(xx, kh, kw, {**A, "padding": [b, r, t, l]}, 0)
            dw = np.einsum("nopq,nocijpq->ocij", g, u2[:, idx])
    if "dw_mean" in H:
        dw = dw / max(len(x), 1)
    du = np.zeros(u.shape)
    for o in range(w.shape[0]):
        for c in range(w.shape[1]):
            wk = w[o, c]
            if "dx_flipped" in H:
                wk = wk[::-1, ::-1]
            v = wk[None, :, :, None, None] * g[:, o, None, None]
            if "dx_depthwise_last" in H and A["groups"] > 1:
                du[:, idx[o, c]] = v
            else:
                du[:, idx[o, c]] += v
    dx = fold(du, x.shape, kh, kw, A, [h for h in H if h in ("assign", "crop_end")])
    if "dx_tail" in H:                      # rows that no full window of the stride grid reaches: off by one
        pass
    db = g.sum((0, 2, 3))
    if "db_first_sample" in H:
        db = g.mean(0).sum((1, 2)) if len(g) else db
    return {"d_x": dx, "d_w": dw, "d_bias": db}


for a in [("pad_tblr", "padding read as top, bottom, left, right"), ("pad_torch", "padding read as left, right, top, bottom"),
          ("pad_sym", "bottom and right padding taken equal to top and left"), ("dil_swap", "dilations swapped"),
          ("stride_swap", "strides swapped"), ("ceil_size", "output size rounded up"),
          ("groups_interleaved", "output channels dealt to groups in turn"), ("inputs_interleaved", "input channels dealt to groups in turn"),
          ("flipped", "filter flipped"), ("transposed_tap", "square filters transposed"),
          ("bias_lost_groups", "bias forgotten in grouped convolutions"), ("edge_col_lost", "last column lost where left and right padding differ")]:
    bug("conv2d", *a)
for a in [("groups_interleaved", "output channels dealt to groups in turn"), ("dw_no_pad", "d_w exchanges the paddings of both ends"),
          ("dw_mean", "d_w is averaged over the batch"), ("dx_flipped", "d_x correlates with the flipped filter twice"),
          ("dx_depthwise_last", "grouped: the last output of a group overwrites d_x"), ("assign", "overlaps overwrite"),
          ("crop_end", "d_x cropped by the padding of the other end"), ("db_first_sample", "d_bias averaged over the batch")]:
    bug("conv2d_backward", *a)


@op
def int_conv_acc(I, A, H):
    x, w, z = np.asarray(I["x_codes"]).astype(np.int64), np.asarray(I["w"]).astype(np.int64), int(I["zero_point"])
    kh, kw = w.shape[2:]
    idx = split(w, A["groups"], x.shape[1], H)
    if "pad_code_0" in H:
        u = unfold(x, kh, kw, A, 0) - z
    elif "diff_int8" in H:
        u = (unfold(x, kh, kw, A, z) - z).astype(np.int8).astype(np.int64)
    elif "diff_int16" in H:
        u = (unfold(x, kh, kw, A, z) - z).astype(np.int16).astype(np.int64)
    elif "w_int8" in H:
        w = w.astype(np.int8).astype(np.int64)
        u = unfold(x - z, kh, kw, A, 0)
    else:
        u = unfold(x - z, kh, kw, A, 0, [h for h in H if h in ("pad_tblr", "pad_sym", "dil_swap", "stride_swap")])
    y = np.einsum("ocij,nocijpq->nopq", w, u[:, idx])
    if "z_full_sum" in H:      # z * sum(w) taken off although padding was filled with 0
        y = np.einsum("ocij,nocijpq->nopq", w, unfold(x, kh, kw, A, 0)[:, idx]) - z * w.sum((1, 2, 3))[None, :, None, None]
    if "z_dilated" in H and max(A["dilation"]) > 1:
        y = np.einsum("ocij,nocijpq->nopq", w, (unfold(x, kh, kw, A, 0) - z)[:, idx])
    if "f32_acc" in H:
        y = np.einsum("ocij,nocijpq->nopq", w.astype(np.float32), u[:, idx].astype(np.float32)).astype(np.int64)
    if "z_not_taken_groups" in H and A["groups"] > 1:
        y = np.einsum("ocij,nocijpq->nopq", w, unfold(x, kh, kw, A, z)[:, idx])
    return {"acc": I32(y)}


for a in [("pad_code_0", "padding reads the code 0"), ("diff_int8", "x - z wraps in int8"), ("diff_int16", "x - z wraps in int16"),
          ("w_int8", "weights wrap in int8"), ("groups_interleaved", "output channels dealt to groups in turn"),
          ("f32_acc", "accumulates in float32"), ("z_dilated", "dilated path pads with the code 0"),
          ("z_not_taken_groups", "zero point not taken off in grouped convolutions"), ("pad_sym", "bottom, right padding as top, left"),
          ("pad_tblr", "padding read as top, bottom, left, right"), ("dil_swap", "dilations swapped")]:
    bug("int_conv_acc", *a)


@op
def linear(I, A, H):
    x, w, b = F64(I["x"]), F64(I["w"]), get(I, "bias")
    y = x @ w.T
    if "square_not_transposed" in H and w.shape[0] == w.shape[1]:
        y = x @ w
    return {"y": y if b is None else y + b}


@op
def linear_backward(I, A, H):
    g, x, w = F64(I["d_y"]), F64(I["x"]), F64(I["w"])
    db = g.mean(0) if "db_mean" in H else g.sum(0)
    dx = g @ (w.T if "square_not_transposed" in H and w.shape[0] == w.shape[1] else w)
    return {"d_x": dx, "d_w": g.T @ x, "d_bias": db}


bug("linear", "square_not_transposed", "square weights are not transposed")
bug("linear_backward", "db_mean", "d_bias is a mean")
bug("linear_backward", "square_not_transposed", "square weights are transposed in d_x")


# ---------------------------------------------------------------- batch norm
def _sd(I, A, H):
    v = F64(I["var"])
    if "eps_default" in H:
        return np.sqrt(v + 1e-5)
    if "eps_outside" in H:
        return np.sqrt(v) + A["eps"]
    if "eps_max" in H:
        return np.sqrt(np.maximum(v, A["eps"]))
    return np.sqrt(v + A["eps"])


@op
def bn_infer(I, A, H):
    x = F64(I["x"])
    c = lambda v: along(F64(v), 1, x.ndim)
    return {"y": c(I["gamma"]) * (x - c(I["mean"])) / c(_sd(I, A, H)) + c(I["beta"])}


@op
def bn_infer_backward(I, A, H):
    x, g = F64(I["x"]), F64(I["d_y"])
    c = lambda v: along(F64(v), 1, x.ndim)
    sd = c(_sd(I, A, H))
    xh = (x - c(I["mean"])) / sd
    dg = red(g * (x / sd if "dgamma_no_mean" in H else xh), 1, I["gamma"])
    if "dgamma_gamma" in H:
        dg = dg * F64(I["gamma"])
    return {"d_x": g * c(I["gamma"]) / sd, "d_gamma": dg, "d_beta": red(g, 1, I["gamma"])}


@op
def bn_fold(I, A, H):
    w, b, ga, be, mu = F64(I["w"]), get(I, "bias"), F64(I["gamma"]), F64(I["beta"]), F64(I["mean"])
    sd = _sd(I, A, H)
    k = ga / sd
    if "abs_gamma" in H:
        k = np.abs(k)
    K = k.reshape(-1, *[1] * (w.ndim - 1))
    if "axis1_square" in H and w.ndim > 1 and w.shape[0] == w.shape[1]:
        K = k.reshape(1, -1, *[1] * (w.ndim - 2))
    if b is None and "no_bias_beta" in H:
        return {"w_folded": w * K, "bias_folded": be + 0}
    b0 = np.zeros(ga.shape) if b is None else F64(b)
    bf = be + ga / sd * (b0 - mu)
    if "bias_unscaled" in H:
        bf = be + b0 - ga / sd * mu
    if "mean_unscaled" in H:
        bf = be + ga * (b0 / sd - mu)
    if "bias_dropped" in H:
        bf = be - ga / sd * mu
    return {"w_folded": w * K, "bias_folded": bf}


for o in ("bn_infer", "bn_infer_backward", "bn_fold"):
    bug(o, "eps_default", "attribute eps is ignored: 1e-5")
    bug(o, "eps_outside", "eps is added outside the root")
bug("bn_infer", "eps_max", "eps is a floor of the variance")
bug("bn_fold", "eps_max", "eps is a floor of the variance")
bug("bn_infer_backward", "dgamma_no_mean", "d_gamma does not take off the mean")
bug("bn_infer_backward", "dgamma_gamma", "d_gamma carries gamma")
for a in [("abs_gamma", "weights are scaled by |gamma|"), ("axis1_square", "where c_out = c_in the scale goes along axis 1"),
          ("no_bias_beta", "without a bias the mean is forgotten"), ("bias_unscaled", "old bias is added unscaled"),
          ("bias_dropped", "the old bias is dropped")]:
    bug("bn_fold", *a)


@op
def relu_backward(I, A, H):
    x, g = F64(I["x"]), F64(I["d_y"])
    return {"d_x": g * (x >= 0 if "ge" in H else ~(x <= 0) if "nan_passes" in H else x > 0)}


@op
def relu6_backward(I, A, H):
    x, g = F64(I["x"]), F64(I["d_y"])
    return {"d_x": g * ((x > 0) & (x <= 6) if "le6" in H else (x > 0) & (x < 6))}


@op
def relu6(I, A, H):
    x = F64(I["x"])
    return {"y": np.fmin(np.fmax(x, 0), 6) if "nan_lost" in H else np.minimum(np.maximum(x, 0), 6)}


bug("relu_backward", "ge", "gradient passes at 0")
bug("relu_backward", "nan_passes", "gradient passes for NaN")
bug("relu6_backward", "le6", "gradient passes at 6")
bug("relu6", "nan_lost", "NaN becomes 0")


@op
def max_pool(I, A, H):
    x = F64(I["x"])
    kh, kw = A["kernel"]
    u = unfold(x, kh, kw, A, 0.0 if "pad_zero" in H else np.finfo(float).min if "pad_min" in H else -np.inf,
               [h for h in H if h in ("dil_swap", "ceil_size", "pad_sym")])
    return {"y": u.max((2, 3))}


@op
def max_pool_backward(I, A, H):
    x, g = F64(I["x"]), F64(I["d_y"])
    kh, kw = A["kernel"]
    u = unfold(x, kh, kw, A, -np.inf)
    pos = unfold(np.ones(x.shape), kh, kw, A, 0.0) > 0
    n, c, _, _, ho, wo = u.shape
    v = u.reshape(n, c, kh * kw, ho, wo)
    ok = pos.reshape(v.shape)
    best = (v == v.max(2, keepdims=True)) & ok
    if "inf_pad" in H:
        best = v == v.max(2, keepdims=True)
    if "last_max" in H:
        k = kh * kw - 1 - best[:, :, ::-1].argmax(2)
    elif "col_first" in H:
        k = best.reshape(n, c, kh, kw, ho, wo).transpose(0, 1, 3, 2, 4, 5).reshape(v.shape).argmax(2)
        k = (k % kh) * kw + k // kh
    else:
        k = best.argmax(2)
    d = (np.arange(kh * kw)[None, None, :, None, None] == k[:, :, None]) * g[:, :, None]
    if "all_max" in H:
        d = best * g[:, :, None]
    return {"d_x": fold(d, x.shape, kh, kw, A, H)}


bug("max_pool", "pad_zero", "padding counts as 0")
bug("max_pool", "dil_swap", "dilations swapped")
bug("max_pool", "ceil_size", "output size rounded up")
bug("max_pool_backward", "last_max", "the last maximum gets the gradient")
bug("max_pool_backward", "all_max", "all maxima get the gradient")
bug("max_pool_backward", "col_first", "first maximum column by column")
bug("max_pool_backward", "assign", "overlapping windows overwrite")


def _cnt(x, kh, kw, A, H):
    if A["count_include_pad"] and "exclude_always" not in H:
        return float(kh * kw)
    return np.maximum(unfold(np.ones(x.shape), kh, kw, A, 0.0).sum((2, 3)), 1)


@op
def average_pool(I, A, H):
    x = F64(I["x"])
    kh, kw = A["kernel"]
    d = _cnt(x, kh, kw, A, H)
    if "asym_full" in H and A["padding"][:2] == [0, 0]:
        d = float(kh * kw)
    return {"y": unfold(x, kh, kw, A, 0.0).sum((2, 3)) / d}


@op
def average_pool_backward(I, A, H):
    x, g = F64(I["x"]), F64(I["d_y"])
    kh, kw = A["kernel"]
    d = g / (float(kh * kw) if "full_always" in H else _cnt(x, kh, kw, A, H))
    d = np.broadcast_to(d[:, :, None, None], d.shape[:2] + (kh, kw) + d.shape[2:])
    return {"d_x": fold(np.ascontiguousarray(d), x.shape, kh, kw, A, H)}


bug("average_pool", "exclude_always", "count_include_pad is ignored")
bug("average_pool", "asym_full", "divides by the full window where only bottom or right are padded")
bug("average_pool_backward", "full_always", "divides by all taps always")
bug("average_pool_backward", "exclude_always", "count_include_pad is ignored")


# ---------------------------------------------------------------- requantization
@op
def requant_float(I, A, H):
    acc, st, of, step, z = np.asarray(I["acc"]), F64(I["scale"]), F64(I["offset"]), F64(I["step"]), int(I["zero_point"])
    ax = A["axis"]
    if "axis_1" in H and ax is not None and acc.ndim > 1 and acc.shape[1] == st.size:
        ax = 1
    S, O = along(st, ax, acc.ndim), along(of, ax, acc.ndim)
    lo, hi = codes_range(A["bits"], "signed" if "narrow_full" in H and A["grid"] == "narrow" else A["grid"])
    n, p = lo - z, hi - z
    a = acc.astype(np.float64)
    if "acc_f32" in H:
        a = F64(acc.astype(np.float32))
    real = S * a + O
    if "f32" in H:
        real = F64(np.float32(S) * np.float32(acc) + np.float32(O))
    v = real / step
    if "fused_scale" in H:
        v = (S / step) * a + O / step
    if "recip" in H:
        v = real * (1 / step)
    r = np.rint(v)
    if "half_away" in H:
        r = rnd(v, "half_away")
    if "z_first" in H:
        r = np.rint(v + z) - z
    if "bias_rounded" in H:
        r = np.rint(S * (a + np.rint(np.where(S != 0, O / S, 0))) / step)
    if A["relu"]:
        if "relu_code0" in H:
            n = max(lo, 0) - z
        elif "relu_only_signed" in H and A["grid"] in ("affine",):
            pass
        elif "relu_after_z" in H:
            n = max(n, 0)
            r = np.where(real < 0, lo - z, r)
            n = lo - z
        else:
            n = max(n, 0)
    if "clip_codes_q" in H:
        return {"codes": I32(np.clip(r, max(lo, 0) if A["relu"] else lo, hi) + z)}
    return {"codes": I32(np.clip(r, n, p) + z)}


for a in [("axis_1", "the parameters go along axis 1 whatever axis says"), ("narrow_full", "narrow grid has the extra code"),
          ("acc_f32", "accumulator passes through float32"), ("f32", "computed in float32"), ("fused_scale", "scale / step is formed first"),
          ("recip", "multiplies by 1 / step"), ("half_away", "ties away from zero"), ("z_first", "zero point added before rounding"),
          ("bias_rounded", "offset is first rounded to whole accumulator units"), ("relu_code0", "relu clips codes at 0, not at the zero point"),
          ("relu_only_signed", "relu is left out on affine grids"), ("clip_codes_q", "clips before the zero point is added")]:
    bug("requant_float", *a)


def sat(v):
    return max(-2 ** 31, min(2 ** 31 - 1, v))


def tdiv(a, b):
    return -((-a) // b) if a < 0 else a // b


@op
def requant_fixed(I, A, H):
    acc = np.asarray(I["acc"])
    ax = A["axis"]
    m0, ex = along(np.asarray(I["m0"]), ax, acc.ndim), along(np.asarray(I["exponent"]), ax, acc.ndim)
    z = int(I["zero_point"])
    lo, hi = codes_range(A["bits"], A["grid"])
    if A["relu"]:
        lo = max(lo, 0 if "relu_code0" in H else z)
    m0, ex = np.broadcast_to(m0, acc.shape), np.broadcast_to(ex, acc.shape)
    out = np.zeros(acc.shape, np.int32)
    for k in np.ndindex(*acc.shape):
        a, m, e = int(acc[k]), int(m0[k]), int(ex[k])
        post = 0
        if e < 0:
            if "left_after" in H:
                post = -e
            elif "left_wraps" in H:
                a = ((a << -e) + 2 ** 31) % 2 ** 32 - 2 ** 31
            elif "left_unsaturated" in H:
                a = a << -e
            else:
                a = sat(a << -e)
            e = 0
        if A["requantize"] == "double":
            v = a * m
            nud = 2 ** 30 if v >= 0 else 1 - 2 ** 30
            if "nudge_acc_sign" in H:
                nud = 2 ** 30 if a >= 0 else 1 - 2 ** 30
            if "nudge_positive" in H:
                nud = 2 ** 30
            if "nudge_sym" in H:
                nud = 2 ** 30 if v >= 0 else -2 ** 30
            x = (v + nud) >> 31 if "srdhm_floor" in H else tdiv(v + nud, 2 ** 31)
            x = x if "srdhm_no_sat" in H else sat(x)
            if "srdhm_no_sat" in H:
                x = (x + 2 ** 31) % 2 ** 32 - 2 ** 31
            if e > 0:
                if "rdiv_half_up" in H:
                    x = (x + (1 << (e - 1))) >> e
                elif "rdiv_floor" in H:
                    x = x >> e
                elif "rdiv_even" in H:
                    f, r = x >> e, x & ((1 << e) - 1)
                    h = 1 << (e - 1)
                    x = f + (r > h or (r == h and f & 1))
                elif "rdiv_big_zero" in H and e > 31:
                    x = 0
                elif "rdiv_big_mod" in H and e > 31:
                    x = tdiv(x + ((1 << (e % 32)) >> 1), 1 << (e % 32))
                else:
                    x = (abs(x) + (1 << (e - 1)) >> e) * (1 if x >= 0 else -1)
        else:
            if e > 31 and "single_big" not in H or (e == 31 and "single_31" in H):
                x = 0
            else:
                v, b = a * m, 30 + e
                if "single_away" in H:
                    x = (abs(v) + (1 << b) >> (b + 1)) * (1 if v >= 0 else -1)
                elif "single_big" in H:
                    x = (v + (1 << (b % 64))) >> ((b + 1) % 64)
                elif "single_trunc" in H:
                    x = tdiv(v + (1 << b), 1 << (b + 1))
                elif "single_int32_round" in H:
                    x = (v + (1 << 30)) >> 31 >> e
                else:
                    x = (v + (1 << b)) >> (b + 1)
        if post:
            x = x << post
        if "z_int8" in H:
            x = (sat(x) + 2 ** 15) % 2 ** 16 - 2 ** 15
        c = x + z
        if "sum_wraps" in H:
            c = (c + 2 ** 31) % 2 ** 32 - 2 ** 31
        out[k] = max(lo, min(hi, c))
    return {"codes": out}


for a in [("relu_code0", "relu clips at the code 0"), ("left_after", "a left shift is done after the multiplication"),
          ("left_wraps", "a left shift wraps"), 
          ("nudge_acc_sign", "nudge by the sign of acc only: wrong for negative multipliers"),
          ("nudge_positive", "nudge is 2^30 for negative products too"), ("nudge_sym", "negative nudge is -2^30"),
          ("srdhm_floor", "arithmetic shift in place of the truncating division"),
          ("rdiv_half_up", "second stage rounds half up"), ("rdiv_floor", "second stage does not round"), ("rdiv_even", "second stage rounds half to even"),
          ("rdiv_big_mod", "second stage shifts modulo 32"), 
          ("single_31", "single: 0 from exponent 31 on"), ("single_away", "single rounds half away from zero"),
          ("single_big", "single: exponents above 31 shift modulo 64"), ("single_trunc", "single truncates toward zero"),
          ("single_int32_round", "single rounds at 31 bits, then shifts without rounding"), ("z_int8", "result wraps in int16 before the zero point"),
          ("sum_wraps", "result + zero point wraps in int32")]:
    bug("requant_fixed", *a)


@op
def quantize_multiplier(I, A, H):
    M = F64(I["multiplier"])
    f, x = np.frexp(np.abs(M))
    t = f * 2.0 ** 31
    m = np.rint(t) if A["mantissa_rounding"] == "rint" else np.floor(t + 0.5)
    if "half_up_signed" in H and A["mantissa_rounding"] == "half_away":
        m = np.where(M < 0, np.ceil(t - 0.5), m)
    if "rint_always" in H:
        m = np.rint(t)
    if "trunc" in H:
        m = np.floor(t)
    e = -x.astype(np.int64)
    big = m == 2.0 ** 31
    if "saturate" in H:
        m = np.where(big, 2.0 ** 31 - 1, m)
    elif "wrong_way" in H:
        m, e = np.where(big, 2.0 ** 30, m), np.where(big, e + 1, e)
    elif "exp_kept" in H:
        m = np.where(big, 2.0 ** 30, m)
    else:
        m, e = np.where(big, 2.0 ** 30, m), np.where(big, e - 1, e)
    if "small_zero" in H:
        z = e > 31
        m, e = np.where(z, 0, m), np.where(z, 0, e)
    m, e = np.where(M == 0, 0, m), np.where(M == 0, 0, e)
    s = 1 if "sign_lost" in H else np.where(M < 0, -1, 1)
    return {"m0": I32(m * s), "exponent": I32(e)}


for a in [("half_up_signed", "half_away on negative multipliers goes up"), ("rint_always", "half_away ignored"), ("trunc", "mantissa truncated"),
          ("saturate", "2^31 becomes 2^31 - 1"), ("wrong_way", "exponent grows where the mantissa overflows"),
          ("exp_kept", "exponent kept where the mantissa overflows"), ("small_zero", "exponents above 31 become 0 (TFLite)"), ("sign_lost", "sign lost")]:
    bug("quantize_multiplier", *a)


# ---------------------------------------------------------------- AdaRound
@op
def rect_sigmoid(I, A, H):
    a = F64(I["alpha"])
    if "exp_pos" in H:
        e = np.exp(a)
        return {"h": np.clip(1.2 * (e / (1 + e)) - 0.1, 0, 1)}
    if "no_upper" in H:
        return {"h": np.maximum(1.2 * sig(a) - 0.1, 0)}
    if "zeta_width" in H:
        return {"h": np.clip(1.1 * sig(a) - 0.1, 0, 1)}
    if "float32" in H:
        return {"h": F64(np.clip(np.float32(1.2) * sig(a).astype(np.float32) - np.float32(.1), 0, 1))}
    if "clamped_alpha" in H:
        return {"h": np.clip(1.2 * sig(np.clip(a, -2.3, 2.3)) - 0.1, 0, 1)}
    return {"h": rect(a)}


@op
def rect_sigmoid_backward(I, A, H):
    d = drect(I["alpha"], A["edge"], H)
    if "h_prime_of_h" in H:
        h = rect(I["alpha"])
        d = 1.2 * h * (1 - h)
    return {"d_alpha": F64(I["d_h"]) * d}


@op
def round_reg(I, A, H):
    a = F64(I["alpha"])
    h = sig(a) if "sigmoid_only" in H else rect(a)
    t = np.abs(2 * h - 1)
    if "no_abs" in H:
        t = 2 * h - 1
    if "t_eps" in H:
        t = np.abs(2 * h - 1 + 1e-8)
    v = 1 - t ** A["beta"]
    if "pow_outside" in H:
        v = (1 - t) ** A["beta"]
    v = v.mean() if "mean" in H else v.sum()
    return {"value": np.asarray(v * (1 if "no_lam" in H else A["lam"]))}


@op
def round_reg_backward(I, A, H):
    a, b = F64(I["alpha"]), A["beta"]
    t = 2 * rect(a) - 1
    e = b if "exp_beta" in H else b - 1
    d = -2 * A["lam"] * b * np.abs(t) ** e * np.sign(t)
    if "no_sign" in H:
        d = -2 * A["lam"] * b * np.abs(t) ** (b - 1)
    if "sign0_up" in H:
        d = -2 * A["lam"] * b * np.abs(t) ** (b - 1) * np.where(t >= 0, 1, -1)
    if "factor1" in H:
        d = d / 2
    if "t_pow_b2" in H:
        d = -2 * A["lam"] * b * np.abs(t) ** (b - 2) * t
    if "mean" in H:
        d = d / max(a.size, 1)
    return {"d_alpha": d * drect(a, A["edge"], H)}


for a in [("exp_pos", "exp(a) / (1 + exp(a)) overflows to NaN"), ("no_upper", "not clipped at 1"), ("zeta_width", "width 1.1"),
          ("float32", "computed in float32"), ("clamped_alpha", "alpha clamped to 2.3: never quite 0 or 1")]:
    bug("rect_sigmoid", *a)
for o in ("rect_sigmoid_backward", "round_reg_backward"):
    for a in [("edge_ignored", "edge always inclusive"), ("torch_mask", "mask taken from the stretched value in floats"),
              ("no_edge_mask", "gradient beyond ln 11"), ("half_open_edge", "upper edge excluded while the lower is included"), ("width_1", "1.2 forgotten")]:
        bug(o, *a)
bug("rect_sigmoid_backward", "h_prime_of_h", "h (1 - h) in place of sigma (1 - sigma)")
for a in [("sigmoid_only", "plain sigmoid"), ("no_abs", "no absolute value"), ("t_eps", "1e-8 added inside"), ("mean", "mean in place of sum"), ("pow_outside", "(1 - |2h - 1|)^beta")]:
    bug("round_reg", *a)
for a in [("exp_beta", "exponent beta"), ("no_sign", "sign forgotten"), ("sign0_up", "sign(0) = 1: differs at beta = 1"), ("t_pow_b2", "|t|^(beta - 2) t: NaN at h = 1/2"), ("mean", "mean in place of sum")]:
    bug("round_reg_backward", *a)


@op
def adaround_init_alpha(I, A, H):
    w, s = F64(I["w"]), F64(I["s"])
    u = w / along(s, 0, w.ndim)
    if "axis_last" in H and s.ndim and w.shape[-1] == s.size:
        u = w / s
    f = u - (np.trunc(u) if "trunc" in H else np.floor(u))
    if "round_base" in H:
        f = u - np.rint(u)
    if A["alpha_init"] == "clipped" and "clip_ignored" not in H:
        y = (np.clip(f, 1e-4, 1 - 1e-4) + 0.1) / 1.2
        if "clip_after" in H:
            y = np.clip((f + 0.1) / 1.2, 1e-4, 1 - 1e-4)
        return {"alpha": np.log(y / (1 - y))}
    if A["alpha_init"] == "quotient" or "quotient_always" in H or "clip_ignored" in H and A["alpha_init"] == "clipped":
        return {"alpha": -np.log(1.2 / (f + 0.1) - 1)}
    if "quot_width" in H:
        return {"alpha": -np.log((1.1 - (-0.1)) / (f + 0.1) - 1)}
    if "plain_logit" in H:
        return {"alpha": np.log((f + 1e-4) / (1 - f + 1e-4))}
    return {"alpha": np.where(f == 0, -LN11, np.log((1 + 10 * f) / (11 - 10 * f)))}


for a in [("axis_last", "square weights: s goes along the last axis"), ("trunc", "fraction by truncation"), ("clip_ignored", "clipped not implemented"),
          ("clip_after", "clips y, not f"), ("quot_width", "ratio by the quotient with width 1.1 + 0.1 (f = 1/2 not exactly 0)"), ("plain_logit", "logit without stretch")]:
    bug("adaround_init_alpha", *a)


def _ada(I, A, H):
    w, s, z, al = F64(I["w"]), F64(I["s"]), np.asarray(I["zero_point"]).astype(np.int64), F64(I["alpha"])
    lo, hi = codes_range(A["bits"], "signed" if "narrow_full" in H and A["grid"] == "narrow" else A["grid"])
    ax = 0
    if "axis_last" in H and s.ndim and w.shape[-1] == s.size:
        ax = -1
    S, Z = along(s, ax, w.ndim), along(z, ax, w.ndim)
    n, p = (lo + 0 * Z, hi + 0 * Z) if "unshifted" in H else (lo - Z, hi - Z)
    u = w / S
    fl = np.trunc(u) if "trunc" in H else np.floor(u)
    if "recip" in H:
        fl = np.floor(w * (1 / S))
    return w, s, S, Z, n, p, u, fl, al


@op
def adaround_weight(I, A, H):
    w, s, S, Z, n, p, u, fl, al = _ada(I, A, H)
    if A["rounding"] == "soft":
        q = np.clip(fl + (sig(al) if "plain_sigmoid" in H else rect(al)), n, p)
        if "clip_floor" in H:
            q = np.clip(fl, n, p) + rect(al)
    else:
        up = al >= 0 if A["tie"] == "up" else al > 0
        if "tie_ignored" in H:
            up = al >= 0
        if "h_gt_half" in H:
            up = rect(al) > 0.5
        if "frac_hard" in H:
            up = u - fl >= 0.5
        q = np.clip(fl + up, n, p)
        if "clip_floor" in H:
            q = np.clip(fl, n, p) + up
        if "round_h" in H:
            q = np.clip(np.rint(fl + rect(al)), n, p)
    q = np.where(np.isnan(w), (-Z if "nan_code0" in H else n if "nan_low" in H else 0), q)
    if "nan_h" in H and A["rounding"] == "soft":
        q = np.where(np.isnan(w), np.clip(rect(al), n, p), q)
    out = {"w_hat": S * q}
    if A["rounding"] == "hard":
        out["codes"] = I32(np.broadcast_to(q + (0 if "codes_no_z" in H else Z), w.shape))
    return out


@op
def adaround_weight_backward(I, A, H):
    w, s, S, Z, n, p, u, fl, al = _ada(I, A, H)
    v = fl + rect(al)
    M = (v >= n) & (v <= p)
    if "no_level_mask" in H:
        M = np.ones(w.shape)
    if "level_strict" in H:
        M = (v > n) & (v < p)
    if "mask_floor" in H:
        M = (fl >= n) & (fl <= p)
    if "mask_both" in H:
        M = (fl >= n) & (fl + 1 <= p)
    if "mask_u" in H:
        M = (u >= n) & (u <= p)
    d = F64(I["d_w_hat"]) * M * drect(al, A["edge"], H)
    return {"d_alpha": d if "no_s" in H else d * (np.abs(S) if "x" in H else S)}


for a in [("narrow_full", "narrow grid has the extra level"), ("axis_last", "square weights: s along the last axis"), ("unshifted", "clips u-space levels to the code limits"),
          ("trunc", "truncation in place of floor"), ("recip", "multiplies by 1 / s"), ("plain_sigmoid", "soft weight by the plain sigmoid"), ("clip_floor", "clips the floor, then adds the decision"),
          ("tie_ignored", "tie is always up"), ("h_gt_half", "h > 1/2: ties down always"), ("frac_hard", "hard rounding ignores alpha"), ("round_h", "hard = rint(floor + h): ties to even"),
          ("nan_code0", "NaN gets code 0"), ("nan_low", "NaN rests at the lowest level"), ("nan_h", "soft NaN rests at h"), ("codes_no_z", "codes lack the zero point")]:
    bug("adaround_weight", *a)
for a in [("unshifted", "mask by the code limits"), ("no_level_mask", "clipped weights keep their gradient"), ("level_strict", "mask excludes n and p"), ("mask_floor", "mask on floor(w / s) alone"),
          ("mask_both", "mask needs both neighbours on the grid"), ("mask_u", "mask on w / s"), ("no_s", "s forgotten"), ("edge_ignored", "edge always inclusive"), ("torch_mask", "edge mask from the stretched value"),
          ("no_edge_mask", "gradient beyond ln 11"), ("axis_last", "square weights: s along the last axis"), ("trunc", "truncation in place of floor")]:
    bug("adaround_weight_backward", *a)


def _beta(t, A, H, after="continue"):
    t, T, wu = F64(t), A["total"], A["warm_up"]
    first = 1 if "first_ignored" in H else A["first_step"]
    end = T if A["arrive"] == "total" or "arrive_ignored" in H else first + T - 1
    st = wu * T
    if "warm_end" in H:
        st = wu * end
    if "warm_int" in H:
        st = float(int(st))
    den = end - st
    if "den_total" in H:
        den = end
    rel = np.where(den > 0, (t - st) / (den if den > 0 else 1), 1.0)
    if "rel_no_warm" in H:
        rel = t / end
    if after == "hold" or "always_hold" in H:
        rel = np.minimum(rel, 1) if "hold_ignored" not in H else rel
    b0, b1 = A["start"], A["end"]
    if A["curve"] == "linear":
        b = b1 + (b0 - b1) * (1 - rel)
        if "max0" in H:
            b = b1 + (b0 - b1) * np.maximum(0, 1 - rel)
    else:
        b = b1 + (b0 - b1) * (1 + np.cos(np.pi * rel)) / 2
        if "cos_half" in H:
            b = b1 + (b0 - b1) * np.cos(np.pi * rel / 2)
    off = t <= st if "warm_inclusive" in H else t < st
    on = t > st if "on_strict" in H else ~off
    if "on_always" in H and wu == 0:
        on = t > first
    return np.where(off, b0, b), on


@op
def beta_schedule(I, A, H):
    b, on = _beta(I["t"], A, H, A["after"])
    return {"beta": b, "on": on}


for a in [("warm_inclusive", "step t = warm_up T is still off"), ("warm_int", "warm-up rounded down to whole steps"), ("warm_end", "warm-up is a share of the arriving step"),
          ("arrive_ignored", "arrive is ignored"), ("first_ignored", "first_step is taken as 1"), ("den_total", "divides by T"), ("rel_no_warm", "rel = t / T"),
          ("always_hold", "after = continue holds"), ("hold_ignored", "after = hold goes on"), ("max0", "linear cannot go below b1 (BRECQ)"), ("cos_half", "quarter cosine")]:
    bug("beta_schedule", *a)


@op
def cosine_lr(I, A, H):
    t, T = F64(I["t"]), A["total"]
    if "t_plus_1" in H:
        t = t + 1
    if "T_minus_1" in H:
        T = max(T - 1, 1)
    return {"rate": A["lr"] * (1 + np.cos(np.pi * t / T)) / 2}


bug("cosine_lr", "t_plus_1", "counts from 1")
bug("cosine_lr", "T_minus_1", "divides by T - 1")


def adam(x, g, m, v, t, lr, b1, b2, eps, H=()):
    x, g, m, v, t = F64(x), F64(g), F64(m), F64(v), float(t)
    m1 = b1 * m + (1 - b1) * g
    v1 = b2 * v + (1 - b2) * g * g
    mm = m if "old_m" in H else m1
    vv = v if "old_v" in H else v1
    if "t_minus" in H:
        t = t - 1 if t > 1 else 1
    c1, c2 = 1 - b1 ** t, 1 - b2 ** t
    if "same_beta" in H:
        c2 = 1 - b1 ** t
    mh, vh = mm / c1, vv / c2
    if "eps_inside" in H:
        st = mh / np.sqrt(vh + eps)
    elif "eps_uncorrected" in H:
        st = mm * (np.sqrt(c2) / c1) / (np.sqrt(vv) + eps)
    elif "no_c1" in H:
        st = mm / (np.sqrt(vh) + eps)
    elif "no_c2" in H:
        st = mh / (np.sqrt(vv) + eps)
    elif "amsgrad" in H:
        st = mh / (np.sqrt(np.maximum(vv, v) / c2) + eps)
    elif "eps_default" in H:
        st = mh / (np.sqrt(vh) + 1e-8)
    elif "centred_v" in H:
        v1 = b2 * v + (1 - b2) * (g - m1) ** 2
        st = mh / (np.sqrt(v1 / c2) + eps)
    elif "nesterov" in H:
        st = (b1 * mh + (1 - b1) * g / c1) / (np.sqrt(vh) + eps)
    else:
        st = mh / (np.sqrt(vh) + eps)
    if "stored_hat" in H:
        m1, v1 = mh, vh
    return x - lr * st, m1, v1


@op
def adam_step(I, A, H):
    x, m, v = adam(I["x"], I["d_x"], I["m"], I["v"], I["t"], A["lr"], A["beta1"], A["beta2"], A["eps"], H)
    return {"x_next": x, "m_next": m, "v_next": v}


for a in [("old_m", "step uses m from before the update"), ("old_v", "step uses v from before the update"), ("t_minus", "bias correction one step behind"), ("same_beta", "v corrected by beta1"),
          ("eps_inside", "eps under the root"), ("eps_uncorrected", "eps added before the bias correction (epsilon hat)"), ("no_c2", "v not corrected"), ("amsgrad", "maximum of old and new v"),
          ("eps_default", "eps ignored"), ("stored_hat", "corrected moments are stored"), ("nesterov", "NAdam step"), ("centred_v", "v of g - m (AdaBelief)")]:
    bug("adam_step", *a)


@op
def adaround_step(I, A, H):
    W = {"w": I["w"], "s": I["s"], "zero_point": I["zero_point"], "alpha": I["alpha"]}
    w, s, S, Z, n, p, u, fl, al = _ada(W, A, ())
    h = rect(al)
    q = np.where(np.isnan(w), 0, np.clip(fl + h, n, p))
    wh = S * q
    idx = np.asarray(I["indices"])
    if "unique" in H:
        idx = np.unique(idx)
    x, tg = F64(I["x"])[idx], F64(I["target"])[idx]
    e = x @ wh.T - tg
    nb = len(idx) if A["reduction"] == "channels" or "mean_ignored" in H else e.size
    if "batch_all" in H and A["reduction"] == "channels":
        nb = len(np.asarray(I["x"]))
    loss = (e * e).sum() / nb
    dwh = 2 * (e.T @ x) / nb
    if "factor2" in H:
        dwh = dwh / 2
    v = fl + h
    d = dwh * S * ((v >= n) & (v <= p)) * drect(al, A["edge"])
    b, on = _beta(np.asarray([int(I["t"])]), A, [k for k in H if k in ("warm_inclusive", "arrive_ignored")])
    b, on = float(b[0]), bool(on[0])
    pen = A["lam"] * (1 - np.abs(2 * h - 1) ** b).sum()
    dp = round_reg_backward({"alpha": al}, {"beta": b, "lam": A["lam"], "edge": A["edge"]}, ())["d_alpha"]
    if "reg_level_mask" in H:
        dp = dp * ((v >= n) & (v <= p))
    if not on:
        if "reg_in_warm_value" not in H:
            pen = 0.0
        if "reg_in_warm" not in H:
            dp = dp * 0
    g = d + dp
    t = int(I["t"]) - A["first_step"] + 1
    if "adam_t" in H:
        t = max(int(I["t"]), 1)
    if "no_reg_grad" in H:
        g = d
    a, m, vv = adam(al, g, I["m"], I["v"], t, A["lr"], A["beta1"], A["beta2"], A["eps"])
    if "alpha_clamped" in H:
        a = np.clip(a, -LN11, LN11)
    return {"loss": np.asarray(loss), "penalty": np.asarray(pen), "d_alpha": g, "alpha_next": a, "m_next": m, "v_next": vv}


for a in [("unique", "repeated samples count once"), ("mean_ignored", "reduction is ignored"), ("batch_all", "divides by the number of all samples"), ("factor2", "factor 2 forgotten"),
          ("reg_in_warm", "gradient of the regulariser in the warm-up"), ("adam_t", "Adam counts t as it is for first_step 0"), ("reg_level_mask", "clip mask also blocks the regulariser"),
          ("alpha_clamped", "alpha is clamped to +-ln 11 after the step"), ("warm_inclusive", "step t = warm_up T is still off"), ("arrive_ignored", "arrive ignored"), ("reg_in_warm_value", "penalty reported in the warm-up")]:
    bug("adaround_step", *a)


# ---------------------------------------------------------------- losses
def _den(z, A, H):
    c = z.shape[A["channel_axis"]]
    if "axis_1" in H:
        c = z.shape[1]
    return z.size / c


@op
def lp_rec_loss(I, A, H):
    z, t, p = F64(I["z"]), F64(I["t"]), A["p"]
    if "p2" in H:
        p = 2
    s = (np.abs(z - t) ** p).sum()
    return {"loss": np.asarray(s / (z.size if A["reduction"] == "mean" and "red" not in H else _den(z, A, H)))}


@op
def lp_rec_loss_backward(I, A, H):
    z, t, p = F64(I["z"]), F64(I["t"]), A["p"]
    e = z - t
    d = p * np.abs(e) ** (p - 1) * np.sign(e)
    if "b2" in H:
        d = p * np.abs(e) ** (p - 2) * e
    if "sign0" in H:
        d = p * np.abs(e) ** (p - 1) * np.where(e >= 0, 1, -1)
    return {"d_z": d / (z.size if A["reduction"] == "mean" and "red" not in H else _den(z, A, H))}


@op
def fisher_diag(I, A, H):
    z, t, g = F64(I["z"]), F64(I["t"]), F64(I["g"])
    return {"loss": np.asarray(((z - t) ** 2 * (np.abs(g) if "g_once" in H else g * g)).sum() / _den(z, A, H))}


@op
def fisher_full_backward(I, A, H):
    z, t, g = F64(I["z"]), F64(I["t"]), F64(I["g"])
    e = z - t
    S = (np.abs(e) * g).sum(axis=tuple(range(1, z.ndim)), keepdims=True)
    if "last_axis" in H:
        S = (np.abs(e) * g).sum(axis=-1, keepdims=True)
    return {"d_z": np.sign(e) * (1 if "no2" in H else 2) * S * g / (100 * max(z.size, 1))}


for o in ("lp_rec_loss", "lp_rec_loss_backward"):
    bug(o, "axis_1", "channel_axis is taken as 1")
    bug(o, "red", "reduction mean ignored")
bug("lp_rec_loss", "p2", "p is always 2")
bug("lp_rec_loss_backward", "b2", "|e|^(p - 2) e: NaN at e = 0 for p < 2")
bug("lp_rec_loss_backward", "sign0", "sign(0) = 1 at p = 1")
bug("fisher_diag", "axis_1", "channel_axis is taken as 1")
bug("fisher_full_backward", "last_axis", "S_n sums only the last axis")
bug("fisher_full_backward", "no2", "S_n held constant")


def lsm(a):
    a = a - a.max(1, keepdims=True)
    return a - np.log(np.exp(a).sum(1, keepdims=True))


@op
def kl_logits(I, A, H):
    z, t, T = F64(I["z"]), F64(I["t"]), A["temperature"]
    lz, lt = lsm(z / T), lsm(t / T)
    if "z_no_T" in H:
        lz = lsm(z)
    if "reversed" in H:
        lz, lt = lt, lz
    if "unstable" in H:
        lz = np.log(np.exp(z / T) / np.exp(z / T).sum(1, keepdims=True))
    if "eps" in H:
        lz = np.log(np.exp(lz) + 1e-8)
    P = np.exp(lt)
    v = np.where(P > 0, P * (lt - lz), 0).sum(1)
    s = v.sum() / len(z) if "batchmean_c" not in H else v.sum() / z.size
    return {"loss": np.asarray(s * (T * T if "T2" in H else 1))}


@op
def kl_logits_backward(I, A, H):
    z, t, T = F64(I["z"]), F64(I["t"]), A["temperature"]
    d = (np.exp(lsm(z / T)) - np.exp(lsm(t / T))) / (T * len(z))
    if "no_T" in H:
        d = d * T
    if "T2" in H:
        d = d * T * T
    if "by_numel" in H:
        d = d / z.shape[1]
    if "unstable" in H:
        e = np.exp(z / T)
        d = (e / e.sum(1, keepdims=True) - np.exp(lsm(t / T))) / (T * len(z))
    return {"d_z": d}


for a in [("reversed", "arguments exchanged"), ("z_no_T", "temperature only on t"), ("unstable", "overflow for large logits"), ("eps", "1e-8 in the logarithm"), ("batchmean_c", "mean over classes too"), ("T2", "times T^2")]:
    bug("kl_logits", *a)
for a in [("no_T", "1 / T forgotten"), ("T2", "times T^2"), ("by_numel", "divides by classes too"), ("unstable", "overflow for large logits")]:
    bug("kl_logits_backward", *a)


# ---------------------------------------------------------------- QUBO
@op
def qubo_build(I, A, H):
    w, s, z, x, xh = F64(I["w"]), float(I["s"]), int(I["zero_point"]), F64(I["x"]), get(I, "x_hat")
    lo, hi = codes_range(A["bits"], A["grid"])
    n, p = lo - z, hi - z
    if "unshifted" in H:
        n, p = lo, hi
    u = w / s
    fl = np.floor(u)
    F = np.clip(fl, n, p)
    free = (fl >= n) & (fl < p)
    if "free_le" in H:
        free = (fl >= n) & (fl <= p)
    if "free_from_clipped" in H:
        free = (F >= n) & (F < p)
    f = u - F
    if "f_frac" in H:
        f = u - fl
    m = 1 if "no_m" in H else x.shape[1]
    G = x @ x.T / m
    if xh is None or "x_hat_ignored" in H:
        k = G @ f
        if "drop_first" in H:
            k = G @ np.where(free, f, 0)
        Q = s * s * (G - (1 if "one_diag" in H else 2) * np.diag(k))
        c = s * s * f @ G @ f
        if "drop_first" in H:
            c = s * s * np.where(free, f, 0) @ G @ np.where(free, f, 0)
    else:
        xh = F64(xh)
        Gh, C = xh @ xh.T / m, (x @ xh.T if "c_transposed" in H else xh @ x.T) / m
        FF = np.where(free, F, 0) if "drop_first" in H else F
        Q = s * s * Gh + np.diag(2 * s * s * Gh @ FF - 2 * s * C @ w)
        c = s * s * FF @ Gh @ FF - 2 * s * FF @ C @ w + w @ ((Gh if "gh_const" in H else G) @ w)
        if "asym_diag_w" in H:
            Q = s * s * Gh + np.diag(2 * s * s * Gh @ FF - 2 * s * Gh @ w)
    Q = Q[free][:, free]
    return {"q": Q, "constant": np.asarray(c), "base": I32(F), "free": free}


for a in [("unshifted", "zero point ignored in the limits"), ("free_le", "weights at the top count as free"), ("free_from_clipped", "weights below the range count as free"), ("f_frac", "fraction of clipped weights not measured from the clipped level"),
          ("drop_first", "weights that are not free are dropped before the products"), ("one_diag", "factor 2 on the diagonal forgotten"), ("c_transposed", "C transposed"), ("gh_const", "constant uses Gh"),
          ("asym_diag_w", "targets from quantised inputs"), ("no_m", "not divided by m")]:
    bug("qubo_build", *a)


@op
def qubo_energy(I, A, H):
    q, h = F64(I["q"]), F64(I["h"])
    if "upper" in H:
        q = np.triu(q)
    return {"energy": np.einsum("ci,ij,cj->c", h, q, h)}


@op
def qubo_exact(I, A, H):
    q = F64(I["q"])
    best, bh = None, None
    k = len(q)
    if "not_zero" in H and k:
        pass
    for h in itertools.product((0, 1), repeat=k):
        hh = np.array(h[::-1] if "little_endian" in H else h, float)
        e = hh @ q @ hh
        if best is None or e < best or ("last_tie" in H and e <= best):
            best, bh = e, hh
    return {"h": I32(bh), "energy": np.asarray(float(best))}


@op
def qubo_1flip(I, A, H):
    q, h = F64(I["q"]), np.asarray(I["h0"]).astype(np.int64).copy()
    for _ in range(100000):
        off = q - np.diag(np.diag(q))
        k = 1 if "no2" in H else 2
        d = (1 - 2 * h) * (np.diag(q) + k * off @ h)
        if "diag_in" in H:
            d = (1 - 2 * h) * (np.diag(q) + 2 * q @ h)
        if not len(d) or d.min() >= 0:
            break
        i = int(np.argmin(d))
        if "first" in H:
            i = int(np.argmax(d < 0))
        if "last_tie" in H:
            i = int(len(d) - 1 - np.argmin(d[::-1]))
        h[i] ^= 1
        if "once" in H:
            break
        if _ > 5000:
            break
    return {"h": I32(h), "energy": np.asarray(float(h @ q @ h))}


bug("qubo_energy", "upper", "only the upper triangle")
bug("qubo_exact", "last_tie", "the last of equal energies")
bug("qubo_exact", "little_endian", "lexicographic with index 0 last")
bug("qubo_1flip", "first", "first improving flip, not the steepest")
bug("qubo_1flip", "last_tie", "highest index among equals")
bug("qubo_1flip", "no2", "factor 2 of the neighbours forgotten")
bug("qubo_1flip", "diag_in", "the own variable counts among the neighbours")


@op
def bit_alloc_exact(I, A, H):
    L, S, B = F64(I["loss"]), F64(I["size"]), float(I["budget"])
    best = None
    for c in itertools.product(range(L.shape[1]), repeat=L.shape[0]):
        r = np.arange(len(c))
        sz, lo = S[r, list(c)].sum(), L[r, list(c)].sum()
        if (sz < B if "strict" in H else sz <= B) and (best is None or lo < best[0] or ("last_tie" in H and lo <= best[0])
                                                     or ("small_tie" in H and lo == best[0] and sz < best[2])):
            best = (lo, c, sz)
    if best is None:
        best = (np.nan, (0,) * L.shape[0], np.nan)
    return {"choice": I32(best[1]), "total_loss": np.asarray(best[0]), "total_size": np.asarray(best[2])}


bug("bit_alloc_exact", "strict", "budget must not be reached")
bug("bit_alloc_exact", "last_tie", "last of equal losses")
bug("bit_alloc_exact", "small_tie", "smaller size among equal losses")


# ---------------------------------------------------------------- AQuant
@op
def border_eq7(I, A, H):
    w, d, x, e = (F64(I[k]) for k in ("w", "d_w", "x_prime", "e"))
    a = w + d
    c = d * (x - e if "true_x" in H else x) + w * e
    if "e_A" in H:
        c = d * x + a * e
    b = 0.5 + c / np.where(a == 0, 1, a)
    if A["clipped"] or "always" in H:
        b = np.clip(b, 0, 1)
    return {"border": np.where(a == 0, 0.0 if "zero0" in H else 0.5, b)}


bug("border_eq7", "true_x", "uses x in place of x'")
bug("border_eq7", "e_A", "noise times the quantised weight")
bug("border_eq7", "always", "always clipped")
bug("border_eq7", "zero0", "0 where A = 0")


@op
def border_shared_closed(I, A, H):
    w, wh, k, G = F64(I["w"]), F64(I["w_hat"]), A["taps"], A["groups"]
    co, m = w.shape
    cg = m // k
    og = co // G
    b0, b1, b2 = [], [], []
    E = [get(I, "e0"), get(I, "e1"), get(I, "e2")]
    num, dw, den = [], [], []
    for g in range(G):
        rows = np.arange(co) % G == g if "interleaved" in H else slice(g * og, (g + 1) * og)
        if "all_outputs" in H:
            rows = slice(None)
        a, ww = wh[rows], w[rows]
        num.append((a * ww).sum(0).reshape(cg, k)), dw.append((a * (a - ww)).sum(0).reshape(cg, k)), den.append((a * a).sum(0).reshape(cg, k))
        if "w_error" in H:
            dw[-1] = (ww * (a - ww)).sum(0).reshape(cg, k)
    num, dw, den = map(np.concatenate, (num, dw, den))
    ok = den > 0
    dd = np.where(ok, den, 1)
    R = np.where(ok, num / dd, 0)
    D = np.where(ok, dw / dd, 0)
    e = [0 if v is None else v for v in E]
    zz = np.zeros(R.shape)
    return {"b0": e[0] * R + zz, "b1": (D if not ("e1_replaces" in H and E[1] is not None) else 0) + e[1] * R + zz, "b2": e[2] * R + zz}


bug("border_shared_closed", "interleaved", "outputs dealt to groups in turn")
bug("border_shared_closed", "all_outputs", "sums over all outputs, groups ignored")
bug("border_shared_closed", "w_error", "w (A - w) in place of A (A - w)")
bug("border_shared_closed", "e1_replaces", "with e1 the error of the weights is forgotten")


def bound(P, A, H=()):
    if A["bound"] == "clip":
        return np.clip(0.5 + P, 0, 1)
    k = 2.5 if "kappa_fixed" in H else A["kappa"]
    if A["scale"] == "inner" and "inner_ignored" not in H:
        return sig(k * P)
    v = 0.5 + k * (sig(P) - 0.5)
    return v if "outer_unclipped" in H else np.clip(v, 0, 1)


def dbound(P, A, H=()):
    open_ = A.get("border_mask", "closed") == "open"
    if "open_ignored" in H:
        open_ = False
    if A["bound"] == "clip":
        m = (0.5 + P >= 0) & (0.5 + P <= 1)
        if "clip_strict" in H:
            m = (0.5 + P > 0) & (0.5 + P < 1)
        return np.ones(P.shape) if open_ and "clip_never_open" not in H else m * 1.0
    k = 2.5 if "kappa_fixed" in H else A["kappa"]
    if A["scale"] == "inner":
        e = sig(k * P)
        return (1.0 if "inner_no_kappa" in H else k) * e * (1 - e)
    s = sig(P)
    v = 0.5 + k * (s - 0.5)
    m = np.ones(P.shape) if open_ or "outer_no_mask" in H else (v >= 0) & (v <= 1)
    return k * s * (1 - s) * m


@op
def border_poly(I, A, H):
    u, b0, b1, b2 = F64(I["u"]), F64(I["b0"]), F64(I["b1"]), get(I, "b2")
    e = lambda b: F64(b)[None, :, :, None]
    p = e(b1) * u + e(b0)
    if b2 is not None:
        p = p + e(b2) * (u * np.abs(u) if "signed_square" in H else u * u)
    if "frac" in H:
        p = e(b1) * (u - np.floor(u)) + e(b0) + (0 if b2 is None else e(b2) * (u - np.floor(u)) ** 2)
    return {"p": p}


bug("border_poly", "signed_square", "u |u| in place of u^2")
bug("border_poly", "frac", "polynomial in the fraction of u")


@op
def border_bound(I, A, H):
    return {"e": bound(F64(I["p"]), A, H)}


@op
def border_bound_backward(I, A, H):
    return {"d_p": F64(I["d_e"]) * dbound(F64(I["p"]), A, H)}


bug("border_bound", "kappa_fixed", "kappa is always 2.5")
bug("border_bound", "inner_ignored", "inner is ignored")
bug("border_bound", "outer_unclipped", "outer is not clipped")
for a in [("open_ignored", "open mask ignored"), ("clip_strict", "strict mask of the clip"), ("inner_no_kappa", "kappa forgotten in inner"), ("outer_no_mask", "outer never blocks"), ("clip_never_open", "open is ignored for clip"), ("kappa_fixed", "kappa is always 2.5")]:
    bug("border_bound_backward", *a)


def fuse(P, fu, A, H=()):
    """B; fu (c, k) or None"""
    k = P.shape[2]
    f = np.ones(P.shape[1:3]) if fu is None else F64(fu)
    f = f[None, :, :, None]
    E = bound(P, A, H)
    mode = A["fuse"]
    if mode == "none":
        return E
    if k == 1 and "one_tap_fused" not in H:
        return E
    mean = lambda v: v.sum(2, keepdims=True) / (np.sum(f, axis=2, keepdims=True) if "weighted_mean" in H else k)
    if mode == "fuse_bound":
        return bound(mean(f * P), A, H)
    if mode == "centred":
        if "centred_as_plain" in H:
            return np.clip(mean(f * E), 0, 1)
        return np.clip(0.5 + mean(f * (E - 0.5)), 0, 1)
    v = mean(f * E)
    return v if "fuse_unclipped" in H else np.clip(v, 0, 1)


def dfuse(P, fu, G, A, H=()):
    k = P.shape[2]
    f = (np.ones(P.shape[1:3]) if fu is None else F64(fu))[None, :, :, None]
    zero = np.zeros(P.shape[1:3])
    mode = A["fuse"]
    if mode == "none" or (k == 1 and "one_tap_fused" not in H):
        return G * dbound(P, A, H), zero
    open_ = A["border_mask"] == "open"
    if mode == "fuse_bound":
        Q = (f * P).sum(2, keepdims=True) / k
        GQ = G * dbound(Q, A, H)
        if "fb_deriv_each" in H:
            return G * f / k * dbound(P, A, H), (G * dbound(P, A, H) * P / k).sum((0, 3))
        return np.broadcast_to(GQ * f / k, P.shape) + 0, (GQ * P / k).sum((0, 3))
    E = bound(P, A, H) - (0.5 if mode == "centred" and "centred_e" not in H else 0)
    F = (f * E).sum(2, keepdims=True) / k + (0.5 if mode == "centred" and "centred_e" not in H else 0)
    m = np.ones(F.shape) if open_ and "fuse_never_open" not in H or "fuse_no_mask" in H else (F >= 0) & (F <= 1)
    GF = G * m
    dp = GF * (1 if "no_fusion_w" in H else f) / (1 if "dp_no_k" in H else k) * dbound(P, A, H)
    dfu = (GF * E / k).sum((0, 3))
    if "dfusion_mean" in H:
        dfu = dfu / P.shape[0]
    return dp, dfu


@op
def border_fuse(I, A, H):
    return {"border": fuse(F64(I["p"]), get(I, "fusion"), A, H)}


@op
def border_fuse_backward(I, A, H):
    P = F64(I["p"])
    dp, df = dfuse(P, get(I, "fusion"), F64(I["d_border"]), A, H)
    return {"d_p": dp + np.zeros(P.shape), "d_fusion": df}


for a in [("one_tap_fused", "one tap is weighted by fusion"), ("weighted_mean", "mean divides by the sum of the weights"), ("centred_as_plain", "centred is bound_fuse"), ("fuse_unclipped", "the fused border is not clipped"), ("inner_ignored", "inner ignored")]:
    bug("border_fuse", *a)
for a in [("one_tap_fused", "one tap is weighted by fusion"), ("fb_deriv_each", "fuse_bound: derivative at every P_j instead of at their mean"), ("centred_e", "centred: E_j in place of E_j - 1/2"), ("fuse_never_open", "open mask does not reach the clip of the fused border"),
          ("fuse_no_mask", "clip of the fused border never blocks"), ("no_fusion_w", "d_p lacks the fusion weight"), ("dfusion_mean", "d_fusion averaged over the batch"), ("open_ignored", "open does not reach the bound")]:
    bug("border_fuse_backward", *a)


def _aq(I, A, H):
    x, s = F64(I["x"]), F64(I["s"])
    b0, b1, b2, fu = F64(I["b0"]), F64(I["b1"]), get(I, "b2"), get(I, "fusion")
    c, k = b0.shape
    n, p, a = A["n"], A["p"], A["a"]
    N, _, L = x.shape
    u = (x / s).reshape(N, c, k, L)
    if "taps_outer" in H:
        u = (x / s).reshape(N, k, c, L).transpose(0, 2, 1, 3)
    fin = np.isfinite(u)
    ub = np.where(np.isnan(u), 0, np.where(u == np.inf, p, np.where(u == -np.inf, n, u)))
    if "nonfinite_zero" in H:
        ub = np.where(fin, u, 0)
    if "border_clipped_u" in H:
        ub = np.clip(ub, n, p)
    up = ub * s if "poly_in_x" in H else ub
    e = lambda v: F64(v)[None, :, :, None]
    P = e(b1) * up + e(b0)
    if b2 is not None:
        P = P + e(b2) * up * up
    B = fuse(P, fu, A, H)
    us = np.where(fin, u, 0)
    fl = np.floor(us)
    f = us - fl
    r = fl + (f >= B if "at_border_up" in H else f > B)
    if "ceil_form" in H:
        r = np.ceil(us - B)
    if "trunc" in H:
        r = np.trunc(us) + (np.abs(us - np.trunc(us)) > B)
    v = us + a * (r - us)
    if "a_exact" in H and a == 1:
        v = r
    elif a == 1:
        v = r
    v = np.where(np.isnan(u), 0, np.where(fin, v, u))
    if "a_ignored" in H:
        v = np.where(fin, r, v)
    if "a_after_clip" in H:
        lv = np.clip(us, n, p) * (1 - a) + a * np.clip(r, n, p)
        lv = us * (1 - a) + a * np.clip(r, n, p)
        lv = np.where(fin, lv, np.clip(v, n, p))
    else:
        lv = np.clip(v, n, p)
    return dict(x=x, s=s, b0=b0, b1=b1, b2=b2, fu=fu, c=c, k=k, n=n, p=p, a=a, u=u, us=us, fin=fin, ub=ub, P=P, B=B, v=v, lv=lv, e=e, r=r)


@op
def aquant_quant(I, A, H):
    d = _aq(I, A, H)
    lv = d["lv"]
    if "taps_outer" in H:
        lv = lv.transpose(0, 2, 1, 3)
    lv = lv.reshape(d["x"].shape)
    return {"x_hat": d["s"] * lv, "levels": lv, "border": d["B"]}


@op
def aquant_quant_backward(I, A, H):
    d = _aq(I, A, [h for h in H if h in ("poly_in_x", "nonfinite_zero", "kappa_fixed")])
    s, a, n, p, u, v, c, k = (d[q] for q in ("s", "a", "n", "p", "u", "v", "c", "k"))
    g = F64(I["d_x_hat"]).reshape(u.shape)
    t = v if A["mask"] == "rounded" else u
    M = (t >= n) & (t <= p) & d["fin"]
    if "mask_r" in H and A["mask"] == "rounded":
        M = (d["r"] >= n) & (d["r"] <= p) & d["fin"]
    if "mask_ignored" in H:
        M = (v >= n) & (v <= p) & d["fin"]
    if "mask_strict" in H:
        M = (t > n) & (t < p) & d["fin"]
    Gv = s * g * M
    GB = -(1 if "gb_no_a" in H else a) * Gv
    if A["gate"] == "support" and "gate_ignored" not in H:
        gate = (u > n) & (u < p)
        if "gate_closed" in H:
            gate = (u >= n) & (u <= p)
        if "gate_v" in H:
            gate = (v > n) & (v < p)
        GB = GB * gate
        if "gate_gv" in H:
            Gv = Gv * gate
    if A["fuse"] != "none":
        GBs = GB.mean(2, keepdims=True) if "gb_mean" in H else GB.sum(2, keepdims=True)
        GBs = GBs[:, :, :1] if "gb_first" not in H else GB[:, :, :1]
    else:
        GBs = GB
    GP, dfu = dfuse(d["P"], d["fu"], GBs, A, H)
    GP = GP + np.zeros(u.shape)
    ub, e = d["ub"], d["e"]
    sm = lambda q: q.sum((0, 3))
    out = {"d_b0": sm(GP), "d_b1": sm(GP * ub), "d_fusion": dfu}
    if d["b2"] is not None:
        out["d_b2"] = sm(GP * ub * ub) * (2 if "b2_twice" in H else 1)
    if "d_clipped_u" in H:
        uc = np.clip(ub, n, p)
        out["d_b1"] = sm(GP * uc)
    slope = e(d["b1"]) + (0 if d["b2"] is None else (1 if "slope_1" in H else 2) * e(d["b2"]) * ub)
    extra = np.where(d["fin"], GP * slope, 0)
    det = A["detach_border_input"] and "detach_ignored" not in H
    Gu = Gv if det or "never_border_input" in H else Gv + extra
    GuS = Gv if "ds_no_border" in H else Gu
    if "detach_ds" in H and A["detach_border_input"]:
        GuS = Gv + extra
    out["d_x"] = (Gu / s).reshape(d["x"].shape)
    ds = (g * d["lv"]).sum() - (GuS * d["us"]).sum() / s
    if "ds_masked_levels" in H:
        ds = (g * d["lv"] * M).sum() - (GuS * d["us"]).sum() / s
    if "ds_unquantized_v" in H:
        ds = (g * np.clip(d["r"], n, p)).sum() - (GuS * d["us"]).sum() / s
    out["d_s"] = np.asarray(ds * (1 if "no_scale" in H else A["grad_scale"]))
    return out


for a in [("taps_outer", "rows read tap first, channel last"), ("nonfinite_zero", "the border sees infinities as 0"), ("border_clipped_u", "the border sees u clipped to n..p"), ("poly_in_x", "polynomial in x, not in u"),
          ("at_border_up", "at the border up"), ("ceil_form", "ceil(u - B)"), ("trunc", "fraction by truncation"), ("a_ignored", "a is ignored"), ("a_after_clip", "mixes the unclipped value with the clipped level"), ("one_tap_fused", "one tap is weighted by fusion"),
          ("centred_as_plain", "centred is bound_fuse"), ("fuse_unclipped", "fused border is not clipped"), ("weighted_mean", "divides by the sum of the fusion weights"), ("kappa_fixed", "kappa is 2.5"), ("inner_ignored", "inner ignored")]:
    bug("aquant_quant", *a)
for a in [("mask_r", "mask on r, not on v (a < 1)"), ("mask_ignored", "mask unrounded ignored"), ("mask_strict", "mask excludes n and p"), ("gb_no_a", "a is missing in the gradient of the border"), ("gate_ignored", "gate ignored"), ("gate_closed", "gate includes n and p"),
          ("gate_v", "gate looks at v, not u"), ("gate_gv", "gate also blocks the input's gradient"), ("gb_mean", "gradients of the taps are averaged"), ("b2_twice", "d_b2 has a factor 2"), ("slope_1", "derivative of b2 u^2 is b2 u"), ("detach_ignored", "detach ignored"),
          ("never_border_input", "the border never passes gradient to x"), ("ds_no_border", "d_s forgets the border's dependence on s"), ("detach_ds", "detach affects x but not s"), ("ds_masked_levels", "clipped elements give nothing to d_s"), ("ds_unquantized_v", "d_s uses rounded levels though a < 1"),
          ("no_scale", "grad_scale ignored"), ("one_tap_fused", "one tap is weighted by fusion"), ("fb_deriv_each", "fuse_bound: derivative at every P_j"), ("centred_e", "centred: E_j in place of E_j - 1/2"), ("fuse_never_open", "open does not reach the fused clip"), ("open_ignored", "open does not reach the bound"), ("d_clipped_u", "d_b1 uses u clipped to n..p")]:
    bug("aquant_quant_backward", *a)


@op
def round_schedule(I, A, H):
    t, T, ho = F64(I["t"]), A["total"], A["hold"]
    if "t_minus" in H:
        t = t - 1
    if "no_low_clip" in H:
        return {"a": np.minimum((t - ho * T) / (T - ho * T), 1)}
    if "hold_int" in H:
        return {"a": np.clip((t - int(ho * T)) / (T - int(ho * T)), 0, 1)}
    if "den_T" in H:
        return {"a": np.clip((t - ho * T) / T, 0, 1)}
    return {"a": np.clip((t - ho * T) / (T - ho * T), 0, 1)}


bug("round_schedule", "t_minus", "counts from 0")
bug("round_schedule", "hold_int", "hold rounded down to whole steps")
bug("round_schedule", "no_low_clip", "negative during the hold")


def arnd(u, n, p, H=()):
    fin = np.isfinite(u)
    us = np.where(fin, u, 0)
    Q = rnd(us, "half_up") if "half_up" in H else np.rint(us)
    R = np.where(fin, Q - us, 0)
    for v in range(u.shape[0]):
        q, r = Q[v], R[v]
        cand = []
        for i in range(u.shape[1]):
            S = r[i].sum()
            if S == 0:
                continue
            sg = np.sign(S)
            el = [j for j in range(u.shape[2]) if r[i, j] * sg > 0 and fin[v, i, j]
                  and not (sg < 0 and us[v, i, j] >= p) and not (sg > 0 and us[v, i, j] <= n)]
            if "no_eligible" in H:
                el = [j for j in range(u.shape[2]) if r[i, j] * sg > 0]
            el.sort(key=lambda j: (-abs(r[i, j]), -j if "tie_last" in H else j))
            if "smallest_first" in H:
                el.sort(key=lambda j: abs(r[i, j]))
            k = int(rnd(abs(S), "half_up")) if "n_half_up" in H else int(np.rint(abs(S)))
            fl = el[:k]
            for j in fl:
                q[i, j] -= sg
                r[i, j] -= sg
            if k > 0 and k >= abs(S) and not ("next_always" in H and len(el) > k) and fl:
                cand.append((i, fl[-1], sg))
            elif k < len(el):
                cand.append((i, el[k], -sg))
        if "no_vector" in H:
            continue
        T = r.sum()
        if "abs_sums" in H:
            T = sum(abs(r[i].sum()) for i in range(u.shape[1]))
        k = int(np.rint(abs(T)))
        ok = [c for c in cand if c[2] * T < 0]
        ok.sort(key=lambda c: -abs(r[c[0], c[1]]))
        if "cand_order" in H:
            ok.sort(key=lambda c: c[0])
        for i, j, dd in ok[:k]:
            q[i, j] += dd
            r[i, j] += dd
        if "clip_r" in H:
            r[:] = np.clip(q, n, p) - us[v]
    q = np.where(np.isnan(u), 0, np.where(u == np.inf, p, np.where(u == -np.inf, n, Q)))
    return np.clip(q, n, p), R


@op
def a_rounding(I, A, H):
    q, r = arnd(F64(I["u"]).copy(), A["n"], A["p"], H)
    return {"q": I32(q), "r": r}


for a in [("half_up", "first rounding half up"), ("no_eligible", "elements at the ends may flip outward"), ("tie_last", "among equal |r| the last is flipped"), ("n_half_up", "number of flips rounded half up"), ("next_always", "the offer is always the next element"), ("no_vector", "second stage left out"),
          ("cand_order", "offers taken by index, not by |r|"), ("clip_r", "r after the clip"), ("abs_sums", "T from absolute sums")]:
    bug("a_rounding", *a)


# ---------------------------------------------------------------- AdaQTransform
def xe(v, nd=2):
    v = F64(v)
    return v[:, None] if v.ndim == 1 else v


def _aqt(I, A, H, hard=False):
    w, sw, al, sd, x, sx = F64(I["w"]), F64(I["s_w"]), get(I, "alpha"), get(I, "s_d"), F64(I["x"]), float(I["s_x"])
    case = A["case"]
    u = w / sw[:, None]
    if case in ("1.2", "qat"):
        v = np.rint(u)
        if "nearest_half_up" in H:
            v = np.floor(u + 0.5)
    elif hard:
        v = np.floor(u) + (F64(al) > 0 if "hard_gt" in H else F64(al) >= 0)
    else:
        v = np.floor(u) + rect(al)
    lv = np.clip(v, A["n_w"], A["p_w"])
    if case in ("2.1", "2.2", "2.3") and sd is not None and not ("sd_21_tied" in H and case == "2.1"):
        D = F64(sd)
    else:
        D = sw
    wh = D[:, None] * lv
    ux = x / sx
    qx = np.clip(np.rint(ux), A["n_x"], A["p_x"])
    qx = np.where(np.isnan(ux), 0, qx)
    return w, sw, al, D, x, sx, u, v, lv, wh, ux, qx, wh @ (sx * qx)


@op
def adaqt(I, A, H):
    w, sw, al, D, x, sx, u, v, lv, wh, ux, qx, y0 = _aqt(I, A, H, A["hard"] and "hard_ignored" not in H)
    xi, eta, b = xe(I["xi"]), xe(I["eta"]), get(I, "bias")
    if "xi_square" in H and np.ndim(I["xi"]) == 1 and len(I["xi"]) == y0.shape[1]:
        xi = F64(I["xi"])
    bb = 0 if b is None else F64(b)[:, None]
    y = xi * y0 + bb + eta
    if "bias_scaled" in H:
        y = xi * (y0 + bb) + eta
    if "eta_scaled" in H:
        y = xi * (y0 + eta) + bb
    if "x_unquantized_zero" in H:
        y = xi * (wh @ (sx * np.rint(ux))) + bb + eta
    return {"y": y, "y0": xi * y0 if "y0_after" in H else y0, "levels": lv}


for a in [("nearest_half_up", "1.2 and qat round half up"), ("hard_gt", "alpha = 0 rounds down"), ("sd_21_tied", "2.1 dequantises by s_w"), ("hard_ignored", "hard ignored"), ("xi_square", "xi goes along the columns where shapes allow"), ("bias_scaled", "xi scales the bias"), ("y0_after", "y0 holds the scaled product")]:
    bug("adaqt", *a)


@op
def adaqt_backward(I, A, H):
    w, sw, al, D, x, sx, u, v, lv, wh, ux, qx, y0 = _aqt(I, A, H)
    g, case = F64(I["d_y"]), A["case"]
    xi = xe(I["xi"])

    def shape(q, like):
        nd = np.ndim(like)
        return np.asarray(q.sum()) if nd == 0 else q.sum(1) if nd == 1 else q
    xg = g if "no_xi" in H else xi * g
    dwh = xg @ (sx * qx).T
    if "raw_x" in H:
        dwh = xg @ x.T
    near = case in ("1.2", "qat")
    t = u if near and A["mask"] == "unrounded" else v
    M = (t >= A["n_w"]) & (t <= A["p_w"])
    if "strict_w" in H:
        M = (t > A["n_w"]) & (t < A["p_w"])
    out = {"d_xi": shape(g * (xi * y0 if "dxi_scaled" in H else y0), I["xi"]), "d_eta": shape(g, I["eta"])}
    if "deta_xi" in H:
        out["d_eta"] = shape(xg, I["eta"])
    if get(I, "bias") is not None:
        out["d_bias"] = (xg if "dbias_xi" in H else g).sum(1)
    if not near:
        out["d_alpha"] = dwh * (sw if "alpha_sw" in H else D)[:, None] * M * drect(al, A["edge"], H)
    if case in ("2.2", "2.3"):
        out["d_s_d"] = (dwh * (lv * M if "sd_masked" in H else lv)).sum(1)
    if case in ("2.1", "2.3"):
        k = sw if "sw_tied" in H else D
        out["d_s_w"] = (dwh * k[:, None] * M * (-w / sw[:, None] ** 2)).sum(1)
        if "sw_minus_levels" in H:
            out["d_s_w"] = (dwh * (lv - M * u)).sum(1)
    elif case in ("tied", "1.2", "qat"):
        out["d_s_w"] = (dwh * (lv - (M | True if "tied_no_mask" in H else M) * u)).sum(1)
        if "tied_no_mask" in H:
            out["d_s_w"] = (dwh * (lv - u)).sum(1)
    if case == "qat":
        out["d_w"] = dwh * M
        if "dw_s" in H:
            out["d_w"] = dwh * M * D[:, None]
    dxh = (wh.T @ g if "dx_no_xi" in H else wh.T @ xg)
    tx = np.rint(ux) if A["mask"] == "rounded" or "x_mask_rounded" in H else ux
    MX = (tx >= A["n_x"]) & (tx <= A["p_x"]) & np.isfinite(ux)
    out["d_x"] = dxh * MX
    out["d_s_x"] = np.asarray((dxh * (qx - np.where(MX, ux, 0))).sum())
    if "dsx_no_q" in H:
        out["d_s_x"] = np.asarray((dxh * np.where(MX, qx - ux, 0)).sum())
    return out


for a in [("no_xi", "xi missing in d_w_hat and d_x_hat"), ("raw_x", "d_w_hat uses the raw input"), ("strict_w", "level mask strict"), ("dxi_scaled", "d_xi uses the scaled product"), ("deta_xi", "d_eta carries xi"), ("dbias_xi", "d_bias carries xi"), ("alpha_sw", "d_alpha uses s_w where s_d is decoupled"),
          ("sd_masked", "d_s_d leaves out clipped weights"), ("sw_tied", "d_s_w of 2.1 and 2.3 uses s_w for s_d"), ("sw_minus_levels", "2.1, 2.3 use the tied formula"), ("tied_no_mask", "tied: mask missing"), ("dw_s", "d_w carries s_w"), ("dx_no_xi", "d_x lacks xi"), ("x_mask_rounded", "mask unrounded ignored on x"),
          ("dsx_no_q", "clipped inputs give nothing to d_s_x"), ("edge_ignored", "edge always inclusive"), ("torch_mask", "edge mask from the stretched value"), ("nearest_half_up", "1.2 and qat round half up")]:
    bug("adaqt_backward", *a)


@op
def adaqt_fold(I, A, H):
    xi, eta, sw, sx, b = F64(I["xi"]), F64(I["eta"]), F64(I["s_w"]), F64(I["s_x"]), get(I, "bias")
    bt = eta + (0 if b is None else F64(b))
    if "bias_xi" in H and b is not None:
        bt = eta + xi * b
    if "eta_lost" in H and b is None:
        bt = eta * 0
    st = xi * sw * sx
    return {"st": np.abs(st) if "abs" in H else st, "bt": bt}


bug("adaqt_fold", "bias_xi", "xi scales the bias")
bug("adaqt_fold", "eta_lost", "without a bias eta is lost")
bug("adaqt_fold", "abs", "sign of xi lost")


@op
def adaqt_ols(I, A, H):
    y, y0, b = F64(I["y"]), F64(I["y0"]), get(I, "bias")
    bb = 0 if b is None else F64(b)[None, :, None]
    t = y - bb
    ax = {"channel": (0, 2), "layer": (0, 1, 2), "pixel": (0,)}[A["granularity"]]
    if "layer_bias_mean" in H and A["granularity"] == "layer" and b is not None:
        t = y - np.mean(b)
    m = lambda v: v.mean(axis=ax, keepdims=True)
    mt, m0 = m(t), m(y0)
    cov, var = m((t - mt) * (y0 - m0)), m((y0 - m0) ** 2)
    const = (y0.max(axis=ax, keepdims=True) == y0.min(axis=ax, keepdims=True))
    var = np.where(const, 0, var)
    if "moments" in H:
        cov, var = m(t * y0) - mt * m0, m(y0 * y0) - m0 * m0
    if "no_centre" in H:
        cov, var = m(t * y0), m(y0 * y0)
    if "sample_var" in H:
        N = np.prod([y.shape[i] for i in ax])
        var = var * N / max(N - 1, 1)
    if "eps" in H:
        xi = cov / (var + 1e-8)
    else:
        xi = np.where(var == 0, 0.0 if "const_0" in H else 1.0, cov / np.where(var == 0, 1, var))
    eta = mt - xi * m0
    if "eta_no_bias" in H:
        eta = m(y) - xi * m0
    e = y - bb - xi * y0 - eta
    if "mse_no_bias" in H:
        e = y - xi * y0 - eta
    mse = m(e * e)
    if "mse_sum" in H:
        mse = (e * e).sum(axis=ax, keepdims=True)
    if "inverse" in H:
        vt = m((t - mt) ** 2)
        xi2 = np.where(vt == 0, 1, cov / np.where(vt == 0, 1, vt))
        xi = xi2
    sq = lambda v: np.squeeze(v, axis=ax)
    return {"xi": sq(xi), "eta": sq(eta), "mse": sq(mse)}


for a in [("layer_bias_mean", "layer: the mean bias is taken off"), ("moments", "E[xy] - E[x]E[y]: cancellation"), ("no_centre", "regression through the origin"), ("sample_var", "sample variance"), ("eps", "1e-8 added to the variance"), ("const_0", "xi = 0 where y0 is constant"),
          ("eta_no_bias", "eta forgets the bias"), ("mse_no_bias", "mse forgets the bias")]:
    bug("adaqt_ols", *a)


@op
def bn_to_xieta(I, A, H):
    ga, be, g0, b0, mu, sd, b = (F64(I[k]) for k in ("gamma", "beta", "gamma0", "beta0", "mean", "sd")) if False else [F64(I[k]) for k in ("gamma", "beta", "gamma0", "beta0", "mean", "sd")] + [get(I, "bias")]
    bb = 0 if b is None else F64(b)
    k = mu if "bias_lost" in H else mu - bb
    eta = (be - b0) - k * (ga - g0) / sd
    if "beta_xi" in H:
        eta = (be - ga / g0 * b0) - k * (ga - g0) / sd
    return {"xi": ga / g0, "eta": eta}


@op
def xieta_to_bn(I, A, H):
    xi, eta, g0, b0, mu, sd, b = [F64(I[k]) for k in ("xi", "eta", "gamma0", "beta0", "mean", "sd")] + [get(I, "bias")]
    bb = 0 if b is None or "bias_lost" in H else F64(b)
    ga = xi * g0
    return {"gamma": ga, "beta": b0 + eta - (bb - mu) * (ga - g0) / sd * (-1 if "sign" in H else 1)}


bug("bn_to_xieta", "bias_lost", "bias forgotten")
bug("bn_to_xieta", "beta_xi", "eta relative to xi beta0")
bug("xieta_to_bn", "bias_lost", "bias forgotten")


@op
def bias_correct(I, A, H):
    d = F64(I["y"]) - F64(I["y_hat"])
    return {"corrected": F64(I["bias"]) + (-1 if "sign" in H else 1) * (d.mean((0, 2)) if "med" not in H else d.mean(0).sum(1))}


bug("bias_correct", "sign", "sign reversed")
bug("bias_correct", "med", "summed over positions")


@op
def qdrop_mix(I, A, H):
    x, q, m = F64(I["x"]), F64(I["x_q"]), np.asarray(I["mask"]).astype(bool)
    return {"y": m * q + (1 - m) * x if "blend" in H else np.where(~m if "inv" in H else m, q, x)}


@op
def amixup(I, A, H):
    x, q, s = F64(I["x"]), F64(I["x_q"]), F64(I["share"])
    y = s * x + (1 - s) * q
    if "lerp" in H:
        return {"y": q + s * (x - q)}
    if "blend" in H:
        return {"y": y}
    return {"y": np.where(s == 1, x, np.where(s == 0, q, y))}


bug("qdrop_mix", "blend", "arithmetic blend: NaN of what is not kept leaks")
bug("qdrop_mix", "inv", "mask is a drop mask")
bug("amixup", "blend", "shares of 0 and 1 do not select: NaN leaks")
bug("amixup", "lerp", "x_q + share (x - x_q)")


@op
def asoftmax(I, A, H):
    w, s, z, lg = F64(I["w"]), F64(I["s"]), np.asarray(I["zero_point"]).astype(np.int64), F64(I["logits"])
    lo, hi = codes_range(A["bits"], A["grid"])
    S, Z = along(s, 0, w.ndim), along(z, 0, w.ndim)
    n, p = (lo + 0 * Z, hi + 0 * Z) if "unshifted" in H else (lo - Z, hi - Z)
    off = np.asarray(A["offsets"], float)
    T = 1.0 if "no_T" in H else A["temperature"]
    e = np.exp((lg - lg.max(-1, keepdims=True)) / T)
    pi = e / e.sum(-1, keepdims=True)
    fl = np.floor(w / S)
    k = lg.argmax(-1)
    if "last" in H:
        k = lg.shape[-1] - 1 - lg[..., ::-1].argmax(-1)
    hard = np.clip(fl + (k if "index_as_offset" in H else off[k]), n, p)
    lv = np.clip(fl + (pi * off).sum(-1), n, p)
    if "clip_each" in H:
        lv = (pi * np.clip(fl[..., None] + off, np.asarray(n)[..., None], np.asarray(p)[..., None])).sum(-1)
    nan = np.isnan(w)
    lv, hard = np.where(nan, 0, lv), np.where(nan, 0, hard)
    return {"w_hat": S * lv, "codes": I32(np.broadcast_to(hard + Z, w.shape))}


for a in [("unshifted", "clips u-space levels to the code limits"), ("no_T", "temperature ignored"), ("last", "the last of equal logits"), ("index_as_offset", "index of the largest logit used as offset"), ("clip_each", "clips the candidates, not their mean")]:
    bug("asoftmax", *a)


@op
def smoothquant_scale(I, A, H):
    x, w, a = F64(I["x_max"]), F64(I["w_max"]), A["alpha"]
    wm = np.maximum(w, 1e-5)
    if "exchanged" in H:
        a = 1 - a
    return {"scale": np.maximum((np.maximum(x, 1e-5) if "x_floor" in H else x) ** a / wm ** (1 - a), 0 if "no_floor" in H else 1e-5)}


@op
def osplus_shift_scale(I, A, H):
    lo, hi, t = F64(I["low"]), F64(I["high"]), A["threshold"]
    z = (lo + hi) / 2
    k = 0 if "no_shift" in H else z
    return {"shift": z, "scale": np.maximum(0 if "no_one" in H else 1, np.maximum((hi - k) / t, (lo - k) / -t))}


@op
def repq_reparam(I, A, H):
    s, z = F64(I["s"]), F64(I["zero_point"])
    cs, cz = s.mean(), z.mean()
    Z = np.floor(cz + 0.5) if "half_up" in H else np.rint(cz)
    return {"common_s": np.asarray(cs), "common_zero_point": I32(Z), "ratio": s / cs, "offset": cs * ((cz if "frac" in H else Z) - z)}


@op
def cle_scale(I, A, H):
    a, b = F64(I["r1"]), F64(I["r2"])
    z = (a == 0) | (b == 0)
    s = np.sqrt(np.where(z, 1, b) / np.where(z, 1, a))
    if "only_r1" in H:
        s = np.where(a == 0, 1, np.sqrt(b / np.where(a == 0, 1, a)))
    if A["clip"] is not None and "no_clip" not in H:
        s = np.clip(s, *A["clip"])
    return {"scale": np.where(z, 1.0, s) if "one_after_clip" in H else s}


bug("smoothquant_scale", "x_floor", "activation maxima are floored too")
bug("smoothquant_scale", "no_floor", "the scale is not floored")
bug("osplus_shift_scale", "no_shift", "scale before the shift")
bug("repq_reparam", "half_up", "common zero point half up")
bug("repq_reparam", "frac", "offset from the unrounded zero point")
bug("cle_scale", "only_r1", "r2 = 0 gives scale 0")
bug("cle_scale", "no_clip", "clip ignored")
bug("cle_scale", "one_after_clip", "channels of range 0 keep 1 though clip excludes it")


# ---------------------------------------------------------------- whole steps
@op
def aquant_step(I, A, H):
    idx = np.asarray(I["indices"])
    if "unique" in H:
        idx = np.unique(idx)
    t, T = int(I["t"]), A["total"]
    a = float(np.clip((t - A["hold"] * T) / (T - A["hold"] * T), 0, 1))
    x, tg, wh = F64(I["x"])[idx], F64(I["target"])[idx], F64(I["w_hat"])
    J = {k: I[k] for k in ("s", "b0", "b1", "b2", "fusion") if get(I, k) is not None}
    B = {**A, "a": a, "grad_scale": 1.0}
    xh = aquant_quant({**J, "x": x}, B, ())["x_hat"]
    e = np.einsum("ok,nkl->nol", wh, xh) - tg
    N = len(idx) * (1 if "no_windows" in H else x.shape[2])
    if "mean_outputs" in H:
        N = e.size
    g = np.einsum("ok,nol->nkl", wh, 2 * e / N)
    if "a_one" in H:
        B = {**B, "a": 1.0}
    d = aquant_quant_backward({**J, "x": x, "d_x_hat": g}, B, ())
    out = {"loss": np.asarray((e * e).sum() / N)}
    tt = t - 1 if "lr_t" not in H else t
    ls = A["lr_s"] * (1 + np.cos(np.pi * tt / T)) / 2
    if "lr_s_const" in H:
        ls = A["lr_s"]
    for k in J:
        gr = d["d_" + k]
        lr = ls if k == "s" or ("fusion_lr" in H and k == "fusion") else A["lr_border"]
        if "adam_after_hold" in H:
            ta = max(t - int(A["hold"] * T), 1)
        else:
            ta = t
        X, m, v = adam(I[k], gr, I["m_" + k], I["v_" + k], ta, lr, A["beta1"], A["beta2"], A["eps"])
        if "b0_clipped" in H and k == "b0":
            X = np.clip(X, -0.5, 0.5)
        if "s_before_border" in H and k == "s":
            J = {**J, "s": X}
            d = aquant_quant_backward({**J, "x": x, "d_x_hat": g}, B, ()) | {"d_s": gr}
        out.update({"d_" + k: gr, k + "_next": X, f"m_{k}_next": m, f"v_{k}_next": v})
    return out


for a in [("unique", "repeated samples count once"), ("no_windows", "loss is not averaged over the windows"), ("mean_outputs", "loss is averaged over the outputs"), ("a_one", "backward with a = 1"), ("lr_t", "cosine counts from 1: s at rate of t, not t - 1"),
          ("lr_s_const", "rate of s is constant"), ("fusion_lr", "fusion weights learn at the rate of s"), ("s_before_border", "gradients of the border after s was updated"), ("b0_clipped", "b0 is projected to [-1/2, 1/2]")]:
    bug("aquant_step", *a)


@op
def adaqt_step(I, A, H):
    idx = np.asarray(I["indices"])
    if "unique" in H:
        idx = np.unique(idx)
    t, T = int(I["t"]), A["total"]
    X, tg = F64(I["x"])[idx].T, F64(I["target"])[idx].T
    case = "1.1" if A["case"] == "adaqt" else "2.2"
    J = {k: I[k] for k in ("w", "s_w", "alpha", "s_d", "s_x", "xi", "eta", "bias") if get(I, k) is not None}
    J["x"] = X
    B = {**A, "case": case, "hard": False}
    f = adaqt(J, B, ())
    e = f["y"] - tg
    N = e.size if "mean_outputs" in H else e.shape[1]
    d = adaqt_backward({**J, "d_y": 2 * e / N}, B, [h for h in H if h in ("no_xi", "sd_masked", "alpha_sw")])
    lr = A["lr"] * (1 + np.cos(np.pi * (t if "lr_t" in H else t - 1) / T)) / 2
    out = {"loss": np.asarray((e * e).sum() / N)}
    for k in (("alpha", "s_x", "xi", "eta") if A["case"] == "adaqt" else ("alpha", "s_x", "s_d", "bias")):
        if get(I, k) is None:
            continue
        r = A["lr_alpha"] if k == "alpha" else lr
        if "alpha_cosine" in H and k == "alpha":
            r = r * (1 + np.cos(np.pi * (t - 1) / T)) / 2
        if "bias_const" in H and k in ("bias", "eta"):
            r = A["lr"]
        if "sx_const" in H and k == "s_x":
            r = A["lr"]
        gr = d["d_" + k]
        Y, m, v = adam(I[k], gr, I["m_" + k], I["v_" + k], t, r, A["beta1"], A["beta2"], A["eps"])
        if "sx_abs" in H and k == "s_x":
            Y = np.abs(Y)
        out.update({"d_" + k: gr, k + "_next": Y, f"m_{k}_next": m, f"v_{k}_next": v})
    return out


for a in [("unique", "repeated samples count once"), ("mean_outputs", "loss is averaged over the outputs"), ("lr_t", "cosine at t, not t - 1"), ("alpha_cosine", "rate of alpha falls too"), ("bias_const", "rate of eta and bias is constant"),
          ("sx_const", "rate of s_x is constant"), ("no_xi", "xi missing in the gradients of weights and input"), ("sd_masked", "d_s_d leaves out clipped weights"), ("alpha_sw", "d_alpha by s_w, not s_d")]:
    bug("adaqt_step", *a)


@op
def squant_weight(I, A, H):
    w, b = F64(I["w"]), A["bits"]
    L = 2 ** b - 1
    lo, hi = np.minimum(w.min((1, 2)), 0), np.maximum(w.max((1, 2)), 0)
    if "no_zero" in H:
        lo, hi = w.min((1, 2)), w.max((1, 2))
    s = np.maximum((hi - lo) / L, 1e-8)
    z = np.clip(-np.rint(lo / s), 0, L)
    u = w / s[:, None, None]
    q = np.zeros(w.shape)
    for o in range(len(w)):
        n, p = -z[o], L - z[o]
        v = u[o][None]
        if A["kernel"]:
            Q, _ = arnd(v.copy(), n, p, ({"no_vector"} if not A["channel"] or "never_channel" in H else set()) | set(H))
        elif A["channel"]:
            Q, _ = arnd(v.reshape(1, 1, -1).copy(), n, p, {"no_vector"} | set(H))
            Q = Q.reshape(v.shape)
        else:
            Q = np.clip(np.rint(v), n, p)
        q[o] = Q[0]
    if "unshifted" in H:
        return {"codes": I32(np.clip(q, 0, L) + z[:, None, None]), "s": s, "zero_point": I32(z)}
    return {"codes": I32(q + z[:, None, None]), "s": s, "zero_point": I32(z)}


for a in [("no_zero", "range not made to hold 0"), ("never_channel", "second stage left out"), ("half_up", "first rounding half up"), ("n_half_up", "number of flips half up"), ("next_always", "the offer is always the next element"), ("cand_order", "offers taken by index")]:
    bug("squant_weight", *a)

/* Kernels in CUDA C++, as they stand at the ends of layers; REAL is float or double.

   How they are compiled decides what they compute: --fmad=true lets the compiler round
   acc * scale + offset once, --use_fast_math makes divisions and exponentials approximate and
   takes subnormal numbers for 0. The oracle says which of it shows. */

typedef REAL real;
enum Rule { RINT, HALF_UP, HALF_DOWN, HALF_AWAY, FLOOR, CEIL };

__device__ int place() { return blockIdx.x * blockDim.x + threadIdx.x; }

__device__ real clip(real x, real low, real high) { return x < low ? low : x > high ? high : x; }

__device__ real half_up(real u) {
    real low = floor(u), half = 0.5; /* u - low may be rounded up to 1/2 where u < 0; low + 1/2 is exact */
    return low + (u < 0 ? u >= low + half : u - low >= half);
}

__device__ real nearest(real u, int rule) {
    if (isinf(u)) return u;
    switch (rule) {
        case RINT: return rint(u);
        case HALF_UP: return half_up(u);
        case HALF_DOWN: return -half_up(-u);
        case HALF_AWAY: return u < 0 ? -half_up(-u) : half_up(u);
        case FLOOR: return floor(u);
        default: return ceil(u);
    }
}

extern "C" __global__ void border_round(const real *u, const real *border, real *y, int size) {
    int i = place();
    if (i >= size) return;
    real base = floor(u[i]);
    bool near = u[i] > (real)-0.5 && u[i] < 0; /* u - floor(u) is rounded here, border - 1 is not */
    y[i] = isfinite(u[i]) ? base + (near ? u[i] > border[i] - 1 : u[i] - base > border[i]) : u[i];
}

/* rest: -1, 0, 1 for NaN at the lowest code, the zero point, the highest code */
extern "C" __global__ void fake_quant(
        const real *x, const real *s, const int *zero, real *y, int *codes,
        int size, int inner, int channels, int low, int high, int rule, int rest) {
    int i = place(), c = i / inner % channels;
    if (i >= size) return;
    real n = low - zero[c], p = high - zero[c], level = clip(nearest(x[i] / s[c], rule), n, p);
    if (isnan(x[i])) level = rest < 0 ? n : rest > 0 ? p : 0;
    y[i] = s[c] * level;
    codes[i] = (int)level + zero[c];
}

extern "C" __global__ void adaround_weight(
        const real *w, const real *s, const int *zero, const real *alpha, real *w_hat, int *codes,
        int size, int inner, int channels, int low, int high, int soft, int tie_up) {
    int i = place(), c = i / inner % channels;
    if (i >= size) return;
    real n = low - zero[c], p = high - zero[c];
    real h = soft ? clip((real)1.2 / (1 + exp(-alpha[i])) - (real)0.1, 0, 1)
                  : alpha[i] > 0 || (alpha[i] == 0 && tie_up);
    real level = isnan(w[i]) ? 0 : clip(floor(w[i] / s[c]) + h, n, p);
    w_hat[i] = s[c] * level;
    codes[i] = (int)level + zero[c];
}

__device__ int code(real level, int zero, int low, int high, int relu) {
    real least = relu && zero > low ? 0 : low - zero;
    return (int)clip(level, least, high - zero) + zero;
}

extern "C" __global__ void requant_float(
        const int *acc, const real *scale, const real *offset, const real *step, const int *zero,
        int *codes, int size, int inner, int channels, int low, int high, int relu) {
    int i = place(), c = i / inner % channels;
    if (i >= size) return;
    codes[i] = code(rint((scale[c] * acc[i] + offset[c]) / *step), *zero, low, high, relu);
}

__device__ long long saturate(long long x) {
    return x < -2147483648LL ? -2147483648LL : x > 2147483647LL ? 2147483647LL : x;
}

/* |x| / 2^e, halves away from zero; |x| <= 2^31 */
__device__ long long half_away(long long x, int e) {
    long long size = x < 0 ? -x : x;
    size = e > 33 ? 0 : e ? (size + (1LL << (e - 1))) >> e : size;
    return x < 0 ? -size : size;
}

__device__ long long multiplied(long long acc, long long m0, int e, int twice) {
    if (e < 0) acc = saturate(acc * (1LL << (e > -32 ? -e : 32))), e = 0;
    long long product = acc * m0;
    if (twice) {
        long long nudge = product >= 0 ? 1LL << 30 : 1 - (1LL << 30);
        return half_away(saturate((product + nudge) / (1LL << 31)), e); /* cut towards zero */
    }
    return e > 31 ? 0 : saturate((product + (1LL << (30 + e))) >> (31 + e)); /* halves up */
}

extern "C" __global__ void requant_fixed(
        const int *acc, const int *m0, const int *exponent, const int *zero, int *codes,
        int size, int inner, int channels, int low, int high, int relu, int twice) {
    int i = place(), c = i / inner % channels;
    if (i >= size) return;
    long long level = multiplied(acc[i], m0[c], exponent[c], twice) + *zero;
    long long least = relu && *zero > low ? *zero : low;
    codes[i] = (int)(level < least ? least : level > high ? high : level);
}

/* A backend in C, verified through files:
       cc -O2 -std=c99 -Wall -Wextra -o kernel validation/c/kernel.c -lm
       refquant verify cmd:./kernel --only 'border_round,fake_quant,requant_fixed'            */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <math.h>

#include "vectors.h"

static char vectors[PATH_SIZE], results[PATH_SIZE];

/* floor(u) + [u - floor(u) > border]; on -1/2 < u < 0, where the fraction is not exact, u > b - 1 */
static double border_round(double u, double border) {
    double base = floor(u);
    if (!isfinite(u)) return u;
    return base + (u > -0.5 && u < 0 ? u > border - 1 : u - base > border);
}

static double nearest(double u, const char *rule) {
    double base = floor(u), f = u - base;
    if (!isfinite(u)) return u;
    if (is(rule, "floor")) return base;
    if (is(rule, "ceil")) return ceil(u);
    if (is(rule, "half_up")) return base + (f >= 0.5);
    if (is(rule, "half_down")) return ceil(u) - (ceil(u) - u >= 0.5);
    if (is(rule, "half_away")) return u < 0 ? -nearest(-u, "half_up\n") : nearest(u, "half_up\n");
    return rint(u);
}

static void run_border_round(const char *in, const char *out, const char *text) {
    tensor u = read_tensor(in, text, "u"), border = read_tensor(in, text, "border");
    double *y = calloc((size_t)u.size + 1, sizeof *y);
    for (long i = 0; i < u.size; i++) y[i] = border_round(number(u, i), number(border, i));
    write_tensor(out, "y", "<f8", u, y);
    free(u.data), free(border.data), free(y);
}

static void run_fake_quant(const char *in, const char *out, const char *text) {
    tensor x = read_tensor(in, text, "x"), s = read_tensor(in, text, "s");
    tensor z = read_tensor(in, text, "zero_point");
    const char *grid = attr(text, "grid"), *nan = attr(text, "nan");
    double span = ldexp(1, atoi(attr(text, "bits"))), high = span - 1, low = 0;
    long inner = 1, axis = is(attr(text, "axis"), "-") ? -1 : atol(attr(text, "axis"));
    if (is(grid, "signed") || is(grid, "narrow")) high = span / 2 - 1, low = -high - is(grid, "signed");
    for (int i = (int)axis + 1; axis >= 0 && i < x.axes; i++) inner *= x.shape[i];
    double *y = calloc((size_t)x.size + 1, sizeof *y);
    int32_t *codes = calloc((size_t)x.size + 1, sizeof *codes);
    for (long i = 0; i < x.size; i++) {
        long channel = axis < 0 ? 0 : i / inner % x.shape[axis];
        double step = number(s, channel), zero = number(z, channel), v = number(x, i);
        double level = nearest(v / step, attr(text, "rounding"));
        if (isnan(v)) level = is(nan, "low") ? low - zero : is(nan, "high") ? high - zero : 0;
        level = fmin(fmax(level, low - zero), high - zero); /* before the cast */
        codes[i] = (int32_t)(level + zero);
        y[i] = step * level;
    }
    write_tensor(out, "y", "<f8", x, y);
    write_tensor(out, "codes", "<i4", x, codes);
    free(x.data), free(s.data), free(z.data), free(y), free(codes);
}

static int64_t saturate(int64_t value) {
    return value < INT32_MIN ? INT32_MIN : value > INT32_MAX ? INT32_MAX : value;
}

/* Division of |x| by 2^e, halves up, with the sign put back: half away from zero. */
static int64_t away(int64_t x, int e) {
    int64_t size = x < 0 ? -x : x;
    if (e > 33) return 0; /* |x| <= 2^31 */
    size = e ? (size + (INT64_C(1) << (e - 1))) >> e : size;
    return x < 0 ? -size : size;
}

/* acc m0 2^(-31 - e): rounded twice, as gemmlowp does, or once, half up. */
static int64_t multiplied(int64_t acc, int64_t m0, int e, int twice) {
    if (e < 0) acc = saturate(e > -32 ? acc * (INT64_C(1) << -e) : acc * (INT64_C(1) << 32)), e = 0;
    int64_t product = acc * m0, whole = INT64_C(1) << 31;
    if (twice) {
        int64_t nudge = product >= 0 ? whole / 2 : 1 - whole / 2;
        return away(saturate((product + nudge) / whole), e); /* C cuts towards zero */
    }
    if (e > 31) return 0;
    int64_t one = INT64_C(1) << (30 + e), sum = product + one; /* |product| <= 2^62, one <= 2^61 */
    int64_t level = sum / (2 * one);
    return saturate(level - (sum < 0 && sum % (2 * one) != 0)); /* floor */
}

static void run_requant_fixed(const char *in, const char *out, const char *text) {
    tensor acc = read_tensor(in, text, "acc"), m0 = read_tensor(in, text, "m0");
    tensor e = read_tensor(in, text, "exponent"), z = read_tensor(in, text, "zero_point");
    double span = ldexp(1, atoi(attr(text, "bits"))), high = span - 1, low = 0, zero = number(z, 0);
    const char *grid = attr(text, "grid");
    long inner = 1, axis = is(attr(text, "axis"), "-") ? -1 : atol(attr(text, "axis"));
    if (is(grid, "signed") || is(grid, "narrow")) high = span / 2 - 1, low = -high - is(grid, "signed");
    if (is(attr(text, "relu"), "1")) low = fmax(low, zero);
    for (int i = (int)axis + 1; axis >= 0 && i < acc.axes; i++) inner *= acc.shape[i];
    int32_t *codes = calloc((size_t)acc.size + 1, sizeof *codes);
    for (long i = 0; i < acc.size; i++) {
        long channel = axis < 0 ? 0 : i / inner % acc.shape[axis];
        int64_t value = multiplied((int64_t)number(acc, i), (int64_t)number(m0, channel),
                                   (int)number(e, channel), is(attr(text, "requantize"), "double"));
        codes[i] = (int32_t)fmin(fmax((double)value + zero, low), high);
    }
    write_tensor(out, "codes", "<i4", acc, codes);
    free(acc.data), free(m0.data), free(e.data), free(z.data), free(codes);
}

static void each(const char *op, void (*run)(const char *, const char *, const char *)) {
    char folder[PATH_SIZE + 100], in[PATH_SIZE + 400], out[PATH_SIZE + 400], path[PATH_SIZE + 500];
    snprintf(folder, sizeof folder, "%s/%s", vectors, op);
    DIR *cases = opendir(folder);
    if (!cases) return; /* not among these vectors */
    snprintf(folder, sizeof folder, "%s/%s", results, op);
    mkdir(folder, 0777);
    for (struct dirent *entry; (entry = readdir(cases));) {
        snprintf(in, sizeof in, "%s/%s/%s", vectors, op, entry->d_name);
        snprintf(out, sizeof out, "%s/%s/%s", results, op, entry->d_name);
        snprintf(path, sizeof path, "%s/case.txt", in);
        char *text = entry->d_name[0] == '.' ? NULL : read_text(path);
        if (!text) continue;
        mkdir(out, 0777);
        run(in, out, text);
        free(text);
    }
    closedir(cases);
}

int main(int count, char **words) {
    if (count != 3) stop("usage", "kernel VECTORS RESULTS");
    snprintf(vectors, sizeof vectors, "%s", words[1]);
    snprintf(results, sizeof results, "%s", words[2]);
    each("border_round", run_border_round);
    each("fake_quant", run_fake_quant);
    each("requant_fixed", run_requant_fixed);
    return 0;
}

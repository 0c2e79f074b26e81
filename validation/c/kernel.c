/* A backend in C, verified through files:
       cc -O2 -std=c99 -Wall -Wextra -o kernel validation/c/kernel.c -lm
       refquant verify cmd:./kernel --only 'border_round,fake_quant'                          */
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
    return 0;
}

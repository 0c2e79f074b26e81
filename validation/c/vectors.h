/* Reads the goldens of `refquant vectors DIR`, writes results beside them. C99, no dependency.
   A case is DIR/OP/ID/case.txt and in.NAME.npy; a result is RESULTS/OP/ID/NAME.npy. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_AXES 8
#define PATH_SIZE 4096

typedef struct {
    char type[8]; /* "<f8", "<i4", "<i8" or "|b1" */
    int axes;
    long shape[MAX_AXES], size;
    void *data;
} tensor;

static void stop(const char *what, const char *where) {
    fprintf(stderr, "%s: %s\n", what, where);
    exit(1);
}

/* One line of a case file: the text after "KIND NAME ", or NULL. */
static const char *find(const char *text, const char *kind, const char *name) {
    char head[200];
    snprintf(head, sizeof head, "\n%s %s ", kind, name);
    const char *at = strstr(text, head);
    return at ? at + strlen(head) : NULL;
}

static const char *attr(const char *text, const char *name) { /* skips the type: "VALUE\n..." */
    const char *at = find(text, "attr", name);
    at = at ? strchr(at, ' ') : NULL;
    if (!at) stop("no such attribute", name);
    return at + 1;
}

static int is(const char *value, const char *word) {
    size_t n = strlen(word);
    return strncmp(value, word, n) == 0 && value[n] == '\n';
}

static char *read_text(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    char *text = calloc(1, 1 << 16);
    if (!text || !fread(text, 1, (1 << 16) - 1, file)) stop("cannot read", path);
    fclose(file);
    return text;
}

static tensor read_tensor(const char *folder, const char *text, const char *name) {
    char path[PATH_SIZE], header[12];
    const char *at = find(text, "in", name);
    tensor t = {{0}, 0, {0}, 1, NULL};
    if (!at) stop("no such input", name);
    sscanf(at, "%7s", t.type);
    at = strchr(at, ' ') + 1;
    while (*at >= '0' && *at <= '9' && t.axes < MAX_AXES) { /* "3x4", or "scalar" */
        t.size *= t.shape[t.axes++] = strtol(at, (char **)&at, 10);
        at += *at == 'x';
    }
    snprintf(path, sizeof path, "%s/in.%s.npy", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file || fread(header, 1, 10, file) != 10) stop("cannot read", path);
    fseek(file, (unsigned char)header[8] + 256L * (unsigned char)header[9], SEEK_CUR);
    size_t item = (size_t)(t.type[2] - '0');
    t.data = calloc((size_t)t.size + 1, item);
    if (!t.data || fread(t.data, item, (size_t)t.size, file) != (size_t)t.size) stop("short", path);
    fclose(file);
    return t;
}

static double number(tensor t, long i) {
    if (t.type[1] == 'f') return ((double *)t.data)[i];
    if (t.type[1] == 'b') return ((uint8_t *)t.data)[i];
    return t.type[2] == '8' ? (double)((int64_t *)t.data)[i] : (double)((int32_t *)t.data)[i];
}

/* Writes data of the shape of `like`; type is "<f8", "<i8" or "<i4". */
static void write_tensor(const char *folder, const char *name, const char *type, tensor like,
                         const void *data) {
    char path[PATH_SIZE], shape[160] = "", header[246];
    for (int i = 0; i < like.axes; i++) sprintf(shape + strlen(shape), "%ld, ", like.shape[i]);
    int n = snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }",
                     type, shape);
    memset(header + n, ' ', sizeof header - (size_t)n);
    header[sizeof header - 1] = '\n'; /* 10 + 246 = 4 * 64 */
    snprintf(path, sizeof path, "%s/%s.npy", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file) stop("cannot write", path);
    const char magic[10] = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0, (char)(sizeof header & 255), 0};
    fwrite(magic, 1, 10, file);
    fwrite(header, 1, sizeof header, file);
    fwrite(data, (size_t)(type[2] - '0'), (size_t)like.size, file);
    if (fclose(file)) stop("cannot write", path);
}

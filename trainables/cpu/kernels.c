// Fused kernels of the BERT pass on a CPU, in bfloat16 with float32 arithmetic.
//
// Dropout needs no mask in memory: whether element i of a tensor is kept is a hash of i under the tensor's own key,
// which forward and backward pass compute alike. Rows are worked on in vectors of 16, so widths are multiples of 16.

#include <immintrin.h>
#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LANES 16
typedef uint16_t bf16;
typedef float Floats __attribute__((vector_size(4 * LANES)));
typedef uint32_t Words __attribute__((vector_size(4 * LANES)));
typedef bf16 Halves __attribute__((vector_size(2 * LANES)));

static const Words lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

typedef struct {
    uint32_t first, second;  // the key of a tensor's mask
    uint32_t threshold;      // an element whose hash is below is dropped: p * 2^32
    float scale;             // of what is kept: 1 / (1 - p)
} Dropout;

static inline Floats load(const bf16 *x) {
    Halves halves;
    memcpy(&halves, x, sizeof halves);
    return (Floats)(__builtin_convertvector(halves, Words) << 16);
}

// Round to nearest, ties to even, as PyTorch does.
static inline void store(bf16 *y, Floats x) {
#ifdef __AVX512BF16__
    __m256bh halves = _mm512_cvtneps_pbh((__m512)x);
#else
    Words bits = (Words)x;
    Halves halves = __builtin_convertvector((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16, Halves);
#endif
    memcpy(y, &halves, sizeof halves);
}

static inline Floats read(const float *x) {
    Floats value;
    memcpy(&value, x, sizeof value);
    return value;
}

static inline void add(float *y, Floats x) {
    x += read(y);
    memcpy(y, &x, sizeof x);
}

static inline float sum_of(Floats x) {
    float part[LANES];
    memcpy(part, &x, sizeof x);
    for (int n = LANES / 2; n > 0; n /= 2)
        for (int j = 0; j < n; j++) part[j] += part[j + n];
    return part[0];
}

static inline Floats where(Words mask, Floats yes, Floats no) {
    return (Floats)((mask & (Words)yes) | (~mask & (Words)no));
}

// Chris Wellons's lowbias32, an integer hash in which each output bit depends on each input bit; the second half of
// the key enters between its rounds, so that no two keys give shifted copies of one sequence.
static inline Floats dropped(Floats value, Dropout d, uint32_t element) {
    Words x = lane + (element + d.first);
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= (x >> 15) ^ d.second;
    x *= 0x846ca68bu;
    x ^= x >> 16;
    return (Floats)((Words)(value * d.scale) & (Words)(x >= d.threshold));
}

// 1 / x for x >= 1 by Newton's method: vector division is several times as slow.
static inline Floats reciprocal(Floats x) {
    Floats y = (Floats)(0x7ef311c7u - (Words)x);
    y *= 2.0f - x * y;
    y *= 2.0f - x * y;
    return y * (2.0f - x * y);
}

// e^x for x <= 0 by 2^n times e^r, |r| <= ln(2) / 2; relative error below 1e-5, a hundredth of bfloat16's.
static inline Floats exponential(Floats x) {
    const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, which its lowest bits then hold
    x = where((Words)(x < -87.0f), x * 0.0f - 87.0f, x);
    Floats shifted = x * 1.44269504f + magic;
    Floats r = x - (shifted - magic) * 0.69314718f;
    Floats p = 4.1666666e-2f + r * 8.3333333e-3f;
    p = 1.6666667e-1f + r * p;
    p = 0.5f + r * p;
    p = 1.0f + r * (1.0f + r * p);
    return p * (Floats)(((Words)shifted << 23) + (127u << 23));
}

// gelu's derivative: the normal distribution function plus x times its density. Abramowitz & Stegun 7.1.26, error
// below 2e-7.
static inline Floats gelu_slope(Floats x) {
    Floats size = (Floats)((Words)x & 0x7fffffffu);
    Floats density = exponential(x * x * -0.5f);
    Floats t = reciprocal(1.0f + size * (0.3275911f * 0.70710678f));
    Floats p = 1.061405429f * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    Floats tail = 0.5f * p * t * density;
    return where((Words)(x < 0.0f), tail, 1.0f - tail) + x * density * 0.39894228f;
}

// Add the threads' partial sums in the order of the threads, so that the same run gives the same bits.
static void collect(float *partial, float *sums, int64_t n, int threads) {
    for (int thread = 0; thread < threads; thread++)
        for (int64_t j = 0; j < n; j++) sums[j] += partial[thread * n + j];
    free(partial);
}

// Overwrite the gradient of gelu(x) with that of x; add its column sums, the bias gradient, to sums (width).
void gelu_backward(bf16 *gradient, const bf16 *x, float *sums, int64_t rows, int64_t width, int threads) {
    float *partial = calloc((size_t)(threads * width), sizeof *partial);
#pragma omp parallel num_threads(threads)
    {
        float *own = partial + omp_get_thread_num() * width;
#pragma omp for schedule(static)
        for (int64_t row = 0; row < rows; row++)
            for (int64_t j = 0; j < width; j += LANES) {
                Floats g = load(gradient + row * width + j) * gelu_slope(load(x + row * width + j));
                add(own + j, g);
                store(gradient + row * width + j, g);
            }
    }
    collect(partial, sums, width, threads);
}

// sum = x + dropout(inner), y = layer norm of sum; all (rows, width). stats: (rows, 2) mean and 1 / deviation.
void residual(
    const bf16 *x, const bf16 *inner, const float *weight, const float *bias, bf16 *sum, bf16 *y, float *stats,
    int64_t rows, int64_t width, float eps, const Dropout *dropout, int threads
) {
    const Dropout d = *dropout;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        const int64_t at = row * width;
        Floats totals = {0.0f}, squares = {0.0f};
        for (int64_t j = 0; j < width; j += LANES) {
            store(sum + at + j, load(x + at + j) + dropped(load(inner + at + j), d, (uint32_t)(at + j)));
            totals += load(sum + at + j);
        }
        const float mean = sum_of(totals) / (float)width;
        for (int64_t j = 0; j < width; j += LANES) {
            Floats centred = load(sum + at + j) - mean;
            squares += centred * centred;
        }
        const float inverse = 1.0f / sqrtf(sum_of(squares) / (float)width + eps);
        for (int64_t j = 0; j < width; j += LANES)
            store(y + at + j, (load(sum + at + j) - mean) * inverse * read(weight + j) + read(bias + j));
        stats[2 * row] = mean;
        stats[2 * row + 1] = inverse;
    }
}

// From the gradient of y: that of x, and that of inner. Column sums are added to `sums` (3, width): the gradients of
// weight and bias, and the sums of inner's, which are the bias gradient of the linear map before it.
void residual_backward(
    const bf16 *gradient, const bf16 *sum, const float *stats, const float *weight, bf16 *for_x, bf16 *for_inner,
    float *sums, int64_t rows, int64_t width, const Dropout *dropout, int threads
) {
    const Dropout d = *dropout;
    float *partial = calloc((size_t)(threads * 3 * width), sizeof *partial);
#pragma omp parallel num_threads(threads)
    {
        float *own = partial + omp_get_thread_num() * 3 * width;
#pragma omp for schedule(static)
        for (int64_t row = 0; row < rows; row++) {
            const int64_t at = row * width;
            const float mean = stats[2 * row], inverse = stats[2 * row + 1];
            Floats totals = {0.0f}, products = {0.0f};
            for (int64_t j = 0; j < width; j += LANES) {
                Floats g = load(gradient + at + j), normed = (load(sum + at + j) - mean) * inverse;
                add(own + j, g * normed);
                add(own + width + j, g);
                g *= read(weight + j);
                totals += g;
                products += g * normed;
            }
            const float total = sum_of(totals) / (float)width, product = sum_of(products) / (float)width;
            for (int64_t j = 0; j < width; j += LANES) {
                Floats normed = (load(sum + at + j) - mean) * inverse;
                Floats g = (load(gradient + at + j) * read(weight + j) - total - normed * product) * inverse;
                Floats kept = dropped(g, d, (uint32_t)(at + j));
                store(for_x + at + j, g);
                store(for_inner + at + j, kept);
                add(own + 2 * width + j, kept);
            }
        }
    }
    collect(partial, sums, 3 * width, threads);
}

// Keys of a text that a row of attention scores is computed for: none for a query that is padding.
static inline int64_t keys_of(int64_t length, int64_t query, int64_t queries) {
    return queries == 1 || query < length ? length : 0;
}

// Softmax of scores over the first `lengths[text]` keys, in place, and kept = dropout(softmax). Scores are
// (texts * heads, queries, keys); what lies beyond a text's length becomes 0.
void softmax(
    bf16 *scores, bf16 *kept, const int64_t *lengths, int64_t texts, int64_t heads, int64_t queries, int64_t keys,
    const Dropout *dropout, int threads
) {
    const Dropout d = *dropout;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 64)
    for (int64_t row = 0; row < texts * heads * queries; row++) {
        const int64_t at = row * keys, n = keys_of(lengths[row / (heads * queries)], row % queries, queries);
        const int64_t end = (n + LANES - 1) / LANES * LANES;
        Floats exponentials[keys / LANES], most = (Floats){0.0f} - INFINITY, totals = {0.0f};
        float largest = -INFINITY;
        for (int64_t j = 0; j < end; j += LANES) {
            Floats v = where((Words)(lane < (uint32_t)(n - j)), load(scores + at + j), (Floats){0.0f} - INFINITY);
            exponentials[j / LANES] = v;
            most = where((Words)(v > most), v, most);
        }
        for (int j = 0; j < LANES; j++) largest = most[j] > largest ? most[j] : largest;
        for (int64_t j = 0; j < end; j += LANES) {
            Floats v = exponential(exponentials[j / LANES] - largest);
            v = (Floats)((Words)v & (Words)(lane < (uint32_t)(n - j)));
            exponentials[j / LANES] = v;
            totals += v;
        }
        const float inverse = 1.0f / sum_of(totals);
        for (int64_t j = 0; j < end; j += LANES) {
            Floats share = exponentials[j / LANES] * inverse;
            store(scores + at + j, share);
            store(kept + at + j, dropped(share, d, (uint32_t)(at + j)));
        }
        memset(scores + at + end, 0, (size_t)(keys - end) * sizeof(bf16));
        memset(kept + at + end, 0, (size_t)(keys - end) * sizeof(bf16));
    }
}

// Overwrite the gradient of kept with that of the scores.
void softmax_backward(
    bf16 *gradient, const bf16 *share, const int64_t *lengths, int64_t texts, int64_t heads, int64_t queries,
    int64_t keys, const Dropout *dropout, int threads
) {
    const Dropout d = *dropout;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 64)
    for (int64_t row = 0; row < texts * heads * queries; row++) {
        const int64_t at = row * keys, n = keys_of(lengths[row / (heads * queries)], row % queries, queries);
        const int64_t end = (n + LANES - 1) / LANES * LANES;
        Floats kept[keys / LANES], products = {0.0f};
        for (int64_t j = 0; j < end; j += LANES) {
            kept[j / LANES] = dropped(load(gradient + at + j), d, (uint32_t)(at + j));
            products += kept[j / LANES] * load(share + at + j);
        }
        const float product = sum_of(products);
        for (int64_t j = 0; j < end; j += LANES)
            store(gradient + at + j, load(share + at + j) * (kept[j / LANES] - product));
        memset(gradient + at + end, 0, (size_t)(keys - end) * sizeof(bf16));
    }
}

// rows (t, parts, heads, size) -> slots (parts, texts, heads, length, size); slots beyond a text's length become 0.
void to_slots(
    const bf16 * rows, bf16 * slots, const int64_t * starts,
    const int64_t * lengths, int64_t parts, int64_t texts, int64_t heads, int64_t length, int64_t size,
    int threads
) {
    const size_t bytes = (size_t)size * sizeof(bf16);
#pragma omp parallel for collapse(2) num_threads(threads) schedule(static)
    for (int64_t part = 0; part < parts; part++)
        for (int64_t text = 0; text < texts; text++)
            for (int64_t head = 0; head < heads; head++) {
                bf16 *to = slots + ((part * texts + text) * heads + head) * length * size;
                const bf16 *from = rows + ((starts[text] * parts + part) * heads + head) * size;
                for (int64_t j = 0; j < lengths[text]; j++)
                    memcpy(to + j * size, from + j * parts * heads * size, bytes);
                memset(to + lengths[text] * size, 0, (size_t)(length - lengths[text]) * bytes);
            }
}

// The reverse; rows that belong to no text (from `used` on) become 0.
void to_rows(
    const bf16 * slots, bf16 * rows, const int64_t * starts,
    const int64_t * lengths, int64_t parts, int64_t texts, int64_t heads, int64_t length, int64_t size,
    int64_t used, int64_t total, int threads
) {
    const size_t bytes = (size_t)size * sizeof(bf16);
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
    for (int64_t text = 0; text < texts; text++)
        for (int64_t j = 0; j < lengths[text]; j++)
            for (int64_t part = 0; part < parts; part++)
                for (int64_t head = 0; head < heads; head++)
                    memcpy(
                        rows + (((starts[text] + j) * parts + part) * heads + head) * size,
                        slots + (((part * texts + text) * heads + head) * length + j) * size, bytes
                    );
    memset(rows + used * parts * heads * size, 0, (size_t)((total - used) * parts * heads) * bytes);
}

// Fused kernels of the BERT pass on a CPU, on tensors of bfloat16 or float32, with float32 arithmetic. Rows are worked on
// in vectors of LANES numbers; widths are multiples of 16.

#include <omp.h>
#include <stdlib.h>

#include "vectors.h"

// 1 / x for x >= 1 by Newton's method: vector division is several times as slow.
static inline Floats reciprocal(Floats x) {
    Floats y = (Floats)(0x7ef311c7u - (Words)x);
    y *= 2.0f - x * y;
    y *= 2.0f - x * y;
    return y * (2.0f - x * y);
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
void gelu_backward(Number *gradient, const Number *x, float *sums, int64_t rows, int64_t width, int threads) {
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
    const Number *x, const Number *inner, const float *weight, const float *bias, Number *sum, Number *y, float *stats,
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
    const Number *gradient, const Number *sum, const float *stats, const float *weight, Number *for_x, Number *for_inner,
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
    Number *scores, Number *kept, const int64_t *lengths, int64_t texts, int64_t heads, int64_t queries, int64_t keys,
    const Dropout *dropout, int threads
) {
    const Dropout d = *dropout;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 64)
    for (int64_t row = 0; row < texts * heads * queries; row++) {
        const int64_t at = row * keys, n = keys_of(lengths[row / (heads * queries)], row % queries, queries);
        const int64_t end = (n + LANES - 1) / LANES * LANES;
        Floats values[keys / LANES];
        for (int64_t j = 0; j < end; j += LANES) values[j / LANES] = load(scores + at + j);
        const float inverse = exponentials(values, n);
        for (int64_t j = 0; j < end; j += LANES) {
            Floats share = values[j / LANES] * inverse;
            store(scores + at + j, share);
            store(kept + at + j, dropped(share, d, (uint32_t)(at + j)));
        }
        memset(scores + at + end, 0, (size_t)(keys - end) * sizeof(Number));
        memset(kept + at + end, 0, (size_t)(keys - end) * sizeof(Number));
    }
}

// Overwrite the gradient of kept with that of the scores.
void softmax_backward(
    Number *gradient, const Number *share, const int64_t *lengths, int64_t texts, int64_t heads, int64_t queries,
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
        memset(gradient + at + end, 0, (size_t)(keys - end) * sizeof(Number));
    }
}

// rows (t, parts, heads, size) -> slots (parts, texts, heads, length, size); slots beyond a text's length become 0.
void to_slots(
    const Number *rows, Number *slots, const int64_t *starts,
    const int64_t *lengths, int64_t parts, int64_t texts, int64_t heads, int64_t length, int64_t size,
    int threads
) {
    const size_t bytes = (size_t)size * sizeof(Number);
#pragma omp parallel for collapse(2) num_threads(threads) schedule(static)
    for (int64_t part = 0; part < parts; part++)
        for (int64_t text = 0; text < texts; text++)
            for (int64_t head = 0; head < heads; head++) {
                Number *to = slots + ((part * texts + text) * heads + head) * length * size;
                const Number *from = rows + ((starts[text] * parts + part) * heads + head) * size;
                for (int64_t j = 0; j < lengths[text]; j++)
                    memcpy(to + j * size, from + j * parts * heads * size, bytes);
                memset(to + lengths[text] * size, 0, (size_t)(length - lengths[text]) * bytes);
            }
}

// The reverse; rows that belong to no text (from `used` on) become 0.
void to_rows(
    const Number *slots, Number *rows, const int64_t *starts,
    const int64_t *lengths, int64_t parts, int64_t texts, int64_t heads, int64_t length, int64_t size,
    int64_t used, int64_t total, int threads
) {
    const size_t bytes = (size_t)size * sizeof(Number);
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

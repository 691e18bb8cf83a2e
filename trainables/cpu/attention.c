// Attention on float32 texts that lie end to end: nothing computes on padding, and queries, keys and values are read where
// the linear map wrote them. The size of a head is a multiple of 16.
//
// PyTorch's batched product of such small matrices runs at half the speed of a large product or less, and on padding too.

#include <omp.h>
#include <stdlib.h>

#include "vectors.h"

#define TILE 6    // rows of a product that are summed in registers, two vectors each
#define BLOCK 48  // queries that are worked on at once, so that their scores stay in the cache

// c (rows, n) += a (rows, k) b (k, n), or = where `set`; rows is known to the compiler, n a multiple of LANES.
static inline __attribute__((always_inline)) void tile(
    int rows, const float *a, int64_t row_step, int64_t column_step, const float *b, int64_t b_step, float *c,
    int64_t c_step, int64_t n, int64_t k, int set
) {
    int64_t j = 0;
    for (; j + 2 * LANES <= n; j += 2 * LANES) {
        Floats sums[TILE][2];
        for (int i = 0; i < rows; i++)
            for (int half = 0; half < 2; half++)
                sums[i][half] = set ? (Floats){0.0f} : read(c + i * c_step + j + half * LANES);
        for (int64_t m = 0; m < k; m++) {
            const Floats left = read(b + m * b_step + j), right = read(b + m * b_step + j + LANES);
            for (int i = 0; i < rows; i++) {
                const float x = a[i * row_step + m * column_step];
                sums[i][0] += x * left;
                sums[i][1] += x * right;
            }
        }
        for (int i = 0; i < rows; i++)
            for (int half = 0; half < 2; half++)
                memcpy(c + i * c_step + j + half * LANES, &sums[i][half], sizeof(Floats));
    }
    for (; j < n; j += LANES) {
        Floats sums[TILE];
        for (int i = 0; i < rows; i++) sums[i] = set ? (Floats){0.0f} : read(c + i * c_step + j);
        for (int64_t m = 0; m < k; m++) {
            const Floats row = read(b + m * b_step + j);
            for (int i = 0; i < rows; i++) sums[i] += a[i * row_step + m * column_step] * row;
        }
        for (int i = 0; i < rows; i++) memcpy(c + i * c_step + j, &sums[i], sizeof(Floats));
    }
}

// c (m, n) += a (m, k) b (k, n), or = where `set`. An element of a lies row_step from that of the next row, and
// column_step from that of the next column.
static void product(
    const float *a, int64_t row_step, int64_t column_step, const float *b, int64_t b_step, float *c, int64_t c_step,
    int64_t m, int64_t n, int64_t k, int set
) {
    for (; m >= TILE; m -= TILE, a += TILE * row_step, c += TILE * c_step)
        tile(TILE, a, row_step, column_step, b, b_step, c, c_step, n, k, set);
    switch (m) {
        case 5: tile(5, a, row_step, column_step, b, b_step, c, c_step, n, k, set); break;
        case 4: tile(4, a, row_step, column_step, b, b_step, c, c_step, n, k, set); break;
        case 3: tile(3, a, row_step, column_step, b, b_step, c, c_step, n, k, set); break;
        case 2: tile(2, a, row_step, column_step, b, b_step, c, c_step, n, k, set); break;
        case 1: tile(1, a, row_step, column_step, b, b_step, c, c_step, n, k, set); break;
    }
}

// to (columns, width) = from (rows, columns) transposed, 0 beyond its rows.
static void transpose(const float *from, int64_t step, float *to, int64_t rows, int64_t columns, int64_t width) {
    for (int64_t j = 0; j < columns; j++) {
        for (int64_t i = 0; i < rows; i++) to[j * width + i] = from[i * step + j];
        for (int64_t i = rows; i < width; i++) to[j * width + i] = 0.0f;
    }
}

// Numbers that a text's keys take: its length, rounded up so that every processor gives a score the same place.
static inline int64_t width_of(int64_t length) { return (length + 15) / 16 * 16; }

// Where each text's softmax begins in `share`, (texts,); a text has (heads, queries, width_of(length)) of them.
static int64_t *places_of(const int64_t *lengths, int64_t texts, int64_t heads, int first_only) {
    int64_t *places = malloc((size_t)texts * sizeof *places), place = 0;
    for (int64_t text = 0; text < texts; text++) {
        places[text] = place;
        place += heads * (first_only ? 1 : lengths[text]) * width_of(lengths[text]);
    }
    return places;
}

static float *scratch(int64_t numbers) { return aligned_alloc(64, (size_t)(numbers * 4 + 63) / 64 * 64); }

// context = dropout(softmax(q kT)) v of each text and head, and the softmax itself, in share. q has a row per token
// or, if first_only, per text; q_step and kv_step are the numbers from one row of q, and of k and v, to the next.
void attention(
    const float *q, const float *k, const float *v, float *context, float *share, const int64_t *starts,
    const int64_t *lengths, int64_t q_step, int64_t kv_step, int64_t texts, int64_t heads, int64_t size,
    int64_t longest, int64_t first_only, const Dropout *dropout, int threads
) {
    const Dropout d = *dropout;
    int64_t *places = places_of(lengths, texts, heads, (int)first_only);
#pragma omp parallel num_threads(threads)
    {
        const int64_t most = width_of(longest);
        float *keys = scratch(size * most), *kept = scratch(BLOCK * most);
#pragma omp for schedule(dynamic, 1)
        for (int64_t pair = 0; pair < texts * heads; pair++) {
            const int64_t text = pair / heads, at = pair % heads * size, length = lengths[text];
            const int64_t queries = first_only ? 1 : length, width = width_of(length);
            const int64_t asking = first_only ? text : starts[text], place = places[text] + pair % heads * queries * width;
            transpose(k + starts[text] * kv_step + at, kv_step, keys, length, size, width);
            for (int64_t first = 0; first < queries; first += BLOCK) {
                const int64_t rows = queries - first < BLOCK ? queries - first : BLOCK, from = place + first * width;
                const int64_t row = asking + first;
                product(q + row * q_step + at, q_step, 1, keys, width, share + from, width, rows, width, size, 1);
                for (int64_t i = 0; i < rows; i++) {
                    const int64_t of_row = from + i * width;
                    Floats values[width / LANES];
                    for (int64_t j = 0; j < width; j += LANES) values[j / LANES] = read(share + of_row + j);
                    for (int64_t j = length + LANES - 1; j / LANES * LANES < width; j += LANES)
                        values[j / LANES] = (Floats){0.0f};
                    const float inverse = exponentials(values, length);
                    for (int64_t j = 0; j < width; j += LANES) {
                        store(share + of_row + j, values[j / LANES] * inverse);
                        store(kept + i * width + j, dropped(values[j / LANES] * inverse, d, (uint32_t)(of_row + j)));
                    }
                }
                product(
                    kept, width, 1, v + starts[text] * kv_step + at, kv_step, context + row * heads * size + at,
                    heads * size, rows, size, length, 1
                );
            }
        }
        free(keys);
        free(kept);
    }
    free(places);
}

// From the gradient of context: those of q, k and v, which lie as q, k and v do.
void attention_backward(
    const float *gradient, const float *q, const float *k, const float *v, const float *share, float *for_q,
    float *for_k, float *for_v, const int64_t *starts, const int64_t *lengths, int64_t q_step, int64_t kv_step,
    int64_t texts, int64_t heads, int64_t size, int64_t longest, int64_t first_only, const Dropout *dropout, int threads
) {
    const Dropout d = *dropout;
    int64_t *places = places_of(lengths, texts, heads, (int)first_only);
#pragma omp parallel num_threads(threads)
    {
        const int64_t most = width_of(longest);
        float *values = scratch(size * most), *kept = scratch(BLOCK * most), *scores = scratch(BLOCK * most);
#pragma omp for schedule(dynamic, 1)
        for (int64_t pair = 0; pair < texts * heads; pair++) {
            const int64_t text = pair / heads, at = pair % heads * size, length = lengths[text];
            const int64_t queries = first_only ? 1 : length, width = width_of(length), step = heads * size;
            const int64_t asking = first_only ? text : starts[text], place = places[text] + pair % heads * queries * width;
            const int64_t head = starts[text] * kv_step + at;
            transpose(v + head, kv_step, values, length, size, width);
            for (int64_t first = 0; first < queries; first += BLOCK) {
                const int64_t rows = queries - first < BLOCK ? queries - first : BLOCK, from = place + first * width;
                const int64_t row = asking + first;
                const float *upstream = gradient + row * step + at;
                product(upstream, step, 1, values, width, scores, width, rows, width, size, 1);
                for (int64_t i = 0; i < rows; i++) {
                    const int64_t of_row = from + i * width;
                    Floats products = {0.0f};
                    for (int64_t j = 0; j < width; j += LANES) {
                        const Floats p = read(share + of_row + j);
                        const Floats g = dropped(read(scores + i * width + j), d, (uint32_t)(of_row + j));
                        store(kept + i * width + j, dropped(p, d, (uint32_t)(of_row + j)));
                        store(scores + i * width + j, g);
                        products += p * g;
                    }
                    const float total = sum_of(products);
                    for (int64_t j = 0; j < width; j += LANES)
                        store(
                            scores + i * width + j, read(share + of_row + j) * (read(scores + i * width + j) - total)
                        );
                }
                product(
                    scores, width, 1, k + head, kv_step, for_q + row * q_step + at, q_step, rows, size, length, 1
                );
                product(
                    scores, 1, width, q + row * q_step + at, q_step, for_k + head, kv_step, length, size, rows, first == 0
                );
                product(kept, 1, width, upstream, step, for_v + head, kv_step, length, size, rows, first == 0);
            }
        }
        free(values);
        free(kept);
        free(scores);
    }
    free(places);
}

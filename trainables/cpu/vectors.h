// What the kernels compute with: vectors of LANES float32 numbers, as many as a register holds, read from and written to
// tensors of bfloat16 or (FLOAT32 defined) of float32.
//
// Dropout needs no mask in memory: whether element i of a tensor is kept is a hash of i under the tensor's own key,
// which forward and backward pass compute alike, whatever the processor.
#pragma once

#ifdef __AVX512BF16__
#include <immintrin.h>
#endif
#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __AVX512F__
#define LANES 16
#define LANE {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
#else
#define LANES 8
#define LANE {0, 1, 2, 3, 4, 5, 6, 7}
#endif
typedef float Floats __attribute__((vector_size(4 * LANES)));
typedef uint32_t Words __attribute__((vector_size(4 * LANES)));

static const Words lane = LANE;

typedef struct {
    uint32_t first, second;  // the key of a tensor's mask
    uint32_t threshold;      // an element whose hash is below is dropped: p * 2^32
    float scale;             // of what is kept: 1 / (1 - p)
} Dropout;

static inline Floats read(const float *x) {
    Floats value;
    memcpy(&value, x, sizeof value);
    return value;
}

#ifdef FLOAT32
typedef float Number;

static inline Floats load(const Number *x) { return read(x); }

static inline void store(Number *y, Floats x) { memcpy(y, &x, sizeof x); }
#else
typedef uint16_t Number;
typedef Number Halves __attribute__((vector_size(2 * LANES)));

static inline Floats load(const Number *x) {
    Halves halves;
    memcpy(&halves, x, sizeof halves);
    return (Floats)(__builtin_convertvector(halves, Words) << 16);
}

// Round to nearest, ties to even, as PyTorch does.
static inline void store(Number *y, Floats x) {
#ifdef __AVX512BF16__
    __m256bh halves = _mm512_cvtneps_pbh((__m512)x);
#else
    Words bits = (Words)x;
    Halves halves = __builtin_convertvector((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16, Halves);
#endif
    memcpy(y, &halves, sizeof halves);
}
#endif

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

// e^x for x <= 0 by 2^n times e^r, |r| <= ln(2) / 2; relative error below 4e-7.
static inline Floats exponential(Floats x) {
    const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, which its lowest bits then hold
    x = where((Words)(x < -87.0f), x * 0.0f - 87.0f, x);
    Floats shifted = x * 1.44269504f + magic;
    Floats r = x - (shifted - magic) * 0.69314718f;
    Floats p = 8.3333333e-3f + r * 1.3888889e-3f;
    p = 4.1666666e-2f + r * p;
    p = 1.6666667e-1f + r * p;
    p = 0.5f + r * p;
    p = 1.0f + r * (1.0f + r * p);
    return p * (Floats)(((Words)shifted << 23) + (127u << 23));
}

// Overwrite n scores, in vectors whose further lanes may hold anything, with e^(score - the largest), 0 in those lanes;
// return 1 / their sum.
static inline float exponentials(Floats *scores, int64_t n) {
    Floats most = (Floats){0.0f} - INFINITY, totals = {0.0f};
    float largest = -INFINITY;
    for (int64_t j = 0; j < n; j += LANES) {
        Floats v = where((Words)(lane < (uint32_t)(n - j)), scores[j / LANES], (Floats){0.0f} - INFINITY);
        scores[j / LANES] = v;
        most = where((Words)(v > most), v, most);
    }
    for (int j = 0; j < LANES; j++) largest = most[j] > largest ? most[j] : largest;
    for (int64_t j = 0; j < n; j += LANES) {
        Floats v = exponential(scores[j / LANES] - largest);
        v = (Floats)((Words)v & (Words)(lane < (uint32_t)(n - j)));
        scores[j / LANES] = v;
        totals += v;
    }
    return 1.0f / sum_of(totals);
}

// Rounding weights to int4 and int8: the search of quantized_rounding.py, compiled.
#pragma once
#include <math.h>

#include "codes.h"
#include "vectors.h"
#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace {

// INT4_EXTREME_CODES of quantized_rounding.py.
constexpr int NEGATIVE_FIRST = -155, POSITIVE_FIRST = 84, CODE_STEP = 7;
constexpr int NEGATIVE_COUNT = 8, POSITIVE_COUNT = 7;

typedef Vec<float, GROUP_COLUMNS> GroupFloats;
typedef Vec<int32_t, GROUP_COLUMNS> GroupInts;
typedef Vec<int16_t, GROUP_COLUMNS> GroupShorts;

struct Group {
    uint16_t scale;
    uint8_t codes[GROUP_COLUMNS];  // indices for int4, values for int8
    float error;                   // squared, of the whole group
};

INLINE GroupFloats load_group(const float* x) { return loaded<float, GROUP_COLUMNS>(x); }

// Two registers of integers as one of half the width, and back. x86 does both within 128 bits, so
// that lanes change places between the two and nowhere else.
INLINE Vec<int16_t, REGISTER_BYTES / 2> narrowed_pair(Vec<int32_t, REGISTER_BYTES / 4> a,
                                                      Vec<int32_t, REGISTER_BYTES / 4> b) {
#if defined(__AVX512BW__)
    return {(Vec<int16_t, 32>::Register)_mm512_packs_epi32((__m512i)a.v, (__m512i)b.v)};
#elif defined(__AVX2__)
    return {(Vec<int16_t, 16>::Register)_mm256_packs_epi32((__m256i)a.v, (__m256i)b.v)};
#elif defined(__SSE2__)
    return {(Vec<int16_t, 8>::Register)_mm_packs_epi32((__m128i)a.v, (__m128i)b.v)};
#else
    typedef Vec<int16_t, 8>::Register Shorts;
    return {__builtin_shufflevector((Shorts)a.v, (Shorts)b.v, 0, 2, 4, 6, 8, 10, 12, 14)};
#endif
}

INLINE Vec<int32_t, REGISTER_BYTES / 2, false> widened_pair(Vec<int16_t, REGISTER_BYTES / 2> a) {
#if defined(__AVX512BW__)
    __m512i v = (__m512i)a.v;
    Vec<int32_t, 32> twice = {{(Vec<int32_t, 16>::Register)_mm512_unpacklo_epi16(v, v)},
                              {(Vec<int32_t, 16>::Register)_mm512_unpackhi_epi16(v, v)}};
#elif defined(__AVX2__)
    __m256i v = (__m256i)a.v;
    Vec<int32_t, 16> twice = {{(Vec<int32_t, 8>::Register)_mm256_unpacklo_epi16(v, v)},
                              {(Vec<int32_t, 8>::Register)_mm256_unpackhi_epi16(v, v)}};
#else
    Vec<int32_t, 8> twice = {
        {(Vec<int32_t, 4>::Register)__builtin_shufflevector(a.v, a.v, 0, 0, 1, 1, 2, 2, 3, 3)},
        {(Vec<int32_t, 4>::Register)__builtin_shufflevector(a.v, a.v, 4, 4, 5, 5, 6, 6, 7, 7)}};
#endif
    return shifted_right<16>(twice);
}

template <int N>
INLINE Vec<int16_t, N> narrowed(Vec<int32_t, N, false> a) {
    if constexpr (N * 2 == REGISTER_BYTES) return narrowed_pair(a.low, a.high);
    else return {narrowed(a.low), narrowed(a.high)};
}
template <int N>
INLINE Vec<int32_t, N, false> widened(Vec<int16_t, N, true> a) {
    return widened_pair(a);
}
template <int N>
INLINE Vec<int32_t, N> widened(Vec<int16_t, N, false> a) {
    return {widened(a.low), widened(a.high)};
}

// Twice the middle between two neighbouring codes: a whole number.
constexpr int16_t double_middle(int i) { return INT4_CODES[i] + INT4_CODES[i + 1]; }

// The smallest whole number not below twice x. So x > m is as good as doubled(x) > 2 m, where
// twice m is whole, and 16 bits hold it.
INLINE GroupShorts doubled_ceiling(GroupFloats x) {
    GroupFloats twice = x + x;
    GroupInts cut = converted<int32_t>(twice);
    return narrowed(cut - greater(twice, converted<float>(cut)));
}

#if defined(__AVX2__) || defined(__aarch64__)
// Processors with a lookup of bytes find the nearest code by the bucket of 32 numbers that
// `doubled` + 256 lies in: no bucket holds more than two of the 15 limits between codes.
struct Buckets {
    uint8_t base[16] = {}, first[16] = {}, second[16] = {}, codes[16] = {};
    constexpr Buckets() {
        for (int i = 0; i < 16; ++i) {
            first[i] = second[i] = 31;
            codes[i] = (uint8_t)(INT4_CODES[i] + 128);
        }
        for (int i = 0; i < 15; ++i) {
            int limit = double_middle(i) + 256;
            // A limit at the end of a bucket belongs to the next one's start: `base` counts it.
            if (limit % 32 != 31) {
                uint8_t& place = first[limit / 32] == 31 ? first[limit / 32] : second[limit / 32];
                place = limit % 32;
            }
            for (int bucket = limit / 32 + 1; bucket < 16; ++bucket) ++base[bucket];
        }
    }
};
constexpr Buckets BUCKETS;

// table[index] of every lane; an index is 0 to 15.
template <int N>
INLINE Vec<int16_t, N> looked_up(const uint8_t* table, Vec<int16_t, N, true> index) {
    typedef typename Vec<int16_t, N>::Register Register;
#if defined(__aarch64__)
    Vec<int16_t, N> only_low = index + (int16_t)0xFF00;
    return {(Register)vqtbl1q_u8(vld1q_u8(table), (uint8x16_t)only_low.v)};
#else
    Vec<int16_t, N> only_low = index + (int16_t)0x8000;
    __m128i bytes = _mm_loadu_si128((const __m128i*)table);
#if defined(__AVX512BW__)
    return {(Register)_mm512_shuffle_epi8(_mm512_broadcast_i32x4(bytes), (__m512i)only_low.v)};
#else
    return {(Register)_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bytes), (__m256i)only_low.v)};
#endif
#endif
}
template <int N>
INLINE Vec<int16_t, N> looked_up(const uint8_t* table, Vec<int16_t, N, false> index) {
    return {looked_up(table, index.low), looked_up(table, index.high)};
}

INLINE GroupShorts nearest_indices(GroupShorts doubled) {
    GroupShorts low = filled<int16_t, GROUP_COLUMNS>(-256), high = low + 511;
    GroupShorts place = minimum(maximum(doubled, low), high) + 256;
    GroupShorts bucket = shifted_right<5>(place), rest = place & 31;
    GroupShorts index = looked_up(BUCKETS.base, bucket);
    index = index - greater(rest, looked_up(BUCKETS.first, bucket));
    return index - greater(rest, looked_up(BUCKETS.second, bucket));
}

INLINE GroupShorts nearest_codes(GroupShorts doubled) {
    return looked_up(BUCKETS.codes, nearest_indices(doubled)) - 128;
}
#else
// Index of the nearest code of every lane.
INLINE GroupShorts nearest_indices(GroupShorts doubled) {
    GroupShorts index = {};
    for (int i = 0; i < 15; ++i)
        index = index - greater(doubled, filled<int16_t, GROUP_COLUMNS>(double_middle(i)));
    return index;
}

// The nearest code itself, without a lookup: the sum of the steps that lie below.
INLINE GroupShorts nearest_codes(GroupShorts doubled) {
    GroupShorts code = filled<int16_t, GROUP_COLUMNS>(INT4_CODES[0]);
    for (int i = 0; i < 15; ++i) {
        GroupShorts above = greater(doubled, filled<int16_t, GROUP_COLUMNS>(double_middle(i)));
        code += above & (int16_t)(INT4_CODES[i + 1] - INT4_CODES[i]);
    }
    return code;
}
#endif

// The first of the largest magnitudes.
float extreme_of(const float* x) {
    GroupFloats all = load_group(x);
    Lanes peaks = maximum(maximum(all.low, -all.low), maximum(all.high, -all.high));
    float peak = highest(peaks);
    for (int i = 0; i < GROUP_COLUMNS; ++i)
        if (__builtin_fabsf(x[i]) == peak) return x[i];
    return 0.0f;
}

INLINE float inverse_of(float scale) { return scale == 0.0f ? 0.0f : 1.0f / scale; }

INLINE float error_with(GroupFloats x, float scale, float inverse) {
    GroupShorts codes = nearest_codes(doubled_ceiling(x * inverse));
    GroupFloats rest = x - converted<float>(widened(codes)) * scale;
    return sum(rest.low * rest.low + rest.high * rest.high);
}

// Scales that lay the extreme on each of the candidates, and their inverses; the 16th is unused.
INLINE void candidates(float extreme, float* scales, float* inverses) {
    float codes[16];
    for (int i = 0; i < 16; ++i)
        codes[i] = i < NEGATIVE_COUNT ? NEGATIVE_FIRST + i * CODE_STEP
                                      : POSITIVE_FIRST + (i - NEGATIVE_COUNT) * CODE_STEP;
    LanesBits bits = reread<uint32_t>(broadcast(extreme) / load(codes));
    bits = bits + 0x7FFF + (shifted_right<16>(bits) & 1);
    Lanes scale = reread<float>(shifted_left<16>(shifted_right<16>(bits)));
    store(scales, scale);
    store(inverses, broadcast(1.0f) / scale);
    for (int i = 0; i < 16; ++i)
        if (scales[i] == 0.0f) inverses[i] = 0.0f;
}

void round_int4(const float* x, Group* group) {
    GroupFloats all = load_group(x);
    float extreme = extreme_of(x), best = INFINITY, scale = 0.0f, inverse = 0.0f;
    if (extreme != 0.0f) {
        float scales[16], inverses[16], errors[16];
        candidates(extreme, scales, inverses);
        for (int i = 0; i < NEGATIVE_COUNT + POSITIVE_COUNT; ++i)
            errors[i] = error_with(all, scales[i], inverses[i]);
        for (int i = 0; i < NEGATIVE_COUNT + POSITIVE_COUNT; ++i)
            if (errors[i] < best) best = errors[i], scale = scales[i], inverse = inverses[i];
    }
    group->scale = nearest_bfloat16(scale);
    store_narrower(group->codes, widened(nearest_indices(doubled_ceiling(all * inverse))));
    group->error = extreme != 0.0f ? best : 0.0f;
}

void round_int8(const float* x, Group* group) {
    group->scale = nearest_bfloat16(__builtin_fabsf(extreme_of(x)) / 127.0f);
    float scale = to_float(group->scale), inverse = inverse_of(scale);
    group->error = 0.0f;
    for (int half = 0; half < 2; ++half) {
        LanesInt codes = round_product(load(x + 16 * half), inverse);
        codes = maximum(minimum(codes, filled<int32_t, 16>(127)), filled<int32_t, 16>(-127));
        store_narrower(group->codes + 16 * half, codes);
        Lanes rest = load(x + 16 * half) - converted<float>(codes) * scale;
        group->error += sum(rest * rest);
    }
}

// The 32 weights of a group as floats, zero beyond the matrix.
INLINE void fetch(const void* weight, bool is_bfloat16, int rows, int columns, int row, int first,
                  float* x) {
    int count = row < rows ? columns - first : 0;
    int64_t cell = (int64_t)row * columns + first;
    const uint16_t* half = (const uint16_t*)weight + cell;
    const float* wide = (const float*)weight + cell;
    if (count >= GROUP_COLUMNS) {
        store(x, is_bfloat16 ? load(half) : load(wide));
        store(x + 16, is_bfloat16 ? load(half + 16) : load(wide + 16));
        return;
    }
    for (int i = 0; i < GROUP_COLUMNS; ++i)
        x[i] = i >= count ? 0.0f : is_bfloat16 ? to_float(half[i]) : wide[i];
}

void place(int kind, const Group& group, int row, uint16_t* scales, uint8_t* lines) {
    scales[row] = group.scale;
    uint8_t bytes[GROUP_COLUMNS];
    int count = kind == INT4 ? GROUP_COLUMNS / 2 : GROUP_COLUMNS;
    for (int i = 0; i < count; ++i)
        bytes[i] = kind == INT4 ? group.codes[i] | group.codes[i + 16] << 4 : group.codes[i];
    for (int line = 0; line < count / 4; ++line) memcpy(lines + 64 * line + 4 * row, bytes + 4 * line, 4);
}

void pack_tile(int kind, const void* weight, bool is_bfloat16, int rows, int columns, int tile,
               uint8_t* packed, double* squares) {
    int blocks = (columns + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS;
    int group_bytes = (kind == INT4 ? 16 : 32) * TILE_ROWS;
    int64_t block_bytes = SCALE_BYTES + 2 * group_bytes;
    squares[0] = squares[1] = 0.0;
    for (int b = 0; b < blocks; ++b) {
        uint8_t* block = packed + ((int64_t)tile * blocks + b) * block_bytes;
        for (int g = 0; g < 2; ++g)
            for (int r = 0; r < TILE_ROWS; ++r) {
                float x[GROUP_COLUMNS];
                fetch(weight, is_bfloat16, rows, columns, tile * TILE_ROWS + r,
                      b * BLOCK_COLUMNS + g * GROUP_COLUMNS, x);
                squares[0] += sum(load(x) * load(x) + load(x + 16) * load(x + 16));
                Group group;
                if (kind == INT4) round_int4(x, &group);
                else round_int8(x, &group);
                squares[1] += group.error;
                place(kind, group, r, (uint16_t*)block + g * TILE_ROWS,
                      block + SCALE_BYTES + g * group_bytes);
            }
    }
}

}  // namespace

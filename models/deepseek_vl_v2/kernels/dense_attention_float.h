// Attention of many queries in float32, for every instruction set: keys and values of one head are
// widened and laid out once; then blocks of queries meet tiles of 16 keys, and their
// softmax all values. A query's sums run over the keys in one order, however many queries there are.
#pragma once
#include "dense_attention.h"
#include "vectors.h"

namespace {

// Queries whose sums stay in registers, and how many such blocks pass a tile in the first cache.
#if defined(__AVX512BW__)
constexpr int QUERIES = 12;
#elif defined(__AVX2__) || defined(__aarch64__)
constexpr int QUERIES = 6;
#else
constexpr int QUERIES = 2;
#endif
constexpr int QUERY_BLOCKS = 4, QUERY_ROWS = QUERIES * QUERY_BLOCKS;
constexpr int KEY_TILE = 16, KEY_STRETCH = 64;

struct HeadScratch {
    float* keys;     // [tiles of 16 keys][key_width][16]
    float* values;   // [lines of 16 channels][room][16]
    float* queries;  // [QUERY_ROWS][key_width], scaled
    float* scores;   // [QUERY_ROWS][room], then the softmax's numerators
    float* mixed;    // [QUERY_ROWS][16]
    int64_t room;    // keys, rounded up to whole stretches
    int lines;
};

HeadScratch head_scratch(const DenseAttention& a, uint8_t* memory) {
    HeadScratch s;
    s.room = (a.key_count + KEY_STRETCH - 1) / KEY_STRETCH * KEY_STRETCH;
    s.lines = (a.value_width + 15) / 16;
    s.keys = (float*)memory;
    s.values = s.keys + s.room * a.key_width;
    s.scores = s.values + s.room * s.lines * 16;
    s.mixed = s.scores + s.room * QUERY_ROWS;
    s.queries = s.mixed + QUERY_ROWS * 16;
    return s;
}

size_t attention_bytes(const DenseAttention& a) {
    HeadScratch s = head_scratch(a, nullptr);
    return ((size_t)(s.queries + (int64_t)QUERY_ROWS * a.key_width) + 63) / 64 * 64;
}

template <typename T>
void lay_out_keys(const T* keys, const DenseAttention& a, const HeadScratch& s) {
    for (int64_t k = 0; k < s.room; ++k) {
        float* out = s.keys + k / KEY_TILE * KEY_TILE * a.key_width + k % KEY_TILE;
        const T* row = keys + k * a.key_strides[2];
        for (int c = 0; c < a.key_width; ++c)
            out[(int64_t)c * KEY_TILE] = k < a.key_count ? to_float(row[c]) : 0.0f;
    }
}

template <typename T>
void lay_out_values(const T* values, const DenseAttention& a, const HeadScratch& s) {
    for (int line = 0; line < s.lines; ++line)
        for (int64_t k = 0; k < s.room; ++k) {
            float* out = s.values + (line * s.room + k) * 16;
            const T* row = values + k * a.value_strides[2] + 16 * line;
            int left = k < a.key_count ? a.value_width - 16 * line : 0;
            if (left >= 16) store(out, load(row));
            else for (int c = 0; c < 16; ++c) out[c] = c < left ? to_float(row[c]) : 0.0f;
        }
}

// Plain registers, not Lanes: compilers keep arrays of them out of memory.
constexpr int REGISTER_FLOATS = REGISTER_BYTES / 4, REGISTERS = 16 / REGISTER_FLOATS;
typedef Vec<float, REGISTER_FLOATS>::Register Register;

// out [QUERIES][16], `stride` floats apart: sums over i < count of rows [i][16] times the factor
// factors[q * factor_stride + i], begun with what is there or with zero.
INLINE void add_weighted_rows(const float* rows, const float* factors, int64_t factor_stride,
                              int count, bool from_zero, float* out, int64_t stride) {
    Register sums[QUERIES][REGISTERS];
#pragma GCC unroll 12
    for (int q = 0; q < QUERIES; ++q)
#pragma GCC unroll 4
        for (int r = 0; r < REGISTERS; ++r) {
            if (from_zero) sums[q][r] = Register{};
            else memcpy(&sums[q][r], out + q * stride + r * REGISTER_FLOATS, REGISTER_BYTES);
        }
    for (int i = 0; i < count; ++i) {
        Register row[REGISTERS];
#pragma GCC unroll 4
        for (int r = 0; r < REGISTERS; ++r)
            memcpy(&row[r], rows + 16 * i + r * REGISTER_FLOATS, REGISTER_BYTES);
#pragma GCC unroll 12
        for (int q = 0; q < QUERIES; ++q) {
            float factor = factors[q * factor_stride + i];
#pragma GCC unroll 4
            for (int r = 0; r < REGISTERS; ++r) sums[q][r] += row[r] * factor;
        }
    }
#pragma GCC unroll 12
    for (int q = 0; q < QUERIES; ++q)
#pragma GCC unroll 4
        for (int r = 0; r < REGISTERS; ++r)
            memcpy(out + q * stride + r * REGISTER_FLOATS, &sums[q][r], REGISTER_BYTES);
}

// Numerators of the softmax over the first `count` scores, zeros up to `end`; their sum.
float share_out(float* scores, int64_t count, int64_t end) {
    for (int64_t k = count; k < (count + 15) / 16 * 16; ++k) scores[k] = -INFINITY;
    Lanes tops = load(scores);
    for (int64_t k = 16; k < count; k += 16) tops = maximum(tops, load(scores + k));
    float top = highest(tops);
    Lanes total = {};
    for (int64_t k = 0; k < count; k += 16) {
        Lanes share = exponential(load(scores + k) - top);
        store(scores + k, share);
        if (k + 16 > count) {
            for (int64_t i = count; i < k + 16; ++i) scores[i] = 0.0f;
            share = load(scores + k);
        }
        total += share;
    }
    for (int64_t k = (count + 15) / 16 * 16; k < end; ++k) scores[k] = 0.0f;
    return sum(total);
}

void store_mixed(const DenseAttention& a, int64_t cell, int count, const float* mixed,
                 float inverse) {
    for (int c = 0; c < count; ++c) {
        float x = mixed[c] * inverse;
        if (a.out_is_float32) ((float*)a.out)[cell + c] = x;
        else ((uint16_t*)a.out)[cell + c] = nearest_bfloat16(x);
    }
}

template <typename T>
void attend_head_of(const DenseAttention& a, int batch, int head, uint8_t* memory) {
    HeadScratch s = head_scratch(a, memory);
    auto cell = [&](const int64_t* strides) { return batch * strides[0] + head * strides[1]; };
    lay_out_keys((const T*)a.keys + cell(a.key_strides), a, s);
    lay_out_values((const T*)a.values + cell(a.value_strides), a, s);
    int64_t earlier = a.key_count - a.query_count;
    for (int64_t first = 0; first < a.query_count; first += QUERY_ROWS) {
        int rows = a.query_count - first < QUERY_ROWS ? a.query_count - first : QUERY_ROWS;
        int blocks = (rows + QUERIES - 1) / QUERIES;
        for (int q = 0; q < blocks * QUERIES; ++q) {
            // Queries past the last are the last one again, and are not stored.
            int64_t row = first + (q < rows ? q : rows - 1);
            const T* source =
                (const T*)a.queries + cell(a.query_strides) + row * a.query_strides[2];
            for (int c = 0; c < a.key_width; ++c)
                s.queries[(int64_t)q * a.key_width + c] = to_float(source[c]) * a.scale;
        }
        int64_t seen = a.causal ? earlier + first + rows : a.key_count;
        for (int64_t k = 0; k < seen; k += KEY_TILE)
            for (int b = 0; b < blocks; ++b)
                add_weighted_rows(s.keys + k * a.key_width,
                                  s.queries + (int64_t)b * QUERIES * a.key_width, a.key_width,
                                  a.key_width, true, s.scores + b * QUERIES * s.room + k, s.room);
        int64_t end = (seen + KEY_STRETCH - 1) / KEY_STRETCH * KEY_STRETCH;
        float inverses[QUERY_ROWS];
        for (int q = 0; q < blocks * QUERIES; ++q) {
            int64_t count = a.causal && q < rows ? earlier + first + q + 1 : seen;
            inverses[q] = 1.0f / share_out(s.scores + q * s.room, count, end);
        }
        for (int line = 0; line < s.lines; ++line) {
            memset(s.mixed, 0, sizeof(float) * 16 * QUERY_ROWS);
            for (int64_t k = 0; k < end; k += KEY_STRETCH)
                for (int b = 0; b < blocks; ++b)
                    add_weighted_rows(s.values + (line * s.room + k) * 16,
                                      s.scores + b * QUERIES * s.room + k, s.room, KEY_STRETCH,
                                      false, s.mixed + b * QUERIES * 16, 16);
            int left = a.value_width - 16 * line;
            for (int q = 0; q < rows; ++q)
                store_mixed(a, cell(a.out_strides) + (first + q) * a.out_strides[2] + 16 * line,
                            left < 16 ? left : 16, s.mixed + 16 * q, inverses[q]);
        }
    }
}

void attend_head(const DenseAttention& a, int batch, int head, uint8_t* scratch) {
    if (a.in_is_float32) attend_head_of<float>(a, batch, head, scratch);
    else attend_head_of<uint16_t>(a, batch, head, scratch);
}

}  // namespace

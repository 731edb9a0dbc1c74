// Rounding weights to int4 and int8: the search of quantized_rounding.py, compiled.
#pragma once
#include <math.h>

#include "codes.h"
#include "vectors.h"

namespace {

// INT4_EXTREME_CODES of quantized_rounding.py.
constexpr int NEGATIVE_FIRST = -155, POSITIVE_FIRST = 84, CODE_STEP = 7;
constexpr int NEGATIVE_COUNT = 8, POSITIVE_COUNT = 7;

uint16_t nearest_bfloat16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return (uint16_t)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

// The index of the nearest code for every lane.
INLINE LanesInt nearest_codes(Lanes scaled) {
    LanesInt index = {};
    for (int i = 0; i < 15; ++i) {
        float middle = (INT4_CODES[i] + INT4_CODES[i + 1]) * 0.5f;
        index -= scaled > broadcast(middle);
    }
    return index;
}


// The nearest code itself, without a lookup: the sum of the steps that lie below.
INLINE Lanes nearest_values(Lanes scaled) {
    Lanes value = broadcast((float)INT4_CODES[0]);
    for (int i = 0; i < 15; ++i) {
        float middle = (INT4_CODES[i] + INT4_CODES[i + 1]) * 0.5f;
        float step = (float)(INT4_CODES[i + 1] - INT4_CODES[i]);
        value += scaled > broadcast(middle) ? broadcast(step) : Lanes{};
    }
    return value;
}

struct Group {
    uint16_t scale;
    int32_t codes[GROUP_COLUMNS];  // indices for int4, values for int8
    float error;                   // squared, of the whole group
};

float extreme_of(const float* x) {
    float extreme = 0.0f;
    for (int i = 0; i < GROUP_COLUMNS; ++i)
        if (__builtin_fabsf(x[i]) > __builtin_fabsf(extreme)) extreme = x[i];
    return extreme;
}

INLINE float error_with(Lanes low, Lanes high, float scale) {
    float inverse = scale == 0.0f ? 0.0f : 1.0f / scale;
    Lanes a = low - nearest_values(low * inverse) * scale;
    Lanes b = high - nearest_values(high * inverse) * scale;
    return sum(a * a + b * b);
}

void round_int4(const float* x, Group* group) {
    Lanes low = load(x), high = load(x + 16);
    float extreme = extreme_of(x), best = INFINITY;
    group->scale = 0;
    for (int i = 0; extreme != 0.0f && i < NEGATIVE_COUNT + POSITIVE_COUNT; ++i) {
        int code = i < NEGATIVE_COUNT ? NEGATIVE_FIRST + i * CODE_STEP
                                      : POSITIVE_FIRST + (i - NEGATIVE_COUNT) * CODE_STEP;
        uint16_t scale = nearest_bfloat16(extreme / (float)code);
        float error = error_with(low, high, to_float(scale));
        if (error < best) best = error, group->scale = scale;
    }
    float scale = to_float(group->scale), inverse = scale == 0.0f ? 0.0f : 1.0f / scale;
    LanesInt a = nearest_codes(low * inverse), b = nearest_codes(high * inverse);
    memcpy(group->codes, &a, sizeof a);
    memcpy(group->codes + 16, &b, sizeof b);
    group->error = extreme != 0.0f ? best : 0.0f;
}

void round_int8(const float* x, Group* group) {
    group->scale = nearest_bfloat16(__builtin_fabsf(extreme_of(x)) / 127.0f);
    float scale = to_float(group->scale), inverse = scale == 0.0f ? 0.0f : 1.0f / scale;
    group->error = 0.0f;
    for (int half = 0; half < 2; ++half) {
        LanesInt codes = round_product(load(x + 16 * half), inverse);
        codes = codes > 127 ? 127 - LanesInt{} : codes < -127 ? -127 - LanesInt{} : codes;
        memcpy(group->codes + 16 * half, &codes, sizeof codes);
        Lanes rest = load(x + 16 * half) - __builtin_convertvector(codes, Lanes) * scale;
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
    for (int column = 0; column < (kind == INT4 ? 16 : 32); ++column) {
        uint8_t* byte = lines + column / 4 * 64 + row * 4 + column % 4;
        *byte = kind == INT4 ? group.codes[column] | group.codes[column + 16] << 4
                             : (uint8_t)group.codes[column];
    }
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

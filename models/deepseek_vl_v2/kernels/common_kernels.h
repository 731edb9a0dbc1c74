// The inner loops that need no special instructions, compiled once for each instruction set.
#pragma once
#include <math.h>

#include "dense_attention_float.h"
#include "rounding.h"
#include "vectors.h"

namespace {

template <typename T>
INLINE float dot(const T* row, const float* x, int columns) {
    Lanes a = {}, b = {}, c = {}, d = {};
    int i = 0;
    for (; i + 64 <= columns; i += 64) {
        a += load(row + i) * load(x + i);
        b += load(row + i + 16) * load(x + i + 16);
        c += load(row + i + 32) * load(x + i + 32);
        d += load(row + i + 48) * load(x + i + 48);
    }
    for (; i + 16 <= columns; i += 16) a += load(row + i) * load(x + i);
    float total = sum((a + b) + (c + d));
    for (; i < columns; ++i) total += to_float(row[i]) * x[i];
    return total;
}

INLINE Register load_register(const float* p) {
    Register r;
    memcpy(&r, p, sizeof r);
    return r;
}

INLINE Register load_register(const uint16_t* p) {
    return reread<float>(shifted_left<16>(load_wider<uint32_t, REGISTER_FLOATS>(p))).v;
}

// ROWS rows times VECTORS vectors, whose sums stay in registers. Sixteen sums over the columns in
// their order, folded, then the last columns: the same for every product, whatever is beside it.
template <typename T, int ROWS, int VECTORS>
INLINE void multiply_block(const T* rows, int columns, const float* const* x, float* out) {
    Register sums[ROWS][VECTORS][REGISTERS] = {};
    int whole = columns / 16 * 16;
    for (int i = 0; i < whole; i += 16)
#pragma GCC unroll 4
        for (int part = 0; part < REGISTERS; ++part) {
            int place = i + part * REGISTER_FLOATS;
            Register w[ROWS];
#pragma GCC unroll 4
            for (int r = 0; r < ROWS; ++r) w[r] = load_register(rows + (int64_t)r * columns + place);
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; ++v) {
                Register vector = load_register(x[v] + place);
#pragma GCC unroll 4
                for (int r = 0; r < ROWS; ++r) sums[r][v][part] += w[r] * vector;
            }
        }
#pragma GCC unroll 4
    for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; ++v) {
            float lanes[16];
            memcpy(lanes, sums[r][v], sizeof lanes);
            float total = sum(load(lanes));
            const T* row = rows + (int64_t)r * columns;
            for (int i = whole; i < columns; ++i) total += to_float(row[i]) * x[v][i];
            out[v * TILE_ROWS + r] = total;
        }
}

// As many rows and vectors at once as the registers hold.
constexpr int BLOCK_SIDE = REGISTERS == 1 ? 4 : 2;

template <typename T, int VECTORS>
INLINE void multiply_rows(const T* rows, int count, int columns, const float* const* x, float* out) {
    constexpr int ROWS = VECTORS == 1 ? 4 : BLOCK_SIDE;
    int r = 0;
    for (; r + ROWS <= count; r += ROWS)
        multiply_block<T, ROWS, VECTORS>(rows + (int64_t)r * columns, columns, x, out + r);
    for (; r < count; ++r)
        multiply_block<T, 1, VECTORS>(rows + (int64_t)r * columns, columns, x, out + r);
}

template <typename T>
INLINE void multiply_tile(const T* data, int rows, int columns, const Panel& panel, float* out) {
    int t = 0;
    for (; t + BLOCK_SIDE <= panel.count; t += BLOCK_SIDE)
        multiply_rows<T, BLOCK_SIDE>(data, rows, columns, panel.rows + t, out + t * TILE_ROWS);
    for (; t < panel.count; ++t)
        multiply_rows<T, 1>(data, rows, columns, panel.rows + t, out + t * TILE_ROWS);
}

void plain_tile(int kind, const uint8_t* data, int rows, int columns, const Panel& panel,
                float* out) {
    if (kind == BFLOAT16) multiply_tile((const uint16_t*)data, rows, columns, panel, out);
    else multiply_tile((const float*)data, rows, columns, panel, out);
}

template <typename T>
INLINE void add_row(const T* row, int columns, float weight, float* out) {
    int i = 0;
    for (; i + 16 <= columns; i += 16) store(out + i, load(out + i) + load(row + i) * weight);
    for (; i < columns; ++i) out[i] += weight * to_float(row[i]);
}

void add_plain_row(int kind, const uint8_t* row, int columns, float weight, float* out) {
    if (kind == BFLOAT16) add_row((const uint16_t*)row, columns, weight, out);
    else add_row((const float*)row, columns, weight, out);
}

void add_scaled(const float* x, float weight, int size, float* out) {
    add_row(x, size, weight, out);
}

// One group: values = round(x * 127 / max|x|).
INLINE void quantise_group(const float* x, int8_t* values, float* scale, int32_t* correction) {
    Lanes low = load(x), high = load(x + 16);
    float peak = highest(maximum(maximum(low, -low), maximum(high, -high)));
    float inverse = peak > 0.0f ? 127.0f / peak : 0.0f;
    LanesInt a = round_product(low, inverse), b = round_product(high, inverse);
    store_narrower(values, a);
    store_narrower(values + 16, b);
    *scale = peak / 127.0f;
    *correction = -128 * sum(a + b);
}

void quantise(const Panel& panel, int columns) {
    int groups = (columns + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS * 2;
    for (int t = 0; t < panel.slots; ++t) {
        for (int g = 0; g < groups; ++g) {
            int64_t cell = (int64_t)g * panel.slots + t;
            int first = g * GROUP_COLUMNS;
            int present = t < panel.count ? columns - first : 0;
            float padded[GROUP_COLUMNS] = {};
            const float* x = padded;
            if (present >= GROUP_COLUMNS) x = panel.rows[t] + first;
            else if (present > 0) memcpy(padded, panel.rows[t] + first, present * sizeof(float));
            quantise_group(x, panel.values + cell * GROUP_COLUMNS, panel.scales + cell,
                           panel.corrections + cell);
        }
    }
}

void rms_norm(const float* x, const float* weight, float eps, int size, float* out) {
    float scale = 1.0f / sqrtf(dot(x, x, size) / (float)size + eps);
    int i = 0;
    for (; i + 16 <= size; i += 16) store(out + i, load(weight + i) * (load(x + i) * scale));
    for (; i < size; ++i) out[i] = weight[i] * (x[i] * scale);
}

INLINE void gate_lanes(float* gate, const float* up) {
    Lanes x = load(gate);
    store(gate, x / (exponential(-x) + 1.0f) * load(up));
}

void silu_multiply(float* gate, const float* up, int size) {
    int i = 0;
    for (; i + 16 <= size; i += 16) gate_lanes(gate + i, up + i);
    if (i == size) return;
    float g[16] = {}, u[16] = {};
    memcpy(g, gate + i, (size - i) * sizeof(float));
    memcpy(u, up + i, (size - i) * sizeof(float));
    gate_lanes(g, u);
    memcpy(gate + i, g, (size - i) * sizeof(float));
}

template <typename T, int HEADS>
INLINE void score(const AttentionPart& part) {
    const T* keys = (const T*)part.keys;
    int64_t stride = (part.end - part.begin + 15) / 16 * 16;
    for (int64_t s = part.begin; s < part.end; ++s) {
        const T* key = keys + s * part.key_stride;
        Lanes total[HEADS] = {};
        for (int i = 0; i < part.key_width; i += 16) {
            Lanes k = load(key + i);
            for (int h = 0; h < HEADS; ++h)
                total[h] += k * load(part.queries + h * part.query_stride + i);
        }
        for (int h = 0; h < HEADS; ++h)
            part.scores[h * stride + s - part.begin] = sum(total[h]);
    }
}

INLINE void soften(float* scores, int64_t count, float* peak, float* total) {
    int64_t padded = (count + 15) / 16 * 16;
    for (int64_t i = count; i < padded; ++i) scores[i] = -INFINITY;
    Lanes tops = load(scores);
    for (int64_t i = 16; i < padded; i += 16) tops = maximum(tops, load(scores + i));
    float top = highest(tops);
    Lanes all = {};
    for (int64_t i = 0; i < padded; i += 16) {
        Lanes e = exponential(load(scores + i) - top);
        store(scores + i, e);
        if (i + 16 > count)
            for (int64_t j = count; j < padded; ++j) scores[j] = 0.0f;
        all += load(scores + i);
    }
    *peak = top;
    *total = sum(all);
}

// `WIDE` times 16 channels of the mix, whose HEADS * WIDE sums stay in registers.
template <typename T, int HEADS, int WIDE>
INLINE void mix_channels(const AttentionPart& part, int first) {
    const T* values = (const T*)part.values + first;
    int64_t stride = (part.end - part.begin + 15) / 16 * 16;
    Lanes total[HEADS][WIDE] = {};
    for (int64_t s = part.begin; s < part.end; ++s) {
        const T* value = values + s * part.value_stride;
        Lanes v[WIDE];
        for (int i = 0; i < WIDE; ++i) v[i] = load(value + 16 * i);
        for (int h = 0; h < HEADS; ++h) {
            float p = part.scores[h * stride + s - part.begin];
            for (int i = 0; i < WIDE; ++i) total[h][i] += v[i] * p;
        }
    }
    for (int h = 0; h < HEADS; ++h)
        for (int i = 0; i < WIDE; ++i)
            store(part.mixed + h * part.value_width + first + 16 * i, total[h][i]);
}

template <typename T, int HEADS>
INLINE void mix(const AttentionPart& part) {
#if defined(__AVX512F__)
    constexpr int WIDE = HEADS == 1 ? 8 : 4;
#else
    constexpr int WIDE = HEADS == 4 ? 1 : 2;
#endif
    int i = 0;
    for (; i + 16 * WIDE <= part.value_width; i += 16 * WIDE) mix_channels<T, HEADS, WIDE>(part, i);
    for (; i < part.value_width; i += 16) mix_channels<T, HEADS, 1>(part, i);
}

template <typename T, int HEADS>
INLINE void attend_heads(const AttentionPart& part) {
    score<T, HEADS>(part);
    int64_t stride = (part.end - part.begin + 15) / 16 * 16;
    for (int h = 0; h < HEADS; ++h)
        soften(part.scores + h * stride, part.end - part.begin, part.peak + h, part.sum + h);
    mix<T, HEADS>(part);
}

template <typename T>
INLINE void attend_typed(const AttentionPart& part) {
    if (part.heads == 4) attend_heads<T, 4>(part);
    else if (part.heads == 2) attend_heads<T, 2>(part);
    else attend_heads<T, 1>(part);
}

void attend(const AttentionPart& part) {
    if (part.cache_is_bfloat16) attend_typed<uint16_t>(part);
    else attend_typed<float>(part);
}

INLINE void store_nearest(uint16_t* out, Lanes x) {
    LanesBits bits = reread<uint32_t>(x);
    store_narrower(out, shifted_right<16>(bits + 0x7FFF + (shifted_right<16>(bits) & 1)));
}

void store_half(const float* x, const float* bias, int size, uint16_t* out) {
    int i = 0;
    for (; i + 16 <= size; i += 16)
        store_nearest(out + i, bias ? load(x + i) + load(bias + i) : load(x + i));
    for (; i < size; ++i) out[i] = nearest_bfloat16(bias ? x[i] + bias[i] : x[i]);
}

// 0.5 x (1 + tanh(y)) is x / (1 + e^-2y); 2y = sqrt(8 / pi) (x + 0.044715 x^3).
INLINE void gelu_lanes(uint16_t* x) {
    Lanes v = load(x);
    Lanes twice = v * (v * v * 0.0713548162726f + 1.59576912160573f);
    store_nearest(x, v / (exponential(-twice) + 1.0f));
}

void gelu(uint16_t* x, int64_t size) {
    int64_t i = 0;
    for (; i + 16 <= size; i += 16) gelu_lanes(x + i);
    if (i == size) return;
    uint16_t some[16] = {};
    memcpy(some, x + i, (size - i) * sizeof(uint16_t));
    gelu_lanes(some);
    memcpy(x + i, some, (size - i) * sizeof(uint16_t));
}

int64_t multiply_floats(int64_t rounds) {
    constexpr int SUMS = 12;
    typedef Vec<float, REGISTER_FLOATS> One;
    One sums[SUMS] = {}, x = {Register{} + 1.0f}, w = {Register{} + 1e-9f};
    for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
        for (int j = 0; j < SUMS; ++j) {
            round_here(x);  // a new number to the compiler, which would else multiply once
            sums[j].v += x.v * w.v;
        }
    }
#pragma GCC unroll 12
    for (int j = 0; j < SUMS; ++j) round_here(sums[j]);
    return rounds * SUMS * REGISTER_FLOATS;
}

uint64_t read(const uint8_t* data, int64_t bytes) {
    LanesBits a = {}, b = {};
    for (int64_t i = 0; i + 128 <= bytes; i += 128) {
        a += loaded<uint32_t, 16>(data + i);
        b += loaded<uint32_t, 16>(data + i + 64);
    }
    return sum(a + b);
}

}  // namespace

#define COMMON_KERNELS \
    plain_tile, add_plain_row, quantise, attend, rms_norm, silu_multiply, add_scaled, \
        store_half, gelu, attention_bytes, attend_head, multiply_floats, read, pack_tile

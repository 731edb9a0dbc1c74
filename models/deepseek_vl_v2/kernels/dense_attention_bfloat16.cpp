// One head at a time: keys and values are laid out in pairs once, as the bfloat16 products take
// them; then six queries at a time meet all keys, and their softmax all values.
#include "dense_attention.h"

#if defined(__AVX512BF16__) && defined(__AVX512VL__) && defined(__AVX512BW__)
#include <immintrin.h>
#include <string.h>

namespace {

constexpr int QUERIES = 6;  // with 4 lines of keys or values: 24 sums, which fit the registers
constexpr int LINES = 4;
constexpr int LANES = 16;
constexpr int BLOCK = LINES * LANES;

struct Scratch {
    uint32_t* keys;    // [tiles of 16 keys][pairs of channels][16]
    uint32_t* values;  // [pairs of keys][lines of 16 channels][16]
    float* scores;     // [QUERIES][room]
    uint16_t* shares;  // [QUERIES][room], the softmax's numerators
    int64_t room;      // keys, rounded up to whole blocks
    int pairs;         // of channels of a key
    int lines;         // of channels of a value
};

int64_t rounded(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

Scratch lay_out(const DenseAttention& a, uint8_t* memory) {
    Scratch s;
    s.room = rounded(a.key_count, BLOCK);
    s.pairs = a.key_width / 2;
    s.lines = rounded(a.value_width, LANES) / LANES;
    s.keys = (uint32_t*)memory;
    s.values = s.keys + s.room * s.pairs;
    s.scores = (float*)(s.values + s.room / 2 * s.lines * LANES);
    s.shares = (uint16_t*)(s.scores + QUERIES * s.room);
    return s;
}

void pack_keys(const uint16_t* keys, int64_t stride, int64_t count, const Scratch& s) {
    for (int64_t k = 0; k < s.room; ++k) {
        uint32_t* out = s.keys + k / LANES * s.pairs * LANES + k % LANES;
        const uint16_t* row = keys + k * stride;
        for (int p = 0; p < s.pairs; ++p) {
            uint32_t pair = 0;
            if (k < count) memcpy(&pair, row + 2 * p, sizeof pair);
            out[(int64_t)p * LANES] = pair;
        }
    }
}

void pack_values(const uint16_t* values, int64_t stride, int64_t count, int width,
                 const Scratch& s) {
    for (int64_t k = 0; k < s.room; k += 2) {
        for (int line = 0; line < s.lines; ++line) {
            int left = width - line * LANES;
            __mmask16 mask = left >= LANES ? 0xFFFF : (1u << left) - 1;
            const uint16_t* cell = values + k * stride + line * LANES;
            __m256i even = _mm256_maskz_loadu_epi16(k < count ? mask : 0, cell);
            __m256i odd = _mm256_maskz_loadu_epi16(k + 1 < count ? mask : 0, cell + stride);
            __m512i pair = _mm512_or_si512(_mm512_cvtepu16_epi32(even),
                                           _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16));
            _mm512_store_si512(s.values + (k / 2 * s.lines + line) * LANES, pair);
        }
    }
}

inline __m512bh line_of(const uint32_t* pairs) { return (__m512bh)_mm512_load_si512(pairs); }

inline __m512bh pair_everywhere(const uint16_t* pair) {
    int32_t both;
    memcpy(&both, pair, sizeof both);
    return (__m512bh)_mm512_set1_epi32(both);
}

// Scores of the queries against one block of keys.
void score_block(const uint16_t* const* queries, const uint32_t* keys, int pairs, float* scores,
                 int64_t room) {
    __m512 sums[QUERIES][LINES];
    for (int q = 0; q < QUERIES; ++q)
        for (int t = 0; t < LINES; ++t) sums[q][t] = _mm512_setzero_ps();
    for (int p = 0; p < pairs; ++p) {
        __m512bh line[LINES];
#pragma GCC unroll 4
        for (int t = 0; t < LINES; ++t)
            line[t] = line_of(keys + ((int64_t)t * pairs + p) * LANES);
#pragma GCC unroll 6
        for (int q = 0; q < QUERIES; ++q) {
            __m512bh pair = pair_everywhere(queries[q] + 2 * p);
#pragma GCC unroll 4
            for (int t = 0; t < LINES; ++t)
                sums[q][t] = _mm512_dpbf16_ps(sums[q][t], line[t], pair);
        }
    }
    for (int q = 0; q < QUERIES; ++q)
        for (int t = 0; t < LINES; ++t) _mm512_store_ps(scores + q * room + t * LANES, sums[q][t]);
}

// 2^x for x <= 0, to 4 parts in 100 000: the result is rounded to 8 bits.
inline __m512 power_of_two(__m512 x) {
    __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 rest = _mm512_sub_ps(x, whole);
    __m512 p = _mm512_set1_ps(9.6181291e-3f);
    p = _mm512_fmadd_ps(p, rest, _mm512_set1_ps(5.5504109e-2f));
    p = _mm512_fmadd_ps(p, rest, _mm512_set1_ps(2.4022651e-1f));
    p = _mm512_fmadd_ps(p, rest, _mm512_set1_ps(6.9314718e-1f));
    p = _mm512_fmadd_ps(p, rest, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, whole);
}

// Numerators of the softmax over the first `count` scores, zeros up to `end`; their sum.
float soften(const float* scores, int64_t count, int64_t end, float scale, uint16_t* shares) {
    __m512 top = _mm512_set1_ps(-__builtin_inff());
    for (int64_t k = 0; k < count; k += LANES) {
        __mmask16 mask = count - k >= LANES ? 0xFFFF : (1u << (count - k)) - 1;
        top = _mm512_mask_max_ps(top, mask, top, _mm512_load_ps(scores + k));
    }
    __m512 factor = _mm512_set1_ps(scale * 1.44269504f);
    top = _mm512_set1_ps(_mm512_reduce_max_ps(top));
    __m512 total = _mm512_setzero_ps();
    for (int64_t k = 0; k < end; k += LANES) {
        int64_t left = count - k;
        __mmask16 mask = left >= LANES ? 0xFFFF : left > 0 ? (1u << left) - 1 : 0;
        __m512 below = _mm512_mul_ps(_mm512_sub_ps(_mm512_load_ps(scores + k), top), factor);
        __m512 share = _mm512_maskz_mov_ps(mask, power_of_two(below));
        total = _mm512_add_ps(total, share);
        _mm256_store_si256((__m256i*)(shares + k), (__m256i)_mm512_cvtneps_pbh(share));
    }
    return _mm512_reduce_add_ps(total);
}

// WIDE lines of channels of the mix of values, not yet divided by the sums.
template <int WIDE>
void mix_lines(const Scratch& s, int first, int64_t pairs, __m512 (*out)[LINES]) {
    __m512 sums[QUERIES][WIDE];
    for (int q = 0; q < QUERIES; ++q)
        for (int i = 0; i < WIDE; ++i) sums[q][i] = _mm512_setzero_ps();
    for (int64_t p = 0; p < pairs; ++p) {
        __m512bh line[WIDE];
#pragma GCC unroll 4
        for (int i = 0; i < WIDE; ++i)
            line[i] = line_of(s.values + (p * s.lines + first + i) * LANES);
#pragma GCC unroll 6
        for (int q = 0; q < QUERIES; ++q) {
            __m512bh pair = pair_everywhere(s.shares + q * s.room + 2 * p);
#pragma GCC unroll 4
            for (int i = 0; i < WIDE; ++i)
                sums[q][i] = _mm512_dpbf16_ps(sums[q][i], line[i], pair);
        }
    }
    for (int q = 0; q < QUERIES; ++q)
        for (int i = 0; i < WIDE; ++i) out[q][i] = sums[q][i];
}

void mix_some(const Scratch& s, int first, int wide, int64_t pairs, __m512 (*out)[LINES]) {
    if (wide == 4) mix_lines<4>(s, first, pairs, out);
    else if (wide == 3) mix_lines<3>(s, first, pairs, out);
    else if (wide == 2) mix_lines<2>(s, first, pairs, out);
    else mix_lines<1>(s, first, pairs, out);
}

void store_line(const DenseAttention& a, int64_t cell, int left, __m512 line) {
    __mmask16 mask = left >= LANES ? 0xFFFF : (1u << left) - 1;
    if (a.out_is_float32) _mm512_mask_storeu_ps((float*)a.out + cell, mask, line);
    else _mm256_mask_storeu_epi16((uint16_t*)a.out + cell, mask, (__m256i)_mm512_cvtneps_pbh(line));
}

}  // namespace

bool bfloat16_attention_runs() {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl");
}

size_t bfloat16_attention_bytes(const DenseAttention& a) {
    Scratch s = lay_out(a, nullptr);
    return rounded((int64_t)(size_t)(s.shares + QUERIES * s.room), 64);
}

void attend_head_in_bfloat16(const DenseAttention& a, int batch, int head, uint8_t* memory) {
    Scratch s = lay_out(a, memory);
    auto cell = [&](const int64_t* strides) { return batch * strides[0] + head * strides[1]; };
    const uint16_t* queries = (const uint16_t*)a.queries + cell(a.query_strides);
    pack_keys((const uint16_t*)a.keys + cell(a.key_strides), a.key_strides[2], a.key_count, s);
    pack_values((const uint16_t*)a.values + cell(a.value_strides), a.value_strides[2], a.key_count,
                a.value_width, s);
    for (int64_t first = 0; first < a.query_count; first += QUERIES) {
        const uint16_t* rows[QUERIES];
        for (int q = 0; q < QUERIES; ++q) {
            // Queries past the last are the last one again, and are not stored.
            int64_t row = first + q < a.query_count ? first + q : a.query_count - 1;
            rows[q] = queries + row * a.query_strides[2];
        }
        int64_t earlier = a.key_count - a.query_count;
        int64_t seen = a.causal ? earlier + first + QUERIES : a.key_count;
        if (seen > a.key_count) seen = a.key_count;
        for (int64_t k = 0; k < seen; k += BLOCK)
            score_block(rows, s.keys + k * s.pairs, s.pairs, s.scores + k, s.room);
        float inverse[QUERIES];
        for (int q = 0; q < QUERIES; ++q) {
            int64_t count = a.causal ? earlier + first + q + 1 : a.key_count;
            if (count > seen) count = seen;
            inverse[q] = 1.0f / soften(s.scores + q * s.room, count, rounded(seen, LANES), a.scale,
                                       s.shares + q * s.room);
        }
        for (int line = 0; line < s.lines; line += LINES) {
            int wide = s.lines - line < LINES ? s.lines - line : LINES;
            __m512 mixed[QUERIES][LINES];
            mix_some(s, line, wide, (seen + 1) / 2, mixed);
            for (int q = 0; q < QUERIES && first + q < a.query_count; ++q) {
                int64_t out = cell(a.out_strides) + (first + q) * a.out_strides[2];
                for (int i = 0; i < wide; ++i) {
                    int channel = (line + i) * LANES;
                    store_line(a, out + channel, a.value_width - channel,
                               _mm512_mul_ps(mixed[q][i], _mm512_set1_ps(inverse[q])));
                }
            }
        }
    }
}
#else
bool bfloat16_attention_runs() { return false; }
size_t bfloat16_attention_bytes(const DenseAttention&) { return 0; }
void attend_head_in_bfloat16(const DenseAttention&, int, int, uint8_t*) {}
#endif

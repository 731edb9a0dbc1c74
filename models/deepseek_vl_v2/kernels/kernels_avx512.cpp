// Packed tiles with AVX-512 VNNI: one instruction multiplies 64 pairs of bytes and adds them up
// in 16 sums, one for each row of the tile.
#if defined(__AVX512VNNI__)
#include <immintrin.h>

#include "codes.h"
#include "common_kernels.h"

namespace {

int panel_slots(int count) { return count <= 8 ? count : count <= 12 ? 12 : 16; }

// The unsigned weights (code + 128) of one group: line j has columns 4 j to 4 j + 3 of 16 rows.
template <int KIND>
INLINE void unpack_group(const uint8_t* lines, __m512i* weights) {
    if (KIND == INT4) {
        const __m512i codes = _mm512_xor_si512(
            _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i*)INT4_CODES)),
            _mm512_set1_epi8((char)0x80));
        const __m512i nibble = _mm512_set1_epi8(15);
        for (int j = 0; j < 4; ++j) {
            __m512i pair = _mm512_loadu_si512(lines + 64 * j);
            weights[j] = _mm512_shuffle_epi8(codes, _mm512_and_si512(pair, nibble));
            weights[j + 4] = _mm512_shuffle_epi8(
                codes, _mm512_and_si512(_mm512_srli_epi16(pair, 4), nibble));
        }
    } else {
        for (int j = 0; j < 8; ++j)
            weights[j] = _mm512_xor_si512(_mm512_loadu_si512(lines + 64 * j),
                                          _mm512_set1_epi8((char)0x80));
    }
}

template <int KIND, int SLOTS>
void tile_times_panel(const uint8_t* tile, int blocks, const Panel& panel, float* out) {
    constexpr int group_bytes = (KIND == INT4 ? 16 : 32) * TILE_ROWS;
    const int8_t* values = panel.values;
    const float* scales = panel.scales;
    const int32_t* corrections = panel.corrections;
    __m512 sums[SLOTS];
#pragma GCC unroll 16
    for (int t = 0; t < SLOTS; ++t) sums[t] = _mm512_setzero_ps();
    for (int b = 0; b < blocks; ++b, tile += SCALE_BYTES + 2 * group_bytes) {
        // The next page is asked for early: hardware prefetching stops at its edge.
        if (SLOTS == 1)
            for (int line = 0; line < SCALE_BYTES + 2 * group_bytes; line += 64)
                _mm_prefetch((const char*)tile + 4096 + line, _MM_HINT_T0);
#pragma GCC unroll 2
        for (int g = 0; g < 2; ++g) {
            __m512i weights[8];
            unpack_group<KIND>(tile + SCALE_BYTES + g * group_bytes, weights);
            __m256i halves = _mm256_loadu_si256((const __m256i*)(tile + 32 * g));
            __m512 row_scales =
                _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
#pragma GCC unroll 16
            for (int t = 0; t < SLOTS; ++t) {
                __m512i total = _mm512_set1_epi32(corrections[t]);
#pragma GCC unroll 8
                for (int j = 0; j < 8; ++j) {
                    int32_t four;
                    memcpy(&four, values + t * GROUP_COLUMNS + 4 * j, 4);
                    total = _mm512_dpbusd_epi32(total, weights[j], _mm512_set1_epi32(four));
                }
                sums[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(total),
                                          _mm512_mul_ps(row_scales, _mm512_set1_ps(scales[t])),
                                          sums[t]);
            }
            values += SLOTS * GROUP_COLUMNS;
            scales += SLOTS;
            corrections += SLOTS;
        }
    }
#pragma GCC unroll 16
    for (int t = 0; t < SLOTS; ++t) _mm512_storeu_ps(out + t * TILE_ROWS, sums[t]);
}

template <int KIND>
void tile_of_kind(const uint8_t* tile, int blocks, const Panel& panel, float* out) {
    switch (panel.slots) {
        case 1: return tile_times_panel<KIND, 1>(tile, blocks, panel, out);
        case 2: return tile_times_panel<KIND, 2>(tile, blocks, panel, out);
        case 3: return tile_times_panel<KIND, 3>(tile, blocks, panel, out);
        case 4: return tile_times_panel<KIND, 4>(tile, blocks, panel, out);
        case 5: return tile_times_panel<KIND, 5>(tile, blocks, panel, out);
        case 6: return tile_times_panel<KIND, 6>(tile, blocks, panel, out);
        case 7: return tile_times_panel<KIND, 7>(tile, blocks, panel, out);
        case 8: return tile_times_panel<KIND, 8>(tile, blocks, panel, out);
        case 12: return tile_times_panel<KIND, 12>(tile, blocks, panel, out);
        default: return tile_times_panel<KIND, 16>(tile, blocks, panel, out);
    }
}

void packed_tile(int kind, const uint8_t* tile, int blocks, const Panel& panel, float* out) {
    if (kind == INT4) tile_of_kind<INT4>(tile, blocks, panel, out);
    else tile_of_kind<INT8>(tile, blocks, panel, out);
}

int64_t multiply_integers(int64_t rounds) {
    __m512i sums[16], x = _mm512_set1_epi8(3), w = _mm512_set1_epi8(5);
#pragma GCC unroll 16
    for (int j = 0; j < 16; ++j) sums[j] = _mm512_setzero_si512();
    for (int64_t i = 0; i < rounds; ++i) {
        asm volatile("" : "+v"(x), "+v"(w));
#pragma GCC unroll 16
        for (int j = 0; j < 16; ++j) sums[j] = _mm512_dpbusd_epi32(sums[j], w, x);
    }
#pragma GCC unroll 16
    for (int j = 0; j < 16; ++j) asm volatile("" ::"v"(sums[j]));
    return rounds * 16 * 64;
}

bool runs() {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

const Kernels table = {"avx512-vnni", runs, true, panel_slots, packed_tile, multiply_integers, COMMON_KERNELS};

}  // namespace

const Kernels* avx512_kernels() { return &table; }
#else
#include "packed.h"
const Kernels* avx512_kernels() { return nullptr; }
#endif

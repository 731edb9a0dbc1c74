// Packed tiles with AVX-VNNI: the dot products of AVX-512 VNNI on 256 bits, which Intel's laptops
// have had since 2021 without AVX-512.
#if defined(__AVXVNNI__) || defined(DVL2_EMULATE_AVX_VNNI)
#include <immintrin.h>

#include "codes.h"
#include "common_kernels.h"

namespace {

int panel_slots(int count) { return count; }

// sums + four products each of unsigned weights and signed activations.
INLINE __m256i add_dots(__m256i sums, __m256i weights, __m256i x) {
#if defined(DVL2_EMULATE_AVX_VNNI)  // tests/kernels: the rest of this file on a processor without it
    int32_t total[8];
    uint8_t w[32];
    int8_t v[32];
    memcpy(total, &sums, 32), memcpy(w, &weights, 32), memcpy(v, &x, 32);
    for (int i = 0; i < 32; ++i) total[i / 4] += w[i] * v[i];
    memcpy(&sums, total, 32);
    return sums;
#else
    return _mm256_dpbusd_avx_epi32(sums, weights, x);
#endif
}

// Unsigned weights (code + 128) of 8 rows of one group: register j has columns 4 j to 4 j + 3.
template <int KIND>
INLINE void unpack_half(const uint8_t* lines, __m256i* weights) {
    const __m256i top = _mm256_set1_epi8((char)0x80);
    if (KIND == INT8) {
        for (int j = 0; j < 8; ++j)
            weights[j] = _mm256_xor_si256(_mm256_loadu_si256((const __m256i*)(lines + 64 * j)), top);
        return;
    }
    const __m256i codes = _mm256_xor_si256(
        _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i*)INT4_CODES)), top);
    const __m256i nibble = _mm256_set1_epi8(15);
    for (int j = 0; j < 4; ++j) {
        __m256i pair = _mm256_loadu_si256((const __m256i*)(lines + 64 * j));
        weights[j] = _mm256_shuffle_epi8(codes, _mm256_and_si256(pair, nibble));
        weights[j + 4] = _mm256_shuffle_epi8(
            codes, _mm256_and_si256(_mm256_srli_epi16(pair, 4), nibble));
    }
}

template <int KIND>
void tile_of_kind(const uint8_t* tile, int blocks, const Panel& panel, float* out) {
    constexpr int group_bytes = (KIND == INT4 ? 16 : 32) * TILE_ROWS;
    constexpr int block_bytes = SCALE_BYTES + 2 * group_bytes;
    memset(out, 0, sizeof(float) * TILE_ROWS * panel.slots);
    for (int g = 0; g < 2 * blocks; ++g) {
        const uint8_t* block = tile + (int64_t)(g / 2) * block_bytes;
        const uint8_t* lines = block + SCALE_BYTES + g % 2 * group_bytes;
        int64_t cell = (int64_t)g * panel.slots;
        for (int half = 0; half < 2; ++half) {
            __m256i weights[8];
            unpack_half<KIND>(lines + 32 * half, weights);
            __m128i bits = _mm_loadu_si128((const __m128i*)(block + 32 * (g % 2) + 16 * half));
            __m256 row_scales =
                _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
            for (int t = 0; t < panel.slots; ++t) {
                const int8_t* values = panel.values + (cell + t) * GROUP_COLUMNS;
                // Two sums: one would wait for itself.
                __m256i total[2] = {_mm256_set1_epi32(panel.corrections[cell + t]),
                                    _mm256_setzero_si256()};
#pragma GCC unroll 8
                for (int j = 0; j < 8; ++j) {
                    int32_t four;
                    memcpy(&four, values + 4 * j, 4);
                    total[j % 2] = add_dots(total[j % 2], weights[j], _mm256_set1_epi32(four));
                }
                __m256 scale = _mm256_mul_ps(row_scales, _mm256_set1_ps(panel.scales[cell + t]));
                float* sum = out + t * TILE_ROWS + 8 * half;
                __m256 dots = _mm256_cvtepi32_ps(_mm256_add_epi32(total[0], total[1]));
                _mm256_storeu_ps(sum, _mm256_fmadd_ps(dots, scale, _mm256_loadu_ps(sum)));
            }
        }
    }
}

void packed_tile(int kind, const uint8_t* tile, int blocks, const Panel& panel, float* out) {
    if (kind == INT4) tile_of_kind<INT4>(tile, blocks, panel, out);
    else tile_of_kind<INT8>(tile, blocks, panel, out);
}

int64_t multiply_integers(int64_t rounds) {
    __m256i sums[10], x = _mm256_set1_epi8(3), w = _mm256_set1_epi8(5);
#pragma GCC unroll 10
    for (int j = 0; j < 10; ++j) sums[j] = _mm256_setzero_si256();
    for (int64_t i = 0; i < rounds; ++i) {
        asm volatile("" : "+x"(x), "+x"(w));
#pragma GCC unroll 10
        for (int j = 0; j < 10; ++j) sums[j] = add_dots(sums[j], w, x);
    }
#pragma GCC unroll 10
    for (int j = 0; j < 10; ++j) asm volatile("" ::"x"(sums[j]));
    return rounds * 10 * 32;
}

bool runs() {
#if defined(DVL2_EMULATE_AVX_VNNI)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    unsigned a = 7, b = 0, c = 1, d = 0;  // leaf 7, subleaf 1: bit 4 of eax
    asm("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    __builtin_cpu_init();
    return (a >> 4 & 1) && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
}

const Kernels table = {"avx-vnni", runs, true, panel_slots, packed_tile, multiply_integers, COMMON_KERNELS};

}  // namespace

const Kernels* avx_vnni_kernels() { return &table; }
#else
#include "packed.h"
const Kernels* avx_vnni_kernels() { return nullptr; }
#endif

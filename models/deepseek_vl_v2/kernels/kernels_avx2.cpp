// Packed tiles with AVX2. Products of bytes are added up in 16 bits there, so weights and
// activations go in as magnitude and signed activation: 2 * 127 * 127 still fits.
#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>

#include "codes.h"
#include "common_kernels.h"

namespace {

int panel_slots(int count) { return count; }

// Half a line: 8 rows of 4 columns, as signed codes; `high` takes the high nibbles.
template <int KIND>
INLINE __m256i codes_of(const uint8_t* half, bool high) {
    __m256i bytes = _mm256_loadu_si256((const __m256i*)half);
    if (KIND == INT8) return bytes;
    const __m256i codes =
        _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i*)INT4_CODES));
    if (high) bytes = _mm256_srli_epi16(bytes, 4);
    return _mm256_shuffle_epi8(codes, _mm256_and_si256(bytes, _mm256_set1_epi8(15)));
}

// Eight rows of one group times SLOTS vectors.
template <int KIND, int SLOTS>
INLINE void half_group(const uint8_t* lines, const int8_t* values, __m256i* total) {
    const __m256i ones = _mm256_set1_epi16(1);
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) {
        const uint8_t* half = lines + 64 * (KIND == INT4 ? j % 4 : j);
        __m256i weight = codes_of<KIND>(half, j >= 4);
        __m256i magnitude = _mm256_abs_epi8(weight);
#pragma GCC unroll 4
        for (int t = 0; t < SLOTS; ++t) {
            int32_t four;
            memcpy(&four, values + t * GROUP_COLUMNS + 4 * j, 4);
            __m256i x = _mm256_sign_epi8(_mm256_set1_epi32(four), weight);
            __m256i pairs = _mm256_maddubs_epi16(magnitude, x);
            total[t] = _mm256_add_epi32(total[t], _mm256_madd_epi16(pairs, ones));
        }
    }
}

template <int KIND, int SLOTS>
void tile_times_slots(const uint8_t* tile, int blocks, const Panel& panel, int slot, float* out) {
    constexpr int group_bytes = (KIND == INT4 ? 16 : 32) * TILE_ROWS;
    __m256 sums[2][SLOTS];
    for (int half = 0; half < 2; ++half)
        for (int t = 0; t < SLOTS; ++t) sums[half][t] = _mm256_setzero_ps();
    for (int b = 0; b < blocks; ++b, tile += SCALE_BYTES + 2 * group_bytes) {
        if (SLOTS == 1)
            for (int line = 0; line < SCALE_BYTES + 2 * group_bytes; line += 64)
                _mm_prefetch((const char*)tile + 4096 + line, _MM_HINT_T0);
        for (int g = 0; g < 2; ++g) {
            int64_t cell = (int64_t)(2 * b + g) * panel.slots + slot;
            const uint8_t* lines = tile + SCALE_BYTES + g * group_bytes;
#pragma GCC unroll 2
            for (int half = 0; half < 2; ++half) {
                __m256i total[SLOTS];
                for (int t = 0; t < SLOTS; ++t) total[t] = _mm256_setzero_si256();
                half_group<KIND, SLOTS>(lines + 32 * half, panel.values + cell * GROUP_COLUMNS,
                                        total);
                __m128i scales = _mm_loadu_si128((const __m128i*)(tile + 32 * g + 16 * half));
                __m256 row_scales = _mm256_castsi256_ps(
                    _mm256_slli_epi32(_mm256_cvtepu16_epi32(scales), 16));
                for (int t = 0; t < SLOTS; ++t) {
                    __m256 scale =
                        _mm256_mul_ps(row_scales, _mm256_set1_ps(panel.scales[cell + t]));
                    sums[half][t] =
                        _mm256_fmadd_ps(_mm256_cvtepi32_ps(total[t]), scale, sums[half][t]);
                }
            }
        }
    }
    for (int t = 0; t < SLOTS; ++t)
        for (int half = 0; half < 2; ++half)
            _mm256_storeu_ps(out + (slot + t) * TILE_ROWS + 8 * half, sums[half][t]);
}

// Several vectors meet the same weights: those of a stretch of columns are unpacked once, as
// codes and magnitudes, and stay in the first cache while all vectors pass.
constexpr int STRETCH = 4;  // blocks

struct Unpacked {
    alignas(32) int8_t codes[STRETCH * 2 * 8 * 64];
    alignas(32) uint8_t magnitudes[STRETCH * 2 * 8 * 64];
    alignas(32) float scales[STRETCH * 2 * TILE_ROWS];
};

template <int KIND>
void unpack(const uint8_t* tile, int blocks, Unpacked* out) {
    constexpr int group_bytes = (KIND == INT4 ? 16 : 32) * TILE_ROWS;
    for (int g = 0; g < 2 * blocks; ++g) {
        const uint8_t* block = tile + g / 2 * (SCALE_BYTES + 2 * group_bytes);
        const uint8_t* lines = block + SCALE_BYTES + g % 2 * group_bytes;
        for (int half = 0; half < 2; ++half) {
            for (int j = 0; j < 8; ++j) {
                const uint8_t* source = lines + 64 * (KIND == INT4 ? j % 4 : j) + 32 * half;
                __m256i codes = codes_of<KIND>(source, j >= 4);
                int place = (g * 8 + j) * 64 + 32 * half;
                _mm256_store_si256((__m256i*)(out->codes + place), codes);
                _mm256_store_si256((__m256i*)(out->magnitudes + place), _mm256_abs_epi8(codes));
            }
        }
        store(out->scales + g * TILE_ROWS, load((const uint16_t*)block + g % 2 * TILE_ROWS));
    }
}

// Sixteen rows of `groups` groups times SLOTS vectors, added to sums [SLOTS][16].
template <int SLOTS>
void add_products(const Unpacked& weights, int groups, const Panel& panel, int first_group,
                  int slot, float* sums) {
    const __m256i ones = _mm256_set1_epi16(1);
    for (int g = 0; g < groups; ++g) {
        int64_t cell = (int64_t)(first_group + g) * panel.slots + slot;
        const int8_t* values = panel.values + cell * GROUP_COLUMNS;
        __m256i total[2][SLOTS];
        for (int t = 0; t < SLOTS; ++t) total[0][t] = total[1][t] = _mm256_setzero_si256();
#pragma GCC unroll 8
        for (int j = 0; j < 8; ++j) {
            int place = (g * 8 + j) * 64;
            __m256i codes[2], magnitudes[2];
            for (int half = 0; half < 2; ++half) {
                int here = place + 32 * half;
                codes[half] = _mm256_load_si256((const __m256i*)(weights.codes + here));
                magnitudes[half] = _mm256_load_si256((const __m256i*)(weights.magnitudes + here));
            }
#pragma GCC unroll 4
            for (int t = 0; t < SLOTS; ++t) {
                int32_t four;
                memcpy(&four, values + t * GROUP_COLUMNS + 4 * j, 4);
                __m256i x = _mm256_set1_epi32(four);
#pragma GCC unroll 2
                for (int half = 0; half < 2; ++half) {
                    __m256i pairs = _mm256_maddubs_epi16(magnitudes[half],
                                                         _mm256_sign_epi8(x, codes[half]));
                    total[half][t] =
                        _mm256_add_epi32(total[half][t], _mm256_madd_epi16(pairs, ones));
                }
            }
        }
        for (int half = 0; half < 2; ++half) {
            __m256 row_scales = _mm256_load_ps(weights.scales + g * TILE_ROWS + 8 * half);
            for (int t = 0; t < SLOTS; ++t) {
                float* sum = sums + t * TILE_ROWS + 8 * half;
                __m256 scale = _mm256_mul_ps(row_scales, _mm256_set1_ps(panel.scales[cell + t]));
                _mm256_storeu_ps(sum, _mm256_fmadd_ps(_mm256_cvtepi32_ps(total[half][t]), scale,
                                                      _mm256_loadu_ps(sum)));
            }
        }
    }
}

template <int KIND>
void tile_times_many(const uint8_t* tile, int blocks, const Panel& panel, float* out) {
    constexpr int64_t block_bytes = KIND == INT4 ? INT4_BLOCK_BYTES : INT8_BLOCK_BYTES;
    Unpacked weights;
    memset(out, 0, sizeof(float) * TILE_ROWS * panel.slots);
    for (int first = 0; first < blocks; first += STRETCH) {
        int count = blocks - first < STRETCH ? blocks - first : STRETCH;
        unpack<KIND>(tile + first * block_bytes, count, &weights);
        int slot = 0;
        for (; slot + 4 <= panel.slots; slot += 4)
            add_products<4>(weights, 2 * count, panel, 2 * first, slot, out + slot * TILE_ROWS);
        if (slot + 2 <= panel.slots) {
            add_products<2>(weights, 2 * count, panel, 2 * first, slot, out + slot * TILE_ROWS);
            slot += 2;
        }
        if (slot < panel.slots)
            add_products<1>(weights, 2 * count, panel, 2 * first, slot, out + slot * TILE_ROWS);
    }
}

template <int KIND>
void tile_of_kind(const uint8_t* tile, int blocks, const Panel& panel, float* out) {
    if (panel.slots > 4) return tile_times_many<KIND>(tile, blocks, panel, out);
    int slot = 0;
    if (panel.slots == 4) return tile_times_slots<KIND, 4>(tile, blocks, panel, 0, out);
    for (; slot + 2 <= panel.slots; slot += 2)
        tile_times_slots<KIND, 2>(tile, blocks, panel, slot, out);
    if (slot < panel.slots) tile_times_slots<KIND, 1>(tile, blocks, panel, slot, out);
}

void packed_tile(int kind, const uint8_t* tile, int blocks, const Panel& panel, float* out) {
    if (kind == INT4) tile_of_kind<INT4>(tile, blocks, panel, out);
    else tile_of_kind<INT8>(tile, blocks, panel, out);
}

// Pairs of 16-bit products: of exact products of bytes, the most that AVX2 does.
int64_t multiply_integers(int64_t rounds) {
    __m256i sums[12], x = _mm256_set1_epi16(3), w = _mm256_set1_epi16(5);
#pragma GCC unroll 12
    for (int j = 0; j < 12; ++j) sums[j] = _mm256_setzero_si256();
    for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
        for (int j = 0; j < 12; ++j) {
            __m256i pairs;
            // Written out: compilers move the products together and run out of registers.
            asm volatile("vpmaddwd %[x], %[w], %[pairs]\n\tvpaddd %[pairs], %[sum], %[sum]"
                         : [sum] "+x"(sums[j]), [pairs] "=&x"(pairs)
                         : [x] "x"(x), [w] "x"(w));
        }
    }
#pragma GCC unroll 12
    for (int j = 0; j < 12; ++j) asm volatile("" ::"x"(sums[j]));
    return rounds * 12 * 16;
}

bool runs() {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

const Kernels table = {"avx2", runs, true, panel_slots, packed_tile, multiply_integers, COMMON_KERNELS};

}  // namespace

const Kernels* avx2_kernels() { return &table; }
#else
#include "packed.h"
const Kernels* avx2_kernels() { return nullptr; }
#endif

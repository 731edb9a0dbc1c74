// Packed tiles with ARM's products of 8-bit matrices (ARMv8.6 i8mm): two rows of 8 columns times two
// vectors an instruction, twice what the dot products do.
#if defined(__ARM_FEATURE_MATMUL_INT8) && defined(__ARM_FEATURE_DOTPROD)
#include "neon_tiles.h"

namespace {

// Columns 8 k to 8 k + 7 of two vectors.
INLINE int8x16_t two_vectors(const int8_t* a, const int8_t* b, int k) {
    return vcombine_s8(vld1_s8(a + 8 * k), vld1_s8(b + 8 * k));
}

INLINE int8x16_t zipped(int8x16_t a, int8x16_t b, bool high) {
    int32x4_t x = vreinterpretq_s32_s8(a), y = vreinterpretq_s32_s8(b);
    return vreinterpretq_s8_s32(high ? vzip2q_s32(x, y) : vzip1q_s32(x, y));
}

template <int KIND>
void tile_times_panel(const uint8_t* tile, int blocks, const Panel& panel, float* out) {
    tile_of_kind<KIND>(tile, blocks, panel, out, [&](const int8x16_t* weights, int64_t cell,
                                                     float32x4_t row_scales, float* sums) {
        int8x16_t top[4], bottom[4];  // rows 0 and 1, rows 2 and 3; columns 8 k to 8 k + 7
        for (int k = 0; k < 4; ++k) {
            top[k] = zipped(weights[2 * k], weights[2 * k + 1], false);
            bottom[k] = zipped(weights[2 * k], weights[2 * k + 1], true);
        }
        for (int t = 0; t < panel.slots; t += 2) {
            // A last vector without a neighbour is its own.
            int next = t + 1 < panel.slots ? t + 1 : t;
            const int8_t* a = panel.values + (cell + t) * GROUP_COLUMNS;
            const int8_t* b = panel.values + (cell + next) * GROUP_COLUMNS;
            int32x4_t upper = vdupq_n_s32(0), lower = vdupq_n_s32(0);
#pragma GCC unroll 4
            for (int k = 0; k < 4; ++k) {
                int8x16_t x = two_vectors(a, b, k);
                upper = vmmlaq_s32(upper, top[k], x);
                lower = vmmlaq_s32(lower, bottom[k], x);
            }
            add_scaled_sums(vuzp1q_s32(upper, lower), row_scales, panel.scales[cell + t],
                            sums + t * TILE_ROWS);
            if (next > t)
                add_scaled_sums(vuzp2q_s32(upper, lower), row_scales, panel.scales[cell + next],
                                sums + next * TILE_ROWS);
        }
    });
}

void packed_tile(int kind, const uint8_t* tile, int blocks, const Panel& panel, float* out) {
    if (kind == INT4) tile_times_panel<INT4>(tile, blocks, panel, out);
    else tile_times_panel<INT8>(tile, blocks, panel, out);
}

int64_t multiply_integers(int64_t rounds) {
    int32x4_t sums[16] = {};
    int8x16_t x = vdupq_n_s8(3), w = vdupq_n_s8(5);
    for (int64_t i = 0; i < rounds; ++i) {
        asm volatile("" : "+w"(x), "+w"(w));
#pragma GCC unroll 16
        for (int j = 0; j < 16; ++j) sums[j] = vmmlaq_s32(sums[j], w, x);
    }
#pragma GCC unroll 16
    for (int j = 0; j < 16; ++j) asm volatile("" ::"w"(sums[j]));
    return rounds * 16 * 32;
}

bool runs() {
    return has_extension(FIRST_WORD, 20, "hw.optional.arm.FEAT_DotProd") &&
           has_extension(SECOND_WORD, 13, "hw.optional.arm.FEAT_I8MM");
}

const Kernels table = {"neon-i8mm", runs, true, panel_slots, packed_tile, multiply_integers, COMMON_KERNELS};

}  // namespace

const Kernels* neon_i8mm_kernels() { return &table; }
#else
#include "packed.h"
const Kernels* neon_i8mm_kernels() { return nullptr; }
#endif

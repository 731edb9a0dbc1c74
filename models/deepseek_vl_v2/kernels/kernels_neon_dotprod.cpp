// Packed tiles with ARM's dot products (ARMv8.2 dotprod): 16 products an instruction.
#if defined(__ARM_FEATURE_DOTPROD)
#include "neon_tiles.h"

namespace {

template <int KIND>
void tile_times_panel(const uint8_t* tile, int blocks, const Panel& panel, float* out) {
    tile_of_kind<KIND>(tile, blocks, panel, out, [&](const int8x16_t* weights, int64_t cell,
                                                     float32x4_t row_scales, float* sums) {
        for (int t = 0; t < panel.slots; ++t) {
            const int8_t* values = panel.values + (cell + t) * GROUP_COLUMNS;
            int8x16_t low = vld1q_s8(values), high = vld1q_s8(values + 16);
            // Two sums: one would wait for itself.
            int32x4_t a = vdotq_laneq_s32(vdupq_n_s32(0), weights[0], low, 0);
            int32x4_t b = vdotq_laneq_s32(vdupq_n_s32(0), weights[4], high, 0);
            a = vdotq_laneq_s32(a, weights[1], low, 1);
            b = vdotq_laneq_s32(b, weights[5], high, 1);
            a = vdotq_laneq_s32(a, weights[2], low, 2);
            b = vdotq_laneq_s32(b, weights[6], high, 2);
            a = vdotq_laneq_s32(a, weights[3], low, 3);
            b = vdotq_laneq_s32(b, weights[7], high, 3);
            add_scaled_sums(vaddq_s32(a, b), row_scales, panel.scales[cell + t],
                            sums + t * TILE_ROWS);
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
        for (int j = 0; j < 16; ++j) sums[j] = vdotq_s32(sums[j], w, x);
    }
#pragma GCC unroll 16
    for (int j = 0; j < 16; ++j) asm volatile("" ::"w"(sums[j]));
    return rounds * 16 * 16;
}

bool runs() { return has_extension(FIRST_WORD, 20, "hw.optional.arm.FEAT_DotProd"); }

const Kernels table = {"neon-dotprod", runs, true, panel_slots, packed_tile, multiply_integers, COMMON_KERNELS};

}  // namespace

const Kernels* neon_dotprod_kernels() { return &table; }
#else
#include "packed.h"
const Kernels* neon_dotprod_kernels() { return nullptr; }
#endif

// Packed tiles for ARM: four rows at a time, whose weights of a group stay in registers while all
// vectors of a panel pass. Included by the files of each extension, which define `add_dots`.
#pragma once
#include <arm_neon.h>
#if defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(__linux__)
#include <sys/auxv.h>
#endif

#include "codes.h"
#include "common_kernels.h"

namespace {

int panel_slots(int count) { return count; }

// Signed weights of 4 rows of one group: register j has columns 4 j to 4 j + 3.
template <int KIND>
INLINE void unpack_quarter(const uint8_t* lines, int8x16_t* weights) {
    if (KIND == INT8) {
        for (int j = 0; j < 8; ++j) weights[j] = vld1q_s8((const int8_t*)lines + 64 * j);
        return;
    }
    const int8x16_t codes = vld1q_s8(INT4_CODES);
    for (int j = 0; j < 4; ++j) {
        uint8x16_t pair = vld1q_u8(lines + 64 * j);
        weights[j] = vqtbl1q_s8(codes, vandq_u8(pair, vdupq_n_u8(15)));
        weights[j + 4] = vqtbl1q_s8(codes, vshrq_n_u8(pair, 4));
    }
}

INLINE void add_scaled_sums(int32x4_t total, float32x4_t row_scales, float scale, float* sum) {
    float32x4_t factor = vmulq_n_f32(row_scales, scale);
    vst1q_f32(sum, vfmaq_f32(vld1q_f32(sum), vcvtq_f32_s32(total), factor));
}

// `times_panel(weights, panel, cell, row_scales, out)` adds 4 rows of one group times all vectors.
template <int KIND, typename F>
INLINE void tile_of_kind(const uint8_t* tile, int blocks, const Panel& panel, float* out,
                         F times_panel) {
    constexpr int group_bytes = (KIND == INT4 ? 16 : 32) * TILE_ROWS;
    constexpr int block_bytes = SCALE_BYTES + 2 * group_bytes;
    memset(out, 0, sizeof(float) * TILE_ROWS * panel.slots);
    for (int g = 0; g < 2 * blocks; ++g) {
        const uint8_t* block = tile + (int64_t)(g / 2) * block_bytes;
        const uint8_t* lines = block + SCALE_BYTES + g % 2 * group_bytes;
        for (int quarter = 0; quarter < 4; ++quarter) {
            int8x16_t weights[8];
            unpack_quarter<KIND>(lines + 16 * quarter, weights);
            uint16x4_t bits = vld1_u16((const uint16_t*)block + g % 2 * TILE_ROWS + 4 * quarter);
            float32x4_t row_scales = vreinterpretq_f32_u32(vshll_n_u16(bits, 16));
            times_panel(weights, (int64_t)g * panel.slots, row_scales, out + 4 * quarter);
        }
    }
}

// Whether the processor has an extension, by the bit that Linux and the name that macOS gives it.
bool has_extension(unsigned long word, int bit, const char* name) {
#if defined(__APPLE__)
    int32_t value = 0;
    size_t size = sizeof value;
    return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value != 0;
#elif defined(__linux__)
    return getauxval(word) >> bit & 1;
#else
    return false;
#endif
}

#if defined(__linux__)
constexpr unsigned long FIRST_WORD = AT_HWCAP, SECOND_WORD = AT_HWCAP2;
#else
constexpr unsigned long FIRST_WORD = 0, SECOND_WORD = 0;
#endif

}  // namespace

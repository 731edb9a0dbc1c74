// Packed tiles without special instructions: any processor, and the reference for the others.
#include "codes.h"
#include "common_kernels.h"

namespace {

int panel_slots(int count) { return count; }

// codes [32 columns][16 rows] of one group.
void decode_group(int kind, const uint8_t* lines, int8_t* codes) {
    for (int j = 0; j < (kind == INT4 ? 4 : 8); ++j)
        for (int row = 0; row < TILE_ROWS; ++row)
            for (int i = 0; i < 4; ++i) {
                uint8_t byte = lines[j * 64 + row * 4 + i];
                int column = 4 * j + i;
                if (kind == INT4) {
                    codes[column * TILE_ROWS + row] = INT4_CODES[byte & 15];
                    codes[(column + 16) * TILE_ROWS + row] = INT4_CODES[byte >> 4];
                } else {
                    codes[column * TILE_ROWS + row] = (int8_t)byte;
                }
            }
}

void packed_tile(int kind, const uint8_t* tile, int blocks, const Panel& panel, float* out) {
    int group_bytes = (kind == INT4 ? 16 : 32) * TILE_ROWS;
    memset(out, 0, sizeof(float) * TILE_ROWS * panel.slots);
    for (int b = 0; b < blocks; ++b, tile += SCALE_BYTES + 2 * group_bytes) {
        for (int g = 0; g < 2; ++g) {
            int8_t codes[GROUP_COLUMNS * TILE_ROWS];
            decode_group(kind, tile + SCALE_BYTES + g * group_bytes, codes);
            Lanes scales = load((const uint16_t*)tile + g * TILE_ROWS);
            for (int t = 0; t < panel.slots; ++t) {
                int64_t cell = (int64_t)(2 * b + g) * panel.slots + t;
                const int8_t* x = panel.values + cell * GROUP_COLUMNS;
                int32_t total[TILE_ROWS] = {};
                for (int column = 0; column < GROUP_COLUMNS; ++column)
                    for (int row = 0; row < TILE_ROWS; ++row)
                        total[row] += (int32_t)codes[column * TILE_ROWS + row] * x[column];
                Lanes sums = converted<float>(loaded<int32_t, 16>(total));
                float* o = out + t * TILE_ROWS;
                store(o, load(o) + sums * (scales * panel.scales[cell]));
            }
        }
    }
}

#if defined(__FMA__) || defined(__aarch64__)
constexpr bool FUSED = true;
#else
constexpr bool FUSED = false;
#endif

// Products of integers are converted from bytes here, and slower than those of floats.
int64_t multiply_integers(int64_t) { return 0; }

bool runs() { return true; }

const Kernels table = {"scalar", runs, FUSED, panel_slots, packed_tile, multiply_integers, COMMON_KERNELS};

}  // namespace

const Kernels* scalar_kernels() { return &table; }

// Weights, activations and the table of inner loops. The layout of packed weights is described
// in quantized_format.py; the numbers here are the same.
#pragma once
#include <stddef.h>
#include <stdint.h>

struct DenseAttention;

enum MatrixKind { ABSENT = 0, FLOAT32 = 1, BFLOAT16 = 2, INT4 = 3, INT8 = 4 };

enum {
    TILE_ROWS = 16,
    GROUP_COLUMNS = 32,
    BLOCK_COLUMNS = 64,
    SCALE_BYTES = 64,
    MAX_PANEL = 16,
};

static const int INT4_BLOCK_BYTES = SCALE_BYTES + TILE_ROWS * BLOCK_COLUMNS / 2;
static const int INT8_BLOCK_BYTES = SCALE_BYTES + TILE_ROWS * BLOCK_COLUMNS;

// A linear map of `rows` outputs and `columns` inputs; row-major where it is not packed.
struct Matrix {
    int32_t kind;
    int32_t rows;
    int32_t columns;
    int32_t reserved;
    const uint8_t* data;
};

static inline bool is_packed(const Matrix& m) { return m.kind == INT4 || m.kind == INT8; }

// Up to 16 input vectors that meet the same weights.
// Quantised: values [groups][slots][32], scales [groups][slots], and corrections [groups][slots],
// which are -128 times the sum of a group's values: the dot-product instructions take unsigned
// weights, so 128 is added to each weight and taken off again here.
struct Panel {
    int32_t slots;  // vectors that are computed; more than `count` when the kernels come in steps
    int32_t count;  // vectors that are real
    int8_t* values;
    float* scales;
    int32_t* corrections;
    const float* rows[MAX_PANEL];
    int64_t output[MAX_PANEL];  // index of each vector's output row

    // Use the quantised side of an equal panel instead of making it again.
    void share_values(const Panel& other) {
        values = other.values;
        scales = other.scales;
        corrections = other.corrections;
    }
};

// One partial attention: `heads` query rows against cached positions [begin, end).
struct AttentionPart {
    const float* queries;  // [heads][key_width], scaled
    int64_t query_stride;
    int32_t heads;         // 1, 2 or 4
    int32_t key_width;     // multiple of 16
    int32_t value_width;   // multiple of 16
    int32_t cache_is_bfloat16;
    const void* keys;
    const void* values;
    int64_t key_stride;    // in elements
    int64_t value_stride;
    int64_t begin, end;
    float* scores;         // scratch [heads][end - begin, rounded up to 16]
    float* mixed;          // out [heads][value_width], not yet divided by the sum
    float* peak;           // out [heads]
    float* sum;            // out [heads]
};

struct Kernels {
    const char* name;
    // Whether the processor has what this table was compiled for.
    bool (*runs)();
    // Whether sums of products are rounded once (fused multiply-adds): such paths give equal bits.
    bool fused;
    // Slots that a panel of `count` vectors is given.
    int (*panel_slots)(int count);
    // out [slots][16]: one tile of 16 packed rows times every vector of the panel.
    void (*packed_tile)(int kind, const uint8_t* tile, int blocks, const Panel& panel, float* out);
    // As many products of integers as the path's instructions do at best, in registers: what rates are
    // compared with. Returns the multiply-adds that `rounds` rounds did.
    int64_t (*multiply_integers)(int64_t rounds);
    // out [count][16]: up to 16 plain rows, row-major, times every vector of the panel.
    void (*plain_tile)(int kind, const uint8_t* data, int rows, int columns, const Panel& panel,
                       float* out);
    // out [columns] += weight * row
    void (*add_plain_row)(int kind, const uint8_t* row, int columns, float weight, float* out);
    // Fill the quantised side of a panel; columns beyond `columns` up to a multiple of 64 are 0.
    void (*quantise)(const Panel& panel, int columns);
    void (*attend)(const AttentionPart& part);
    void (*rms_norm)(const float* x, const float* weight, float eps, int size, float* out);
    // gate[i] = silu(gate[i]) * up[i]
    void (*silu_multiply)(float* gate, const float* up, int size);
    // out[i] += weight * x[i]
    void (*add_scaled)(const float* x, float weight, int size, float* out);
    // out[i] = x[i] + bias[i], rounded to bfloat16; no bias where it is null.
    void (*store_half)(const float* x, const float* bias, int size, uint16_t* out);
    // x[i] = gelu(x[i]) in its tanh form, bfloat16.
    void (*gelu)(uint16_t* x, int64_t size);
    // One head of dense attention, with that many bytes of scratch memory, on a cache line.
    size_t (*attention_bytes)(const DenseAttention& attention);
    void (*attend_head)(const DenseAttention& attention, int batch, int head, uint8_t* scratch);
    // As multiply_integers, in float32.
    int64_t (*multiply_floats)(int64_t rounds);
    // Read memory and return some sum of it.
    uint64_t (*read)(const uint8_t* data, int64_t bytes);
    // Round the 16 rows of one tile of a weight and pack them; squares[0] gets the sum of their
    // squares (not finite if one of them is not), squares[1] that of the rounding errors.
    void (*pack_tile)(int kind, const void* weight, bool is_bfloat16, int rows, int columns,
                      int tile, uint8_t* packed, double* squares);
};

// Null where the file was compiled for another architecture.
const Kernels* scalar_kernels();
const Kernels* avx2_kernels();
const Kernels* avx_vnni_kernels();
const Kernels* avx512_kernels();
const Kernels* neon_dotprod_kernels();
const Kernels* neon_i8mm_kernels();

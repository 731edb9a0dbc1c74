// Panels of input vectors and their products with tiles of a matrix.
#pragma once
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <new>
#include <vector>

#include "packed.h"

// The tables that this build has, the fastest first; the processor may lack some of them.
const std::vector<const Kernels*>& all_kernels();
// The fastest table that this processor runs, or the one that `use_kernels` asked for.
const Kernels& kernels();
// False where this build or this processor has no such table.
bool use_kernels(const char* name);

// Memory that only grows, on cache-line boundaries.
template <typename T>
class Buffer {
public:
    Buffer() = default;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { free(data_); }
    // Room for `count` elements; what was there before is lost when it has to grow.
    T* room(size_t count) {
        if (count > capacity_) {
            free(data_);
            size_t bytes = (count * sizeof(T) + 63) / 64 * 64;
            data_ = (T*)aligned_alloc(64, bytes);
            capacity_ = data_ ? bytes / sizeof(T) : 0;
            if (!data_) throw std::bad_alloc();
        }
        return data_;
    }
    T* data() const { return data_; }

private:
    T* data_ = nullptr;
    size_t capacity_ = 0;
};

inline int padded(int size) { return (size + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS; }
inline int tiles_of(const Matrix& m) { return (m.rows + TILE_ROWS - 1) / TILE_ROWS; }
inline int64_t chunk_of(int64_t tasks, int threads) {
    int64_t chunk = tasks / (8 * threads);
    return chunk < 1 ? 1 : chunk > 16 ? 16 : chunk;
}

// Input vectors, split into panels; first `plan` every set, then `allocate`, then fill.
class Panels {
public:
    void clear();
    // Add `count` vectors of `columns` floats; returns the index of their first panel.
    int plan(int count, int columns);
    // Give every planned panel its memory.
    void allocate();
    int size() const { return (int)panels_.size(); }
    Panel& operator[](int i) { return panels_[i]; }
    int columns(int i) const { return columns_[i]; }
    void quantise(int i) { kernels().quantise(panels_[i], columns_[i]); }
    // Plan, allocate and point at `count` consecutive rows, whose outputs are 0, 1, 2, ...
    void over_rows(const float* rows, int64_t stride, int count, int columns);
    // Point vector `i` of the set that begins at panel `first`.
    void point(int first, int i, const float* row, int64_t output);

private:
    std::vector<Panel> panels_;
    std::vector<int> columns_;
    Buffer<uint8_t> memory_;
};

// out [slots][16] = one tile of 16 rows times a panel.
void tile_product(const Matrix& m, int tile, const Panel& panel, float* out);

// One tile times all panels [first, last): written, or added, to output rows of `stride` floats.
void store_tile(const Matrix& m, int tile, Panels& panels, int first, int last, float* out,
                int64_t stride, bool add, const float* bias);

// One tile times all panels, plus `bias` unless it is null, rounded to bfloat16.
void store_half_tile(const Matrix& m, int tile, Panels& panels, uint16_t* out, int64_t stride,
                     const float* bias);

// silu(gate x) * (up x) of one tile, to output rows of `stride` floats.
void gate_tile(const Matrix& gate, const Matrix& up, int tile, Panels& panels, int first, int last,
               float* out, int64_t stride);

// Rows [begin, begin + count) of a matrix times a panel; output row t at out + t * stride.
void row_range(const Matrix& m, int begin, int count, const Panel& panel, float* out,
               int64_t stride);

#include "products.h"

#include "vectors.h"

namespace {

const Kernels* chosen = nullptr;

const Kernels* best_kernels() {
    for (const Kernels* table : all_kernels())
        if (table->runs()) return table;
    return scalar_kernels();
}

int64_t plain_row_bytes(const Matrix& m) {
    return (int64_t)m.columns * (m.kind == FLOAT32 ? 4 : 2);
}

size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace

const Kernels& kernels() {
    if (!chosen) chosen = best_kernels();
    return *chosen;
}

const std::vector<const Kernels*>& all_kernels() {
    static const std::vector<const Kernels*> tables = [] {
        std::vector<const Kernels*> found;
        for (const Kernels* table :
             {avx512_kernels(), avx_vnni_kernels(), avx2_kernels(), neon_i8mm_kernels(),
              neon_dotprod_kernels(), scalar_kernels()})
            if (table) found.push_back(table);
        return found;
    }();
    return tables;
}

bool use_kernels(const char* name) {
    for (const Kernels* table : all_kernels()) {
        if (strcmp(table->name, name) != 0 || !table->runs()) continue;
        chosen = table;
        return true;
    }
    return false;
}

void Panels::clear() {
    panels_.clear();
    columns_.clear();
}

int Panels::plan(int count, int columns) {
    int first = size();
    for (int done = 0; done < count; done += MAX_PANEL) {
        Panel panel = {};
        panel.count = count - done < MAX_PANEL ? count - done : MAX_PANEL;
        panel.slots = kernels().panel_slots(panel.count);
        panels_.push_back(panel);
        columns_.push_back(columns);
    }
    return first;
}

void Panels::allocate() {
    size_t total = 0;
    for (int pass = 0; pass < 2; ++pass) {
        uint8_t* memory = pass ? memory_.room(total + 64) : nullptr;
        size_t used = 0;
        for (int i = 0; i < size(); ++i) {
            size_t groups = (columns_[i] + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS * 2;
            size_t cells = groups * panels_[i].slots;
            if (pass) {
                panels_[i].values = (int8_t*)memory + used;
                panels_[i].scales = (float*)(memory + used + aligned(cells * GROUP_COLUMNS));
                panels_[i].corrections = (int32_t*)((uint8_t*)panels_[i].scales + aligned(cells * 4));
            }
            used += aligned(cells * GROUP_COLUMNS) + 2 * aligned(cells * 4);
        }
        total = used;
    }
}

void Panels::point(int first, int i, const float* row, int64_t output) {
    Panel& panel = panels_[first + i / MAX_PANEL];
    panel.rows[i % MAX_PANEL] = row;
    panel.output[i % MAX_PANEL] = output;
}

void Panels::over_rows(const float* rows, int64_t stride, int count, int columns) {
    clear();
    plan(count, columns);
    allocate();
    for (int i = 0; i < count; ++i) point(0, i, rows + i * stride, i);
}

void tile_product(const Matrix& m, int tile, const Panel& panel, float* out) {
    const Kernels& k = kernels();
    if (is_packed(m)) {
        int blocks = (m.columns + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS;
        int64_t bytes = m.kind == INT4 ? INT4_BLOCK_BYTES : INT8_BLOCK_BYTES;
        k.packed_tile(m.kind, m.data + (int64_t)tile * blocks * bytes, blocks, panel, out);
        return;
    }
    int64_t row = (int64_t)tile * TILE_ROWS;
    int rows = m.rows - row < TILE_ROWS ? m.rows - row : TILE_ROWS;
    k.plain_tile(m.kind, m.data + row * plain_row_bytes(m), rows, m.columns, panel, out);
}

void store_tile(const Matrix& m, int tile, Panels& panels, int first, int last, float* out,
                int64_t stride, bool add, const float* bias) {
    float product[MAX_PANEL * TILE_ROWS];
    int row = tile * TILE_ROWS;
    int count = m.rows - row < TILE_ROWS ? m.rows - row : TILE_ROWS;
    for (int p = first; p < last; ++p) {
        const Panel& panel = panels[p];
        tile_product(m, tile, panel, product);
        for (int t = 0; t < panel.count; ++t) {
            float* target = out + panel.output[t] * stride + row;
            const float* source = product + t * TILE_ROWS;
            if (add)
                for (int r = 0; r < count; ++r) target[r] += source[r];
            else if (bias)
                for (int r = 0; r < count; ++r) target[r] = source[r] + bias[row + r];
            else
                memcpy(target, source, count * sizeof(float));
        }
    }
}

void store_half_tile(const Matrix& m, int tile, Panels& panels, uint16_t* out, int64_t stride,
                     const float* bias) {
    float product[MAX_PANEL * TILE_ROWS];
    int row = tile * TILE_ROWS;
    int count = m.rows - row < TILE_ROWS ? m.rows - row : TILE_ROWS;
    for (int p = 0; p < panels.size(); ++p) {
        const Panel& panel = panels[p];
        tile_product(m, tile, panel, product);
        for (int t = 0; t < panel.count; ++t)
            kernels().store_half(product + t * TILE_ROWS, bias ? bias + row : nullptr, count,
                                 out + panel.output[t] * stride + row);
    }
}

void gate_tile(const Matrix& gate, const Matrix& up, int tile, Panels& panels, int first, int last,
               float* out, int64_t stride) {
    float a[MAX_PANEL * TILE_ROWS], b[MAX_PANEL * TILE_ROWS];
    int row = tile * TILE_ROWS;
    int count = gate.rows - row < TILE_ROWS ? gate.rows - row : TILE_ROWS;
    for (int p = first; p < last; ++p) {
        const Panel& panel = panels[p];
        tile_product(gate, tile, panel, a);
        tile_product(up, tile, panel, b);
        for (int t = 0; t < panel.count; ++t) {
            kernels().silu_multiply(a + t * TILE_ROWS, b + t * TILE_ROWS, count);
            memcpy(out + panel.output[t] * stride + row, a + t * TILE_ROWS, count * sizeof(float));
        }
    }
}

void row_range(const Matrix& m, int begin, int count, const Panel& panel, float* out,
               int64_t stride) {
    float product[MAX_PANEL * TILE_ROWS];
    for (int tile = begin / TILE_ROWS; tile * TILE_ROWS < begin + count; ++tile) {
        tile_product(m, tile, panel, product);
        int low = tile * TILE_ROWS > begin ? tile * TILE_ROWS : begin;
        int high = (tile + 1) * TILE_ROWS < begin + count ? (tile + 1) * TILE_ROWS : begin + count;
        for (int t = 0; t < panel.count; ++t)
            memcpy(out + t * stride + low - begin, product + t * TILE_ROWS + low - tile * TILE_ROWS,
                   (high - low) * sizeof(float));
    }
}

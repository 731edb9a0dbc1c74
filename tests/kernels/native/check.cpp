// Compares every path that this processor runs with plain C++: exit 0 and one line a path when
// all agree. With the argument "rates" it prints multiply-adds per CPU second instead.
//
// Integer sums are exact, and one fused multiply-add adds each group of 32: so the paths with
// fused multiply-adds must give the same bits as `expected_product`, whatever the number of
// vectors. The scalar path of x86-64 has none: there a tolerance holds. Packed bytes and
// quantised activations must be the same on every path.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <string>
#include <vector>

#include "codes.h"
#include "dense_attention.h"
#include "products.h"
#include "vectors.h"

namespace {

int failures = 0;

void expect(bool right, const char* path, const std::string& what) {
    if (right) return;
    ++failures;
    printf("%s: %s differs\n", path, what.c_str());
}

uint32_t state = 1;
float uniform() {  // [-1, 1)
    state = state * 1664525u + 1013904223u;
    return (float)(int32_t)state / 2147483648.0f;
}

std::vector<float> drawn(size_t count, float size) {
    std::vector<float> x(count);
    for (float& v : x) v = uniform() * size * (uniform() > 0.9f ? 8.0f : 1.0f);
    return x;
}

struct Weight {
    int kind, rows, columns;
    std::vector<uint8_t> packed;
    int tiles() const { return (rows + TILE_ROWS - 1) / TILE_ROWS; }
    int blocks() const { return (columns + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS; }
    int64_t block_bytes() const { return kind == INT4 ? INT4_BLOCK_BYTES : INT8_BLOCK_BYTES; }
    const uint8_t* tile(int i) const { return packed.data() + i * blocks() * block_bytes(); }
};

Weight packed_by(const Kernels& path, int kind, int rows, int columns,
                 const std::vector<float>& weight, double* squares) {
    Weight w = {kind, rows, columns, {}};
    w.packed.resize((size_t)w.tiles() * w.blocks() * w.block_bytes());
    squares[0] = squares[1] = 0.0;
    for (int i = 0; i < w.tiles(); ++i) {
        double sums[2];
        path.pack_tile(kind, weight.data(), false, rows, columns, i, w.packed.data(), sums);
        squares[0] += sums[0], squares[1] += sums[1];
    }
    return w;
}

int code_of(const Weight& w, const uint8_t* block, int group, int row, int column) {
    int group_bytes = (w.kind == INT4 ? 16 : 32) * TILE_ROWS;
    const uint8_t* lines = block + SCALE_BYTES + group * group_bytes;
    int place = column % (w.kind == INT4 ? 16 : 32);
    uint8_t byte = lines[place / 4 * 64 + row * 4 + place % 4];
    if (w.kind == INT8) return (int8_t)byte;
    return INT4_CODES[column < 16 ? byte & 15 : byte >> 4];
}

// One row of a tile times vector `t` of a panel.
float expected_product(const Weight& w, int tile, int row, const Panel& panel, int t) {
    float sum = 0.0f;
    for (int g = 0; g < 2 * w.blocks(); ++g) {
        const uint8_t* block = w.tile(tile) + g / 2 * w.block_bytes();
        int64_t cell = (int64_t)g * panel.slots + t;
        int32_t total = 0;
        for (int c = 0; c < GROUP_COLUMNS; ++c)
            total += code_of(w, block, g % 2, row, c) * panel.values[cell * GROUP_COLUMNS + c];
        uint16_t half;
        memcpy(&half, block + 2 * (g % 2 * TILE_ROWS + row), 2);
        sum = fmaf((float)total, to_float(half) * panel.scales[cell], sum);
    }
    return sum;
}

void check_products(const Kernels& path, bool same_bits, const Weight& w, int count) {
    std::vector<float> rows = drawn((size_t)count * w.columns, 3.0f);
    use_kernels(path.name);
    Panels panels;
    panels.over_rows(rows.data(), w.columns, count, w.columns);
    bool right = true;
    for (int p = 0; p < panels.size(); ++p) {
        panels.quantise(p);
        std::vector<float> out(panels[p].slots * TILE_ROWS);
        for (int tile = 0; tile < w.tiles(); ++tile) {
            path.packed_tile(w.kind, w.tile(tile), w.blocks(), panels[p], out.data());
            for (int t = 0; t < panels[p].count; ++t)
                for (int row = 0; row < TILE_ROWS; ++row) {
                    float found = out[t * TILE_ROWS + row];
                    float expected = expected_product(w, tile, row, panels[p], t);
                    float allowed = same_bits ? 0.0f : 1e-6f * w.columns * 24.0f * 8.0f;
                    right = right && fabsf(found - expected) <= allowed;
                }
        }
    }
    expect(right, path.name, std::string(w.kind == INT4 ? "int4" : "int8") + " product of " +
                                 std::to_string(w.columns) + " columns and " +
                                 std::to_string(count) + " vectors");
}

void check_quantised(const Kernels& path, const Kernels& reference, int columns) {
    std::vector<float> rows = drawn((size_t)3 * columns, 5.0f);
    for (int i = 0; i < columns / 2; ++i) rows[i] = 0.0f;
    std::vector<int8_t> values[2];
    std::vector<float> scales[2];
    const Kernels* both[] = {&path, &reference};
    for (int i = 0; i < 2; ++i) {
        use_kernels(both[i]->name);
        Panels panels;
        panels.over_rows(rows.data(), columns, 3, columns);
        panels.quantise(0);
        int groups = (columns + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS * 2;
        for (int g = 0; g < groups; ++g)
            for (int t = 0; t < 3; ++t) {
                int64_t cell = (int64_t)g * panels[0].slots + t;
                const int8_t* first = panels[0].values + cell * GROUP_COLUMNS;
                values[i].insert(values[i].end(), first, first + GROUP_COLUMNS);
                scales[i].push_back(panels[0].scales[cell]);
            }
    }
    expect(values[0] == values[1] && scales[0] == scales[1], path.name, "a quantised activation");
}

// Causal attention of 37 queries over 90 keys, and the last three of them alone: the same bits.
void check_attention(const Kernels& path) {
    constexpr int queries = 37, keys = 90, width = 24, value_width = 20;
    auto halves = [](size_t count) {
        std::vector<uint16_t> x(count);
        for (uint16_t& v : x) v = nearest_bfloat16(uniform() * 2.0f);
        return x;
    };
    std::vector<uint16_t> query = halves(queries * width), key = halves(keys * width),
                          value = halves(keys * value_width);
    std::vector<float> out(queries * value_width), last(3 * value_width);
    DenseAttention a = {};
    a.queries = query.data(), a.keys = key.data(), a.values = value.data(), a.out = out.data();
    a.query_strides[2] = a.key_strides[2] = width;
    a.value_strides[2] = a.out_strides[2] = value_width;
    a.batch = a.heads = a.causal = a.out_is_float32 = 1;
    a.query_count = queries, a.key_count = keys, a.key_width = width, a.value_width = value_width;
    a.scale = 0.3f;
    Buffer<uint8_t> scratch;
    path.attend_head(a, 0, 0, scratch.room(path.attention_bytes(a)));
    bool right = true;
    for (int q = 0; q < queries; ++q) {
        double total = 0.0, mix[value_width] = {};
        for (int k = 0; k <= keys - queries + q; ++k) {
            double score = 0.0;
            for (int c = 0; c < width; ++c)
                score += (double)to_float(query[q * width + c]) * to_float(key[k * width + c]);
            total += score = exp(score * 0.3);
            for (int c = 0; c < value_width; ++c)
                mix[c] += score * to_float(value[k * value_width + c]);
        }
        for (int c = 0; c < value_width; ++c)
            right = right && fabs(out[q * value_width + c] - mix[c] / total) < 1e-5;
    }
    expect(right, path.name, "attention");
    a.queries = query.data() + (queries - 3) * width, a.query_count = 3, a.out = last.data();
    path.attend_head(a, 0, 0, scratch.room(path.attention_bytes(a)));
    expect(memcmp(last.data(), out.data() + (queries - 3) * value_width, last.size() * 4) == 0,
           path.name, "attention of fewer queries");
}

void check_floats(const Kernels& path) {
    std::vector<float> x = drawn(1003, 4.0f), weight = drawn(1003, 1.0f), out(1003);
    double squares = 0.0;
    for (float v : x) squares += (double)v * v;
    path.rms_norm(x.data(), weight.data(), 1e-6f, 1003, out.data());
    bool right = true;
    for (int i = 0; i < 1003; ++i) {
        double expected = weight[i] * x[i] / sqrt(squares / 1003 + 1e-6);
        right = right && fabs(out[i] - expected) <= 1e-5 * fabs(expected) + 1e-9;
    }
    expect(right, path.name, "the RMS norm");
    std::vector<float> gate = x;
    path.silu_multiply(gate.data(), weight.data(), 1003);
    right = true;
    for (int i = 0; i < 1003; ++i) {
        double expected = x[i] / (1.0 + exp(-(double)x[i])) * weight[i];
        right = right && fabs(gate[i] - expected) <= 1e-5 * fabs(expected) + 1e-7;
    }
    expect(right, path.name, "SiLU");
    check_attention(path);
    std::vector<uint16_t> half(1003);
    path.store_half(x.data(), nullptr, 1003, half.data());
    right = true;
    for (int i = 0; i < 1003; ++i)
        right = right && fabsf(to_float(half[i]) - x[i]) <= fabsf(x[i]) / 256.0f;
    path.gelu(half.data(), 1003);
    for (int i = 0; i < 1003; ++i) {
        double v = x[i], expected = 0.5 * v * (1.0 + tanh(0.7978845608 * (v + 0.044715 * v * v * v)));
        right = right && fabs(to_float(half[i]) - expected) <= fabs(v) / 64.0 + 1e-3;
    }
    expect(right, path.name, "GELU");
}

double cpu_seconds() {
    timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

template <typename F>
double best_rate(double work, F f) {
    double best = 0.0;
    for (int round = 0; round < 7; ++round) {
        double start = cpu_seconds();
        f();
        double rate = work / (cpu_seconds() - start);
        best = rate > best ? rate : best;
    }
    return best;
}

void print_rates(const Kernels& path) {
    constexpr int64_t turns = 2000000;
    double integers = best_rate(1.0, [&] { path.multiply_integers(turns); });
    double floats = best_rate(1.0, [&] { path.multiply_floats(turns); });
    printf("%s: limits %.1f G integers, %.1f G floats\n", path.name,
           integers * path.multiply_integers(turns) / 1e9, floats * path.multiply_floats(turns) / 1e9);
    constexpr int rows = 256, columns = 1152;
    std::vector<float> weight = drawn((size_t)rows * columns, 0.1f);
    for (int kind : {INT4, INT8}) {
        double squares[2];
        Weight w;
        double packing = best_rate((double)rows * columns, [&] {
            w = packed_by(path, kind, rows, columns, weight, squares);
        });
        printf("%s %s: packs %.0f M weights", path.name, kind == INT4 ? "int4" : "int8",
               packing / 1e6);
        for (int count : {1, 4, 16, 256}) {
            std::vector<float> states = drawn((size_t)count * columns, 1.0f);
            use_kernels(path.name);
            Panels panels;
            panels.over_rows(states.data(), columns, count, columns);
            for (int p = 0; p < panels.size(); ++p) panels.quantise(p);
            float out[MAX_PANEL * TILE_ROWS];
            int rounds = 1024 / count;
            double rate = best_rate((double)rounds * count * rows * columns, [&] {
                for (int round = 0; round < rounds; ++round)
                    for (int tile = 0; tile < w.tiles(); ++tile)
                        for (int p = 0; p < panels.size(); ++p)
                            path.packed_tile(kind, w.tile(tile), w.blocks(), panels[p], out);
            });
            printf(", %d vectors %.1f G", count, rate / 1e9);
        }
        printf("\n");
    }
    std::vector<uint16_t> states(729 * 72, 0x3F80), mixed(729 * 72);
    DenseAttention a = {};
    a.queries = a.keys = a.values = states.data();
    a.out = mixed.data();
    a.query_strides[2] = a.key_strides[2] = a.value_strides[2] = a.out_strides[2] = 72;
    a.batch = a.heads = 1;
    a.query_count = a.key_count = 729;
    a.key_width = a.value_width = 72;
    a.scale = 0.1f;
    Buffer<uint8_t> scratch;
    scratch.room(path.attention_bytes(a));
    double attention = best_rate(2.0 * 729 * 729 * 72 * 4, [&] {
        for (int i = 0; i < 4; ++i) path.attend_head(a, 0, 0, scratch.data());
    });
    printf("%s: attention %.1f G\n", path.name, attention / 1e9);
    std::vector<uint16_t> half(1 << 16, 0x3F80);
    double rate = best_rate(16.0 * half.size(), [&] {
        for (int i = 0; i < 16; ++i) path.gelu(half.data(), half.size());
    });
    printf("%s: GELU of %.2f G numbers\n", path.name, rate / 1e9);
}

void check_path(const Kernels& path, bool same_bits) {
    const Kernels& reference = *scalar_kernels();
    struct { int rows, columns; } sizes[] = {{16, 64}, {33, 100}, {40, 1088}, {16, 32}};
    for (int kind : {INT4, INT8})
        for (auto size : sizes) {
            std::vector<float> weight = drawn((size_t)size.rows * size.columns, 0.2f);
            double squares[2], reference_squares[2];
            Weight w = packed_by(path, kind, size.rows, size.columns, weight, squares);
            Weight again =
                packed_by(reference, kind, size.rows, size.columns, weight, reference_squares);
            expect(w.packed == again.packed, path.name, "a packed weight");
            expect(fabs(squares[1] / reference_squares[1] - 1.0) < 1e-5, path.name,
                   "the rounding error");
            for (int count : {1, 2, 3, 4, 5, 7, 8, 12, 13, 16, 35})
                check_products(path, same_bits, w, count);
        }
    for (int columns : {32, 100, 640}) check_quantised(path, reference, columns);
    check_floats(path);
}

}  // namespace

int main(int count, char** arguments) {
    bool rates = count > 1 && std::string(arguments[1]) == "rates";
    for (const Kernels* path : all_kernels()) {
        if (!use_kernels(path->name)) {
            printf("%s: not on this processor\n", path->name);
            continue;
        }
        int before = failures;
        if (rates) print_rates(*path);
        else check_path(*path, path->fused);
        if (!rates && failures == before) printf("%s: right\n", path->name);
    }
    return failures ? 1 : 0;
}

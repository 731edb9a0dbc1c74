// The C interface that Python calls through ctypes. Functions that allocate return 0 on success
// and -1 when memory runs out; kernels/library.py mirrors these declarations.
#include <math.h>

#include <new>

#include "decoder.h"
#include "dense_attention.h"

namespace {

template <typename F>
int guarded(F f) {
    try {
        f();
        return 0;
    } catch (const std::bad_alloc&) {
        return -1;
    }
}

void embed(const Matrix& table, int token, float* out) {
    memset(out, 0, table.columns * sizeof(float));
    int64_t bytes = (int64_t)table.columns * (table.kind == FLOAT32 ? 4 : 2);
    kernels().add_plain_row(table.kind, table.data + token * bytes, table.columns, 1.0f, out);
}

void widen(const uint16_t* halves, int64_t count, float* out) {
    for (int64_t i = 0; i < count; ++i) {
        uint32_t bits = (uint32_t)halves[i] << 16;
        memcpy(out + i, &bits, sizeof bits);
    }
}

}  // namespace

extern "C" {

int dvl2_interface_version() { return 5; }

const char* dvl2_kernel_name() { return kernels().name; }

// Returns 0, or -1 when the processor does not run the kernels of that name.
int dvl2_use_kernels(const char* name) { return use_kernels(name) ? 0 : -1; }

void dvl2_set_threads(int count) { set_team_size(count); }

int dvl2_threads() { return shared_team().size(); }

void* dvl2_decoder_new(const DecoderShape* shape) { return new (std::nothrow) Decoder(*shape); }

void dvl2_decoder_free(void* decoder) { delete (Decoder*)decoder; }

// Read one token for each row; rows of one sequence come in the order of their positions.
// Logits [count][vocabulary] of what may follow each.
int dvl2_decoder_step(void* decoder, const int32_t* tokens, const Row* rows, int count,
                      float* logits) {
    Decoder& d = *(Decoder*)decoder;
    return guarded([&] {
        std::vector<Row> all(rows, rows + count);
        shared_team().run([&](Member& member) {
            const DecoderShape& shape = d.shape;
            member.alone([&] {
                float* x = d.states.room((size_t)count * shape.hidden);
                for (int t = 0; t < count; ++t)
                    embed(shape.embedding, tokens[t], x + (int64_t)t * shape.hidden);
            });
            float* x = d.states.data();
            for (int i = 0; i < shape.layers; ++i) {
                d.project(member, i, x, all);
                d.attend_cached(member, i, all);
                d.finish(member, shape.layer[i], x, d.mixed.data(), count);
            }
            d.predict(member, x, count, logits);
        });
    });
}

// The part of a layer before attention, for prefill of `count` tokens from `first` on: queries
// [count][heads * head width], scaled and rotated, and the cache filled.
int dvl2_decoder_project(void* decoder, int layer, const float* x, const Row* first, int count,
                         float* queries) {
    Decoder& d = *(Decoder*)decoder;
    return guarded([&] {
        std::vector<Row> rows(count, *first);
        for (int t = 0; t < count; ++t) rows[t].position += t;
        shared_team().run([&](Member& member) { d.project(member, layer, x, rows); });
        memcpy(queries, d.queries.data(), (size_t)count * d.query_width * sizeof(float));
    });
}

// The part of a layer after attention; x [count][hidden] is updated in place.
int dvl2_decoder_finish(void* decoder, int layer, float* x, const float* attended, int count) {
    Decoder& d = *(Decoder*)decoder;
    return guarded([&] {
        shared_team().run([&](Member& member) {
            d.finish(member, d.shape.layer[layer], x, attended, count);
        });
    });
}

int dvl2_decoder_logits(void* decoder, const float* x, int count, float* logits) {
    Decoder& d = *(Decoder*)decoder;
    return guarded([&] {
        shared_team().run([&](Member& member) { d.predict(member, x, count, logits); });
    });
}

// out [count][rows] = x [count][columns] times the matrix, plus bias [rows] unless it is null. x and
// out are floats, or both bfloat16.
int dvl2_linear(const Matrix* matrix, const void* x, int is_bfloat16, int64_t count,
                const float* bias, void* out) {
    int columns = matrix->columns, rows = matrix->rows, tiles = tiles_of(*matrix);
    // Quantised inputs that stay in the second-level cache while every tile passes over them.
    int64_t step = 786432 / columns / MAX_PANEL * MAX_PANEL;
    step = step < 64 ? 64 : step > count ? count : step;
    return guarded([&] {
        Panels inputs;
        Buffer<float> wide;
        if (is_bfloat16) wide.room((size_t)step * columns);
        shared_team().run([&](Member& member) {
            for (int64_t done = 0; done < count; done += step) {
                int64_t now = count - done < step ? count - done : step;
                const uint16_t* halves = (const uint16_t*)x + done * columns;
                const float* floats = is_bfloat16 ? wide.data() : (const float*)x + done * columns;
                member.alone([&] { inputs.over_rows(floats, columns, now, columns); });
                member.share(inputs.size(), 1, [&](int64_t p) {
                    int64_t first = p * MAX_PANEL * columns;
                    if (is_bfloat16)
                        widen(halves + first, (int64_t)inputs[p].count * columns,
                              wide.data() + first);
                    if (is_packed(*matrix)) inputs.quantise(p);
                });
                member.share(tiles, chunk_of(tiles, member.count()), [&](int64_t tile) {
                    if (is_bfloat16)
                        store_half_tile(*matrix, tile, inputs, (uint16_t*)out + done * rows, rows,
                                        bias);
                    else
                        store_tile(*matrix, tile, inputs, 0, inputs.size(),
                                   (float*)out + done * rows, rows, false, bias);
                });
            }
        });
    });
}

int dvl2_attention(const DenseAttention* attention) {
    const DenseAttention& a = *attention;
    bool halves = &kernels() == avx512_kernels() && bfloat16_attention_runs() && !a.in_is_float32;
    size_t bytes = halves ? bfloat16_attention_bytes(a) : kernels().attention_bytes(a);
    return guarded([&] {
        Buffer<uint8_t> scratch;
        scratch.room(bytes * shared_team().size());
        shared_team().run([&](Member& member) {
            member.share((int64_t)a.batch * a.heads, 1, [&](int64_t task) {
                auto attend = halves ? attend_head_in_bfloat16 : kernels().attend_head;
                attend(a, task / a.heads, task % a.heads, scratch.data() + bytes * member.index);
            });
        });
    });
}

// The tanh form of GELU of `count` bfloat16 numbers, in place.
void dvl2_gelu(uint16_t* x, int64_t count) {
    constexpr int64_t piece = 1 << 15;
    shared_team().run([&](Member& member) {
        member.share((count + piece - 1) / piece, 1, [&](int64_t i) {
            kernels().gelu(x + i * piece, count - i * piece < piece ? count - i * piece : piece);
        });
    });
}

// Round a [rows][columns] weight and pack it; -2 when it holds infinities or NaN. `squares` gets
// the sums of the squared weights and of the squared rounding errors.
int dvl2_pack(int kind, const void* weight, int is_bfloat16, int rows, int columns, uint8_t* out,
              double* squares) {
    int tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
    return guarded([&] {
        std::vector<double> sums(2 * tiles);
        shared_team().run([&](Member& member) {
            member.share(tiles, 4, [&](int64_t tile) {
                kernels().pack_tile(kind, weight, is_bfloat16, rows, columns, tile, out,
                                    &sums[2 * tile]);
            });
        });
        squares[0] = squares[1] = 0.0;
        for (int i = 0; i < 2 * tiles; ++i) squares[i % 2] += sums[i];
    }) ? -1 : isfinite(squares[0]) ? 0 : -2;
}

// The best rate of the chosen path's instructions, on every thread: multiply-adds that `rounds`
// rounds in registers did, of integers or in float32; 0 where integers are no faster.
int64_t dvl2_multiply(int integers, int64_t rounds) {
    std::atomic<int64_t> total{0};
    shared_team().run([&](Member&) {
        total += integers ? kernels().multiply_integers(rounds) : kernels().multiply_floats(rounds);
    });
    return total;
}

// Name of the i-th of the paths that this processor runs, the fastest first;
// null after the last.
const char* dvl2_kernel_names(int i) {
    for (const Kernels* table : all_kernels())
        if (table->runs() && i-- == 0) return table->name;
    return nullptr;
}

// Read memory once with every thread, as a step does; what bandwidth is measured by.
uint64_t dvl2_read(const uint8_t* data, int64_t bytes) {
    constexpr int64_t piece = 1 << 18;
    std::atomic<uint64_t> total{0};
    shared_team().run([&](Member& member) {
        member.share((bytes + piece - 1) / piece, 1, [&](int64_t i) {
            int64_t end = (i + 1) * piece < bytes ? (i + 1) * piece : bytes;
            total += kernels().read(data + i * piece, end - i * piece);
        });
    });
    return total;
}

}  // extern "C"

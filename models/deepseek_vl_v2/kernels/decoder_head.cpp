// Final norm and output head.
#include <math.h>

#include "decoder.h"
#include "vectors.h"

namespace {

// Logits this far below the highest cannot matter: e^-12 of its probability.
constexpr float REACH = 12.0f;
// Above the mean by this many standard deviations lie a few in a thousand logits.
constexpr float DEVIATIONS = 2.5f;
constexpr int64_t PIECE = 2048;  // logits that one task looks through

}  // namespace

void Decoder::predict(Member& member, const float* x, int count, float* out) {
    member.alone([&] {
        normed.room((size_t)count * shape.hidden);
        inputs.over_rows(normed.data(), shape.hidden, count, shape.hidden);
    });
    member.share(inputs.size(), 1, [&](int64_t p) {
        for (int t = 0; t < inputs[p].count; ++t) {
            int64_t row = inputs[p].output[t];
            kernels().rms_norm(x + row * shape.hidden, shape.final_norm, shape.norm_eps,
                               shape.hidden, normed.data() + row * shape.hidden);
        }
        if (is_packed(shape.head)) inputs.quantise(p);
    });
    int tiles = tiles_of(shape.head);
    member.share(tiles, chunk_of(tiles, member.count()), [&](int64_t tile) {
        store_tile(shape.head, tile, inputs, 0, inputs.size(), out, shape.vocabulary, false,
                   nullptr);
    });
    if (shape.exact_head.kind != ABSENT) refine(member, count, out);
}

// Compute the logits near the top again, from unquantised rows.
void Decoder::refine(Member& member, int count, float* out) {
    int64_t pieces = (shape.vocabulary + PIECE - 1) / PIECE;
    double* cells = nullptr;
    member.alone([&] { moments.room((size_t)count * pieces * 3); });
    cells = moments.data();
    auto end_of = [&](int64_t piece) {
        return (piece + 1) * PIECE < shape.vocabulary ? (piece + 1) * PIECE : shape.vocabulary;
    };
    member.share(count * pieces, 4, [&](int64_t task) {
        const float* logits = out + task / pieces * shape.vocabulary;
        double total = 0.0, squares = 0.0;
        float top = -INFINITY;
        for (int64_t i = task % pieces * PIECE; i < end_of(task % pieces); ++i) {
            total += logits[i];
            squares += (double)logits[i] * logits[i];
            top = logits[i] > top ? logits[i] : top;
        }
        cells[task * 3] = total, cells[task * 3 + 1] = squares, cells[task * 3 + 2] = top;
    });
    int64_t row_bytes = (int64_t)shape.hidden * (shape.exact_head.kind == FLOAT32 ? 4 : 2);
    member.share(count * pieces, 4, [&](int64_t task) {
        int64_t t = task / pieces;
        double total = 0.0, squares = 0.0, top = -INFINITY;
        for (int64_t i = t * pieces; i < (t + 1) * pieces; ++i) {
            total += cells[i * 3], squares += cells[i * 3 + 1];
            top = cells[i * 3 + 2] > top ? cells[i * 3 + 2] : top;
        }
        double mean = total / shape.vocabulary;
        double deviation = sqrt(fmax(squares / shape.vocabulary - mean * mean, 0.0));
        float threshold = fmax(top - REACH, fmin(mean + DEVIATIONS * deviation, top));
        float* logits = out + t * shape.vocabulary;
        Panel one = {};
        one.count = 1;
        one.rows[0] = normed.data() + t * shape.hidden;
        for (int64_t i = task % pieces * PIECE; i < end_of(task % pieces); ++i) {
            if (logits[i] < threshold) continue;
            float product[TILE_ROWS];
            kernels().plain_tile(shape.exact_head.kind, shape.exact_head.data + i * row_bytes, 1,
                                 shape.hidden, one, product);
            logits[i] = product[0];
        }
    });
}

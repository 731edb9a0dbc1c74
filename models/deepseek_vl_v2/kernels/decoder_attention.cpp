// Attention: projections, rotary positions, the cache, and attending to it.
#include <math.h>

#include <algorithm>

#include "decoder.h"
#include "vectors.h"

namespace {

constexpr int64_t CHUNK = 256;  // cached positions of one task

uint16_t to_bfloat16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return (uint16_t)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

void write_cache(bool bfloat16, void* row, const float* x, int width) {
    if (!bfloat16) memcpy(row, x, width * sizeof(float));
    else for (int i = 0; i < width; ++i) ((uint16_t*)row)[i] = to_bfloat16(x[i]);
}

// Half-split rotation; `interleaved` first gathers the even, then the odd channels.
void rotate(float* x, const float* cosines, const float* sines, int width, bool interleaved) {
    float turned[1024];
    for (int j = 0; j < width / 2; ++j) {
        float a = interleaved ? x[2 * j] : x[j];
        float b = interleaved ? x[2 * j + 1] : x[j + width / 2];
        turned[j] = a * cosines[j] - b * sines[j];
        turned[j + width / 2] = b * cosines[j] + a * sines[j];
    }
    memcpy(x, turned, width * sizeof(float));
}

}  // namespace

Decoder::Decoder(const DecoderShape& shape) : shape(shape) {
    query_width = shape.heads * shape.head_width;
    mixed_width = shape.heads * shape.value_width;
    int sharing = shape.latent_attention ? shape.heads : shape.heads / shape.key_value_heads;
    for (int first = 0; first < shape.heads; first += sharing)
        for (int h = 0; h < sharing;) {
            int count = sharing - h >= 4 ? 4 : sharing - h >= 2 ? 2 : 1;
            head_groups.push_back({first + h, count});
            h += count;
        }
}

void* Decoder::cell_of(int layer, const Row& row, void* cache, int64_t position, int head) const {
    int64_t cell = layer * row.layer_stride + head * row.head_stride + position * shape.cache_stride;
    return (uint8_t*)cache + cell * (shape.cache_is_bfloat16 ? 2 : 4);
}

void Decoder::project(Member& member, int index, const float* x, const std::vector<Row>& rows) {
    const Layer& layer = shape.layer[index];
    int tokens = rows.size();
    int key_width = shape.latent_attention ? layer.latent.rows : layer.key.rows;
    member.alone([&] {
        normed.room((size_t)tokens * shape.hidden);
        queries.room((size_t)tokens * query_width);
        keys.room((size_t)tokens * key_width);
        if (!shape.latent_attention) new_values.room((size_t)tokens * layer.value.rows);
        inputs.over_rows(normed.data(), shape.hidden, tokens, shape.hidden);
    });
    member.share(inputs.size(), 1, [&](int64_t p) {
        for (int t = 0; t < inputs[p].count; ++t) {
            int64_t token = inputs[p].output[t];
            kernels().rms_norm(x + token * shape.hidden, layer.input_norm, shape.norm_eps,
                               shape.hidden, normed.data() + token * shape.hidden);
        }
        if (is_packed(layer.query)) inputs.quantise(p);
    });
    const Matrix* matrices[] = {&layer.query, shape.latent_attention ? &layer.latent : &layer.key,
                                &layer.value};
    float* outputs[] = {queries.data(), keys.data(), new_values.data()};
    int count = shape.latent_attention ? 2 : 3;
    int total = 0;
    for (int i = 0; i < count; ++i) total += tiles_of(*matrices[i]);
    member.share(total, chunk_of(total, member.count()), [&](int64_t task) {
        int i = 0;
        for (; task >= tiles_of(*matrices[i]); ++i) task -= tiles_of(*matrices[i]);
        store_tile(*matrices[i], task, inputs, 0, inputs.size(), outputs[i], matrices[i]->rows,
                   false, nullptr);
    });
    member.share(tokens, 1, [&](int64_t t) { rotate_token(index, t, rows[t]); });
}

void Decoder::rotate_token(int index, int token, const Row& row) {
    const Layer& layer = shape.layer[index];
    int width = shape.latent_attention ? shape.rope : shape.head_width;
    float cosines[512], sines[512];
    for (int j = 0; j < width / 2; ++j) {
        float angle = (float)row.position * shape.rope_frequencies[j];
        cosines[j] = cosf(angle);
        sines[j] = sinf(angle);
    }
    float* query = queries.data() + (int64_t)token * query_width;
    int plain = shape.head_width - width;  // channels that do not rotate come first
    for (int h = 0; h < shape.heads; ++h)
        rotate(query + h * shape.head_width + plain, cosines, sines, width, shape.latent_attention);
    for (int i = 0; i < query_width; ++i) query[i] *= shape.score_scale;
    bool half = shape.cache_is_bfloat16;
    if (shape.latent_attention) {
        float* latent = keys.data() + (int64_t)token * layer.latent.rows;
        kernels().rms_norm(latent, layer.latent_norm, shape.latent_norm_eps, shape.rank, latent);
        rotate(latent + shape.rank, cosines, sines, width, true);
        write_cache(half, cell_of(index, row, row.keys, row.position), latent,
                    shape.rank + shape.rope);
        return;
    }
    float* key = keys.data() + (int64_t)token * layer.key.rows;
    const float* value = new_values.data() + (int64_t)token * layer.value.rows;
    for (int h = 0; h < shape.key_value_heads; ++h) {
        rotate(key + h * width, cosines, sines, width, false);
        write_cache(half, cell_of(index, row, row.keys, row.position, h), key + h * width, width);
        write_cache(half, cell_of(index, row, row.values, row.position, h), value + h * width, width);
    }
}

// Queries of every head, moved into the latent space, followed by their rotated part.
void Decoder::absorb(Member& member, const Layer& layer, int tokens) {
    int width = shape.cache_stride;
    member.alone([&] {
        absorbed.room((size_t)tokens * shape.heads * width);
        head_inputs.clear();
        for (int h = 0; h < shape.heads; ++h) head_inputs.plan(tokens, shape.nope);
        head_inputs.allocate();
        panels_of_head = head_inputs.size() / shape.heads;
        for (int h = 0; h < shape.heads; ++h)
            for (int t = 0; t < tokens; ++t)
                head_inputs.point(h * panels_of_head, t, queries.data() + (int64_t)t * query_width +
                                  h * shape.head_width, t);
    });
    bool packed = is_packed(layer.key_up);
    int parts_of_head = packed && shape.rank % 128 == 0 ? shape.rank / 128 : 1;
    if (packed)
        member.share(head_inputs.size(), 1, [&](int64_t p) { head_inputs.quantise(p); });
    member.share((int64_t)shape.heads * parts_of_head, 1, [&](int64_t task) {
        int h = task / parts_of_head, part = task % parts_of_head;
        int rows = shape.rank / parts_of_head;
        float* out = absorbed.data() + (int64_t)h * width;
        int64_t stride = (int64_t)shape.heads * width;
        for (int p = 0; packed && p < panels_of_head; ++p)
            row_range(layer.key_up, h * shape.rank + part * rows, rows,
                      head_inputs[h * panels_of_head + p],
                      out + p * MAX_PANEL * stride + part * rows, stride);
        for (int t = 0; part == 0 && t < tokens; ++t) {
            float* target = out + t * stride;
            const float* query = queries.data() + (int64_t)t * query_width + h * shape.head_width;
            if (!packed) {
                memset(target, 0, shape.rank * sizeof(float));
                int64_t first = (int64_t)h * (shape.nope + shape.value_width);
                int64_t bytes = (int64_t)shape.rank * (layer.latent_up.kind == FLOAT32 ? 4 : 2);
                for (int n = 0; n < shape.nope; ++n)
                    kernels().add_plain_row(layer.latent_up.kind,
                                            layer.latent_up.data + (first + n) * bytes, shape.rank,
                                            query[n], target);
            }
            memcpy(target + shape.rank, query + shape.nope, shape.rope * sizeof(float));
            for (int i = shape.rank + shape.rope; i < width; ++i) target[i] = 0.0f;
        }
    });
}

void Decoder::attend_cached(Member& member, int index, const std::vector<Row>& rows) {
    const Layer& layer = shape.layer[index];
    int tokens = rows.size(), groups = head_groups.size();
    bool latent = shape.latent_attention;
    if (latent) absorb(member, layer, tokens);
    int value_width = latent ? shape.rank : shape.head_width;
    auto chunks_of = [&](int64_t t) { return (rows[t].position + CHUNK) / CHUNK; };
    member.alone([&] {
        first_part.assign(1, 0);
        for (int t = 0; t < tokens; ++t)
            first_part.push_back(first_part[t] + groups * chunks_of(t));
        int64_t tasks = first_part[tokens];
        parts.room((size_t)tasks * 4 * value_width);
        peaks.room(tasks * 4);
        sums.room(tasks * 4);
        mixed.room((size_t)tokens * mixed_width);
        if (latent) contexts.room((size_t)tokens * shape.heads * shape.rank);
    });
    member.share(first_part[tokens], 1, [&](int64_t task) {
        int t = std::upper_bound(first_part.begin(), first_part.end(), task) - first_part.begin() - 1;
        int64_t place = task - first_part[t], chunks = chunks_of(t);
        attend_part(index, rows[t], t, place / chunks, place % chunks, task);
    });
    member.share(groups, 1, [&](int64_t group) {
        for (int i = 0; i < head_groups[group].second; ++i) {
            int head = head_groups[group].first + i;
            for (int t = 0; t < tokens; ++t) {
                float* out = latent
                    ? contexts.data() + ((int64_t)t * shape.heads + head) * shape.rank
                    : mixed.data() + (int64_t)t * mixed_width + head * value_width;
                mix_parts(first_part[t] + group * chunks_of(t), chunks_of(t), i, value_width, out);
            }
        }
    });
    if (latent) lift_contexts(member, layer, tokens);
}

// Partial sums of one group of heads over one chunk of a token's cached positions.
void Decoder::attend_part(int index, const Row& row, int token, int group, int chunk,
                          int64_t task) {
    bool latent = shape.latent_attention;
    int head = head_groups[group].first;
    int shared = latent ? 0 : head / (shape.heads / shape.key_value_heads);
    float scores[4 * (CHUNK + 16)];
    AttentionPart part = {};
    part.key_width = latent ? shape.cache_stride : shape.head_width;
    part.value_width = latent ? shape.rank : shape.head_width;
    part.queries = latent
        ? absorbed.data() + ((int64_t)token * shape.heads + head) * part.key_width
        : queries.data() + (int64_t)token * query_width + head * part.key_width;
    part.query_stride = part.key_width;
    part.heads = head_groups[group].second;
    part.cache_is_bfloat16 = shape.cache_is_bfloat16;
    part.keys = cell_of(index, row, row.keys, 0, shared);
    part.values = latent ? part.keys : cell_of(index, row, row.values, 0, shared);
    part.key_stride = part.value_stride = shape.cache_stride;
    part.begin = chunk * CHUNK;
    part.end = std::min(part.begin + CHUNK, row.position + 1);
    part.scores = scores;
    part.mixed = parts.data() + task * 4 * part.value_width;
    part.peak = peaks.data() + task * 4;
    part.sum = sums.data() + task * 4;
    kernels().attend(part);
}

// One head's partial sums of every chunk, brought to a common peak.
void Decoder::mix_parts(int64_t first, int chunks, int in_group, int width, float* out) {
    float top = -INFINITY, total = 0.0f;
    for (int c = 0; c < chunks; ++c) top = fmaxf(top, peaks.data()[(first + c) * 4 + in_group]);
    memset(out, 0, width * sizeof(float));
    for (int c = 0; c < chunks; ++c) {
        int64_t cell = (first + c) * 4 + in_group;
        float weight = expf(peaks.data()[cell] - top);
        total += weight * sums.data()[cell];
        kernels().add_scaled(parts.data() + cell * width, weight, width, out);
    }
    for (int i = 0; i < width; ++i) out[i] /= total;
}

// The values that the mixed latents of every head stand for; fills `mixed`.
void Decoder::lift_contexts(Member& member, const Layer& layer, int tokens) {
    member.alone([&] {
        head_inputs.clear();
        for (int h = 0; h < shape.heads; ++h) head_inputs.plan(tokens, shape.rank);
        head_inputs.allocate();
        for (int h = 0; h < shape.heads; ++h)
            for (int t = 0; t < tokens; ++t)
                head_inputs.point(h * panels_of_head, t, contexts.data() +
                                  ((int64_t)t * shape.heads + h) * shape.rank, t);
    });
    if (is_packed(layer.latent_up))
        member.share(head_inputs.size(), 1, [&](int64_t p) { head_inputs.quantise(p); });
    member.share(head_inputs.size(), 1, [&](int64_t p) {
        int64_t h = p / panels_of_head, first_token = p % panels_of_head * MAX_PANEL;
        int first = h * (shape.nope + shape.value_width) + shape.nope;
        row_range(layer.latent_up, first, shape.value_width, head_inputs[p],
                  mixed.data() + first_token * mixed_width + h * shape.value_width, mixed_width);
    });
}

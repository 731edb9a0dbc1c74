// What Python hands over: the decoder's shape, its weights, and the cache that it owns.
// kernels/structures.py mirrors these structures.
#pragma once
#include <stdint.h>

#include "packed.h"

struct Layer {
    const float* input_norm;
    const float* post_norm;
    Matrix query, key, value;            // plain attention
    Matrix latent, key_up, latent_up;    // kv_a_proj_with_mqa, key_absorbed, kv_b_proj
    const float* latent_norm;
    Matrix output;
    Matrix gate, up, down;               // dense MLP or shared experts; ABSENT if neither
    Matrix router;                       // ABSENT in a dense layer
    const float* router_bias;            // e_score_correction_bias or null
    const Matrix* experts;               // gate, up, down of every expert
};

// Where one row of a step stands: its sequence's cache, and its position there.
// Plain attention caches rotated keys and values [layers][kv heads][capacity][head width], so that
// each head's are one stream. Latent attention caches [layers][capacity][rank + rope, padded to 16]
// in `keys`: normed latent, rotated key.
struct Row {
    void* keys;
    void* values;
    int64_t layer_stride;                // elements from one layer to the next
    int64_t head_stride;                 // elements from one head to the next; 0 if latent
    int64_t position;
};

struct DecoderShape {
    int32_t hidden, vocabulary, layers, heads, key_value_heads, head_width;
    int32_t latent_attention, nope, rope, value_width, rank, cache_is_bfloat16;
    int64_t cache_stride;                // elements from one position to the next
    int32_t experts, top_k, scoring_is_sigmoid, groups, kept_groups, renormalise;
    float routed_scale, norm_eps, latent_norm_eps, score_scale;
    const float* rope_frequencies;       // 1 / theta ** (2 j / width)
    const float* final_norm;
    Matrix embedding, head;
    Matrix exact_head;                   // released rows of an int4 head, or ABSENT
    const Layer* layer;
};

// One decoder: the shape that Python handed over and the scratch memory of a run.
#pragma once
#include <vector>

#include "model.h"
#include "products.h"
#include "threads.h"

struct ExpertLoad {
    int expert;
    int first_panel, last_panel;  // into Decoder::expert_inputs and expert_gated
};

struct Decoder {
    explicit Decoder(const DecoderShape& shape);

    DecoderShape shape;
    int query_width;   // of all heads
    int mixed_width;   // of all heads' values

    Buffer<float> states;     // [T][hidden], the residual stream
    Buffer<float> normed;     // [T][hidden]
    Buffer<float> queries;    // [T][query width], scaled and rotated
    Buffer<float> keys;       // [T][key or latent width], before the cache
    Buffer<float> new_values; // [T][kv heads * head width]
    Buffer<float> absorbed;   // [T][heads][cache stride]: queries in the latent space
    Buffer<float> parts;      // partial attention sums
    Buffer<float> peaks;
    Buffer<float> sums;
    Buffer<float> contexts;   // [T][heads][rank]: mixed latents
    Buffer<float> mixed;      // [T][mixed width]
    Buffer<float> logits;     // [T][experts], of the router
    Buffer<float> gated;      // [T][intermediate]
    Buffer<float> expert_hidden;  // [T * top_k][expert intermediate]
    Buffer<float> expert_output;  // [T * top_k][hidden]
    Buffer<double> moments;       // sums over vocabulary tiles, for the threshold of `refine`
    std::vector<int64_t> first_part;  // of each token, into `parts`; one more at the end
    Buffer<float> routing_weights;  // [T * top_k]
    std::vector<int32_t> routing;   // [T * top_k] expert ids, ascending for each token
    std::vector<ExpertLoad> loads;
    Panels inputs, head_inputs, gated_inputs, expert_inputs, expert_gated;
    int panels_of_head = 0;       // of `head_inputs`
    std::vector<std::pair<int, int>> head_groups;  // first query head and number, 1, 2 or 4

    // Norm, projections and rotation of the tokens of `rows`; fills queries and the caches.
    void project(Member& member, int layer, const float* x, const std::vector<Row>& rows);
    // Attention of each token of `queries` over the cache of its row; fills `mixed`.
    void attend_cached(Member& member, int layer, const std::vector<Row>& rows);
    // x += output projection of `attended` [T][mixed width], then x += feed-forward of x.
    void finish(Member& member, const Layer& layer, float* x, const float* attended, int tokens);
    // Logits [count][vocabulary] of `count` residual rows.
    void predict(Member& member, const float* x, int count, float* out);

private:
    void refine(Member& member, int count, float* out);
    void rotate_token(int layer, int token, const Row& row);
    void* cell_of(int layer, const Row& row, void* cache, int64_t position, int head = 0) const;
    void absorb(Member& member, const Layer& layer, int tokens);
    void attend_part(int layer, const Row& row, int token, int group, int chunk, int64_t task);
    void mix_parts(int64_t first, int chunks, int member_of_group, int width, float* out);
    void lift_contexts(Member& member, const Layer& layer, int tokens);
    void feed_forward(Member& member, const Layer& layer, float* x, int tokens);
    void route(const Layer& layer, int tokens);
    void choose_experts(const Layer& layer, const float* logits, int32_t* ids, float* weights);
    void run_experts(Member& member, const Layer& layer, int tokens);
};

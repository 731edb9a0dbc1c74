// One decoder: the shape that Python handed over and the scratch memory of a run.
#pragma once
#include <vector>

#include "model.h"
#include "products.h"
#include "threads.h"

// Tokens that `attend_cached` takes at once; longer runs attend in torch.
constexpr int MAX_STEP_TOKENS = 16;

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
    Buffer<float> routing_weights;  // [T * top_k]
    std::vector<int32_t> routing;   // [T * top_k] expert ids, ascending for each token
    std::vector<ExpertLoad> loads;
    Panels inputs, head_inputs, gated_inputs, expert_inputs, expert_gated;
    std::vector<std::pair<int, int>> head_groups;  // first query head and number, 1, 2 or 4

    // Norm, projections and rotation of tokens at `position`...; fills queries and the cache.
    void project(Member& member, const Layer& layer, const float* x, int tokens, int64_t position);
    // Attention of `queries` over the cache, up to MAX_STEP_TOKENS tokens; fills `mixed`.
    void attend_cached(Member& member, const Layer& layer, int tokens, int64_t position);
    // x += output projection of `attended` [T][mixed width], then x += feed-forward of x.
    void finish(Member& member, const Layer& layer, float* x, const float* attended, int tokens);
    // Logits [count][vocabulary] of `count` residual rows.
    void predict(Member& member, const float* x, int count, float* out);

private:
    void refine(Member& member, int count, float* out);
    void rotate_token(const Layer& layer, int token, int64_t position);
    void absorb(Member& member, const Layer& layer, int tokens);
    void mix_parts(int task_base, int chunks, int member_of_group, int width, float* out);
    void feed_forward(Member& member, const Layer& layer, float* x, int tokens);
    void route(const Layer& layer, int tokens);
    void choose_experts(const Layer& layer, const float* logits, int32_t* ids, float* weights);
    void run_experts(Member& member, const Layer& layer, int tokens);
};

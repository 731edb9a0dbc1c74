// Output projection, router, experts, dense and shared MLPs.
#include <math.h>

#include <algorithm>

#include "decoder.h"

void Decoder::finish(Member& member, const Layer& layer, float* x, const float* attended,
                     int tokens) {
    member.alone([&] { inputs.over_rows(attended, mixed_width, tokens, mixed_width); });
    if (is_packed(layer.output))
        member.share(inputs.size(), 1, [&](int64_t p) { inputs.quantise(p); });
    int tiles = tiles_of(layer.output);
    member.share(tiles, chunk_of(tiles, member.count()), [&](int64_t tile) {
        store_tile(layer.output, tile, inputs, 0, inputs.size(), x, shape.hidden, true, nullptr);
    });
    feed_forward(member, layer, x, tokens);
}

void Decoder::feed_forward(Member& member, const Layer& layer, float* x, int tokens) {
    int width = layer.gate.rows;
    bool routed = layer.router.kind != ABSENT;
    member.alone([&] {
        normed.room((size_t)tokens * shape.hidden);
        inputs.over_rows(normed.data(), shape.hidden, tokens, shape.hidden);
        if (width) {
            gated.room((size_t)tokens * width);
            gated_inputs.over_rows(gated.data(), width, tokens, width);
        }
        if (routed) logits.room((size_t)tokens * shape.experts);
    });
    bool packed = is_packed(layer.gate) || (routed && is_packed(layer.experts[0]));
    member.share(inputs.size(), 1, [&](int64_t p) {
        for (int t = 0; t < inputs[p].count; ++t) {
            int64_t token = inputs[p].output[t];
            kernels().rms_norm(x + token * shape.hidden, layer.post_norm, shape.norm_eps,
                               shape.hidden, normed.data() + token * shape.hidden);
        }
        if (packed) inputs.quantise(p);
    });
    // The router and the MLP that every token passes need nothing from each other.
    int router_tiles = routed ? tiles_of(layer.router) : 0;
    int total = router_tiles + (width ? tiles_of(layer.gate) : 0);
    member.share(total, chunk_of(total, member.count()), [&](int64_t task) {
        if (task < router_tiles) {
            store_tile(layer.router, task, inputs, 0, inputs.size(), logits.data(), shape.experts,
                       false, nullptr);
            return;
        }
        gate_tile(layer.gate, layer.up, task - router_tiles, inputs, 0, inputs.size(),
                  gated.data(), width);
    });
    if (routed) run_experts(member, layer, tokens);
    if (width && is_packed(layer.down))
        member.share(gated_inputs.size(), 1, [&](int64_t p) { gated_inputs.quantise(p); });
    int down_tiles = width ? tiles_of(layer.down) : 0;
    if (width)
        member.share(down_tiles, chunk_of(down_tiles, member.count()), [&](int64_t tile) {
            store_tile(layer.down, tile, gated_inputs, 0, gated_inputs.size(), x, shape.hidden,
                       true, nullptr);
        });
    if (!routed) return;
    member.share(tokens, 1, [&](int64_t t) {
        for (int k = 0; k < shape.top_k; ++k) {
            int64_t pair = t * shape.top_k + k;
            kernels().add_scaled(expert_output.data() + pair * shape.hidden,
                                 routing_weights.data()[pair], shape.hidden,
                                 x + t * shape.hidden);
        }
    });
}

void Decoder::choose_experts(const Layer& layer, const float* scores, int32_t* ids,
                             float* weights) {
    int count = shape.experts, k = shape.top_k;
    std::vector<float> affinity(scores, scores + count), choice;
    if (shape.scoring_is_sigmoid) {
        for (float& a : affinity) a = 1.0f / (1.0f + expf(-a));
    } else {
        float top = *std::max_element(affinity.begin(), affinity.end()), total = 0.0f;
        for (float& a : affinity) total += a = expf(a - top);
        for (float& a : affinity) a /= total;
    }
    choice = affinity;
    if (layer.router_bias) {
        for (int e = 0; e < count; ++e) choice[e] += layer.router_bias[e];
        int size = count / shape.groups;
        std::vector<std::pair<float, int>> order;
        for (int g = 0; g < shape.groups && shape.groups > 1; ++g) {
            std::vector<float> best(choice.begin() + g * size, choice.begin() + (g + 1) * size);
            std::partial_sort(best.begin(), best.begin() + 2, best.end(), std::greater<float>());
            order.push_back({-(best[0] + best[1]), g});
        }
        std::sort(order.begin(), order.end());
        // Zero, not minus infinity: a dropped group's expert can still win, as it does upstream.
        for (size_t i = shape.kept_groups; i < order.size(); ++i)
            std::fill_n(choice.begin() + order[i].second * size, size, 0.0f);
    }
    std::vector<int32_t> all(count);
    for (int e = 0; e < count; ++e) all[e] = e;
    std::partial_sort(all.begin(), all.begin() + k, all.end(), [&](int a, int b) {
        return choice[a] > choice[b] || (choice[a] == choice[b] && a < b);
    });
    std::sort(all.begin(), all.begin() + k);
    float total = 0.0f;
    for (int i = 0; i < k; ++i) total += affinity[all[i]];
    bool renormalise = shape.renormalise && k > 1;
    // The plain router ignores the factor when it renormalises; upstream as well.
    float scale = renormalise && !layer.router_bias ? 1.0f : shape.routed_scale;
    for (int i = 0; i < k; ++i) {
        ids[i] = all[i];
        weights[i] = affinity[all[i]] / (renormalise ? total + 1e-20f : 1.0f) * scale;
    }
}

// Choose every token's experts and line up, for each expert, the tokens that it gets.
void Decoder::route(const Layer& layer, int tokens) {
    int k = shape.top_k, pairs = tokens * k;
    routing.resize(pairs);
    routing_weights.room(pairs);
    for (int t = 0; t < tokens; ++t)
        choose_experts(layer, logits.data() + (int64_t)t * shape.experts, routing.data() + t * k,
                       routing_weights.data() + t * k);
    std::vector<std::vector<int>> pairs_of(shape.experts);
    for (int pair = 0; pair < pairs; ++pair) pairs_of[routing[pair]].push_back(pair);
    int width = layer.experts[0].rows;
    expert_hidden.room((size_t)pairs * width);
    expert_output.room((size_t)pairs * shape.hidden);
    loads.clear();
    expert_inputs.clear();
    expert_gated.clear();
    for (int e = 0; e < shape.experts; ++e) {
        if (pairs_of[e].empty()) continue;
        int first = expert_inputs.plan(pairs_of[e].size(), shape.hidden);
        expert_gated.plan(pairs_of[e].size(), width);
        loads.push_back({e, first, expert_inputs.size()});
    }
    expert_inputs.allocate();
    expert_gated.allocate();
    for (const ExpertLoad& load : loads) {
        const std::vector<int>& mine = pairs_of[load.expert];
        for (size_t i = 0; i < mine.size(); ++i) {
            int64_t token = mine[i] / k;
            expert_inputs.point(load.first_panel, i, normed.data() + token * shape.hidden, mine[i]);
            expert_gated.point(load.first_panel, i, expert_hidden.data() + (int64_t)mine[i] * width,
                               mine[i]);
        }
        if (tokens == 1) expert_inputs[load.first_panel].share_values(inputs[0]);
    }
}

void Decoder::run_experts(Member& member, const Layer& layer, int tokens) {
    member.alone([&] { route(layer, tokens); });
    bool packed = is_packed(layer.experts[0]);
    if (packed && tokens > 1)
        member.share(expert_inputs.size(), 1, [&](int64_t p) { expert_inputs.quantise(p); });
    int width = layer.experts[0].rows, tiles = tiles_of(layer.experts[0]);
    int64_t total = (int64_t)loads.size() * tiles;
    member.share(total, chunk_of(total, member.count()), [&](int64_t task) {
        const ExpertLoad& load = loads[task / tiles];
        const Matrix* expert = layer.experts + 3 * load.expert;
        gate_tile(expert[0], expert[1], task % tiles, expert_inputs, load.first_panel,
                  load.last_panel, expert_hidden.data(), width);
    });
    if (packed)
        member.share(expert_gated.size(), 1, [&](int64_t p) { expert_gated.quantise(p); });
    tiles = tiles_of(layer.experts[2]);
    total = (int64_t)loads.size() * tiles;
    member.share(total, chunk_of(total, member.count()), [&](int64_t task) {
        const ExpertLoad& load = loads[task / tiles];
        store_tile(layer.experts[3 * load.expert + 2], task % tiles, expert_gated,
                   load.first_panel, load.last_panel, expert_output.data(), shape.hidden, false,
                   nullptr);
    });
}

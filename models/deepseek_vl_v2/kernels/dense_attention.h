// Attention of many queries at once: the tower's tiles and prompts.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Heads of one batch of queries against their keys; strides in elements, from one batch, head or
// position to the next. A position's channels follow each other. kernels/structures.py mirrors it.
struct DenseAttention {
    const void* queries;  // [batch][heads][query_count][key_width]
    const void* keys;     // [batch][heads][key_count][key_width]
    const void* values;   // [batch][heads][key_count][value_width]
    void* out;            // [batch][heads][query_count][value_width]
    int64_t query_strides[3], key_strides[3], value_strides[3], out_strides[3];
    int32_t batch, heads, query_count, key_count;
    int32_t key_width;        // even
    int32_t value_width;
    int32_t causal;           // query i sees keys up to key_count - query_count + i
    int32_t in_is_float32;    // queries, keys and values; bfloat16 otherwise
    int32_t out_is_float32;   // bfloat16 otherwise
    float scale;              // of a query's product with a key
};

// The same products in bfloat16: dense_attention_bfloat16.cpp. Whether it was compiled, and the
// processor has them.
bool bfloat16_attention_runs();
// Bytes of scratch memory for one head, in whole cache lines.
size_t bfloat16_attention_bytes(const DenseAttention& attention);
// One head; `scratch` on a cache line.
void attend_head_in_bfloat16(const DenseAttention& attention, int batch, int head, uint8_t* scratch);

// Sixteen-lane float arithmetic in the compiler's vector extension: each file that includes this
// is compiled for one instruction set, and everything here has internal linkage.
#pragma once
#include <stdint.h>
#include <string.h>

#include "packed.h"

namespace {

typedef float Lanes __attribute__((vector_size(64)));
typedef int32_t LanesInt __attribute__((vector_size(64)));
typedef uint32_t LanesBits __attribute__((vector_size(64)));
typedef uint16_t LanesHalf __attribute__((vector_size(32)));

#define INLINE static inline __attribute__((always_inline))

INLINE Lanes broadcast(float x) { return x - Lanes{}; }

INLINE Lanes load(const float* p) {
    Lanes v;
    memcpy(&v, p, sizeof v);
    return v;
}

INLINE void store(float* p, Lanes v) { memcpy(p, &v, sizeof v); }

INLINE Lanes load(const uint16_t* p) {
    LanesHalf half;
    memcpy(&half, p, sizeof half);
    LanesBits bits = __builtin_convertvector(half, LanesBits) << 16;
    Lanes v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

INLINE float to_float(float x) { return x; }

INLINE float to_float(uint16_t x) {
    uint32_t bits = (uint32_t)x << 16;
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

INLINE float sum(Lanes v) {
    typedef float Half __attribute__((vector_size(32)));
    typedef float Quarter __attribute__((vector_size(16)));
    Half parts[2];
    memcpy(parts, &v, sizeof v);
    Half half = parts[0] + parts[1];
    Quarter quarters[2];
    memcpy(quarters, &half, sizeof half);
    Quarter quarter = quarters[0] + quarters[1];
    return (quarter[0] + quarter[2]) + (quarter[1] + quarter[3]);
}

INLINE Lanes maximum(Lanes a, Lanes b) { return a > b ? a : b; }

INLINE float highest(Lanes v) {
    typedef float Half __attribute__((vector_size(32)));
    typedef float Quarter __attribute__((vector_size(16)));
    Half parts[2];
    memcpy(parts, &v, sizeof v);
    Half half = parts[0] > parts[1] ? parts[0] : parts[1];
    Quarter quarters[2];
    memcpy(quarters, &half, sizeof half);
    Quarter quarter = quarters[0] > quarters[1] ? quarters[0] : quarters[1];
    float a = quarter[0] > quarter[2] ? quarter[0] : quarter[2];
    float b = quarter[1] > quarter[3] ? quarter[1] : quarter[3];
    return a > b ? a : b;
}

INLINE int32_t sum(LanesInt v) {
    typedef int32_t Half __attribute__((vector_size(32)));
    typedef int32_t Quarter __attribute__((vector_size(16)));
    Half parts[2];
    memcpy(parts, &v, sizeof v);
    Half half = parts[0] + parts[1];
    Quarter quarters[2];
    memcpy(quarters, &half, sizeof half);
    Quarter quarter = quarters[0] + quarters[1];
    return (quarter[0] + quarter[2]) + (quarter[1] + quarter[3]);
}

// Nearest integer, ties to even. The barrier keeps the product from being fused with the sum,
// so that every instruction set and torch round alike.
INLINE LanesInt round_product(Lanes x, float factor) {
    const float to_integer = 12582912.0f;
    Lanes product = x * factor;
    asm volatile("" : "+m"(product));
    return __builtin_convertvector((product + to_integer) - to_integer, LanesInt);
}

// e^x to 2 units in the last place between -87 and 88, clamped outside (Cephes' polynomial).
INLINE Lanes exponential(Lanes x) {
    x = maximum(x, broadcast(-87.0f));
    x = x < broadcast(88.0f) ? x : broadcast(88.0f);
    const float to_integer = 12582912.0f;  // 1.5 * 2^23: adding it rounds to the nearest integer
    Lanes shifted = x * 1.44269504088896341f + to_integer;
    Lanes power = shifted - to_integer;
    Lanes rest = x - power * 0.693359375f;
    rest = rest + power * 2.12194440e-4f;
    Lanes p = rest * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * rest + 8.3334519073e-3f;
    p = p * rest + 4.1665795894e-2f;
    p = p * rest + 1.6666665459e-1f;
    p = p * rest + 5.0000001201e-1f;
    p = p * rest * rest + rest + 1.0f;
    LanesInt exponent = (__builtin_convertvector(power, LanesInt) + 127) << 23;
    Lanes scale;
    memcpy(&scale, &exponent, sizeof scale);
    return p * scale;
}

}  // namespace

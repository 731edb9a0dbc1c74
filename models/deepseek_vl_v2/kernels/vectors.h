// Sixteen-lane arithmetic in the compiler's vector extension: each file that includes this is
// compiled for one instruction set, and everything here has internal linkage. A vector is made of
// registers of that instruction set: compilers take wider ones apart lane by lane.
#pragma once
#include <stdint.h>
#include <string.h>

#include "packed.h"

namespace {

#define INLINE static inline __attribute__((always_inline))

#if defined(__AVX512BW__)
constexpr int REGISTER_BYTES = 64;
#elif defined(__AVX2__)
constexpr int REGISTER_BYTES = 32;
#else
constexpr int REGISTER_BYTES = 16;
#endif

// N numbers, in one register or in two halves.
template <typename T, int N, bool ONE = N * sizeof(T) <= REGISTER_BYTES>
struct Vec;

template <typename T, int N>
struct Vec<T, N, true> {
    typedef T Register __attribute__((vector_size(N * sizeof(T))));
    Register v;
};

template <typename T, int N>
struct Vec<T, N, false> {
    Vec<T, N / 2> low, high;
};

typedef Vec<float, 16> Lanes;
typedef Vec<int32_t, 16> LanesInt;
typedef Vec<uint32_t, 16> LanesBits;

template <typename T>
struct Scalar {
    typedef T Type;
};

template <typename V>
struct Lane;
template <typename T, int N, bool ONE>
struct Lane<Vec<T, N, ONE>> {
    typedef T Type;
};

template <typename T, int N>
INLINE Vec<T, N> filled(T x) {
    if constexpr (N * sizeof(T) <= REGISTER_BYTES) return {x - typename Vec<T, N>::Register{}};
    else return {filled<T, N / 2>(x), filled<T, N / 2>(x)};
}

INLINE Lanes broadcast(float x) { return filled<float, 16>(x); }

#define LANEWISE(op)                                                                      \
    template <typename T, int N>                                                          \
    INLINE Vec<T, N, true> operator op(Vec<T, N, true> a, Vec<T, N, true> b) {            \
        return {a.v op b.v};                                                              \
    }                                                                                     \
    template <typename T, int N>                                                          \
    INLINE Vec<T, N, false> operator op(Vec<T, N, false> a, Vec<T, N, false> b) {         \
        return {a.low op b.low, a.high op b.high};                                        \
    }                                                                                     \
    template <typename T, int N, bool ONE>                                                \
    INLINE Vec<T, N, ONE> operator op(Vec<T, N, ONE> a, typename Scalar<T>::Type b) {     \
        return a op filled<T, N>(b);                                                \
    }
LANEWISE(+)
LANEWISE(-)
LANEWISE(*)
LANEWISE(/)
LANEWISE(&)
#undef LANEWISE

template <typename T, int N, bool ONE>
INLINE Vec<T, N, ONE>& operator+=(Vec<T, N, ONE>& a, Vec<T, N, ONE> b) {
    return a = a + b;
}

template <typename T, int N, bool ONE>
INLINE Vec<T, N, ONE> operator-(Vec<T, N, ONE> a) {
    return filled<T, N>(0) - a;
}

template <int BY, typename T, int N>
INLINE Vec<T, N> shifted_left(Vec<T, N, true> a) {
    return {a.v << BY};
}
template <int BY, typename T, int N>
INLINE Vec<T, N> shifted_left(Vec<T, N, false> a) {
    return {shifted_left<BY>(a.low), shifted_left<BY>(a.high)};
}
template <int BY, typename T, int N>
INLINE Vec<T, N> shifted_right(Vec<T, N, true> a) {
    return {a.v >> BY};
}
template <int BY, typename T, int N>
INLINE Vec<T, N> shifted_right(Vec<T, N, false> a) {
    return {shifted_right<BY>(a.low), shifted_right<BY>(a.high)};
}

template <typename T, int N>
INLINE Vec<T, N> maximum(Vec<T, N, true> a, Vec<T, N, true> b) {
    return {a.v > b.v ? a.v : b.v};
}
template <typename T, int N>
INLINE Vec<T, N> maximum(Vec<T, N, false> a, Vec<T, N, false> b) {
    return {maximum(a.low, b.low), maximum(a.high, b.high)};
}
template <typename T, int N>
INLINE Vec<T, N> minimum(Vec<T, N, true> a, Vec<T, N, true> b) {
    return {a.v < b.v ? a.v : b.v};
}
template <typename T, int N>
INLINE Vec<T, N> minimum(Vec<T, N, false> a, Vec<T, N, false> b) {
    return {minimum(a.low, b.low), minimum(a.high, b.high)};
}

// All bits of a lane set where a > b, else none.
template <typename T, int N>
INLINE auto greater(Vec<T, N, true> a, Vec<T, N, true> b) {
    if constexpr (sizeof(T) == 4) return Vec<int32_t, N>{a.v > b.v};
    else return Vec<int16_t, N>{a.v > b.v};
}
template <typename T, int N>
INLINE auto greater(Vec<T, N, false> a, Vec<T, N, false> b) {
    auto low = greater(a.low, b.low);
    return Vec<typename Lane<decltype(low)>::Type, N>{low, greater(a.high, b.high)};
}

// Every number as one of another type of the same size.
template <typename U, typename T, int N>
INLINE Vec<U, N> converted(Vec<T, N, true> a) {
    return {__builtin_convertvector(a.v, typename Vec<U, N>::Register)};
}
template <typename U, typename T, int N>
INLINE Vec<U, N> converted(Vec<T, N, false> a) {
    return {converted<U>(a.low), converted<U>(a.high)};
}

// Narrower numbers from memory, and wider ones cut down to it.
template <typename U, int N, typename T>
INLINE Vec<U, N> load_wider(const T* p) {
    if constexpr (N * sizeof(U) <= REGISTER_BYTES) {
        typedef T Narrow __attribute__((vector_size(N * sizeof(T))));
        Narrow narrow;
        memcpy(&narrow, p, sizeof narrow);
        return {__builtin_convertvector(narrow, typename Vec<U, N>::Register)};
    } else {
        return {load_wider<U, N / 2>(p), load_wider<U, N / 2>(p + N / 2)};
    }
}
template <typename T, typename U, int N>
INLINE void store_narrower(T* p, Vec<U, N, true> a) {
    typedef T Narrow __attribute__((vector_size(N * sizeof(T))));
    Narrow narrow = __builtin_convertvector(a.v, Narrow);
    memcpy(p, &narrow, sizeof narrow);
}
template <typename T, typename U, int N>
INLINE void store_narrower(T* p, Vec<U, N, false> a) {
    store_narrower(p, a.low);
    store_narrower(p + N / 2, a.high);
}

// The same bits read as other numbers.
template <typename U, typename T, int N>
INLINE Vec<U, N> reread(Vec<T, N, true> a) {
    return {(typename Vec<U, N>::Register)a.v};
}
template <typename U, typename T, int N>
INLINE Vec<U, N> reread(Vec<T, N, false> a) {
    return {reread<U>(a.low), reread<U>(a.high)};
}

// Keeps the compiler from fusing what made `a` with what uses it.
template <typename T, int N>
INLINE void round_here(Vec<T, N, true>& a) {
#if defined(__x86_64__)
    asm volatile("" : "+v"(a.v));
#elif defined(__aarch64__)
    asm volatile("" : "+w"(a.v));
#else
    asm volatile("" : "+m"(a.v));
#endif
}
template <typename T, int N>
INLINE void round_here(Vec<T, N, false>& a) {
    round_here(a.low);
    round_here(a.high);
}

// Register by register: a copy of a whole Vec would go through memory.
template <typename T, int N>
INLINE Vec<T, N> loaded(const void* p) {
    if constexpr (N * sizeof(T) <= REGISTER_BYTES) {
        Vec<T, N> v;
        memcpy(&v.v, p, sizeof v.v);
        return v;
    } else {
        const uint8_t* bytes = (const uint8_t*)p;
        return {loaded<T, N / 2>(bytes), loaded<T, N / 2>(bytes + N / 2 * sizeof(T))};
    }
}
template <typename T, int N>
INLINE void stored(T* p, Vec<T, N, true> v) {
    memcpy(p, &v.v, sizeof v.v);
}
template <typename T, int N>
INLINE void stored(T* p, Vec<T, N, false> v) {
    stored(p, v.low);
    stored(p + N / 2, v.high);
}

INLINE Lanes load(const float* p) { return loaded<float, 16>(p); }

INLINE Lanes load(const uint16_t* p) {
    return reread<float>(shifted_left<16>(load_wider<uint32_t, 16>(p)));
}

INLINE void store(float* p, Lanes v) { stored(p, v); }

INLINE float to_float(float x) { return x; }

INLINE float to_float(uint16_t x) {
    uint32_t bits = (uint32_t)x << 16;
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

uint16_t nearest_bfloat16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return (uint16_t)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

// Both halves together, until four numbers are left; always the same order.
template <typename T, int N, bool ONE, typename F>
INLINE T folded(Vec<T, N, ONE> a, F f) {
    if constexpr (N == 4) {
        return f(f(a.v[0], a.v[2]), f(a.v[1], a.v[3]));
    } else if constexpr (ONE) {
        Vec<T, N / 2> halves[2];
        memcpy(halves, &a, sizeof a);
        return folded(f(halves[0], halves[1]), f);
    } else {
        return folded(f(a.low, a.high), f);
    }
}

struct Add {
    template <typename V>
    __attribute__((always_inline)) V operator()(V a, V b) const {
        return a + b;
    }
};

struct Larger {
    template <typename V>
    __attribute__((always_inline)) V operator()(V a, V b) const {
        return maximum(a, b);
    }
    __attribute__((always_inline)) float operator()(float a, float b) const {
        return a > b ? a : b;
    }
};

template <typename T, int N, bool ONE>
INLINE T sum(Vec<T, N, ONE> v) {
    return folded(v, Add());
}

INLINE float highest(Lanes v) { return folded(v, Larger()); }

// Nearest integer, ties to even. The barrier keeps the product from being fused with the sum,
// so that every instruction set and torch round alike.
INLINE LanesInt round_product(Lanes x, float factor) {
    const float to_integer = 12582912.0f;
    Lanes product = x * factor;
    round_here(product);
    return converted<int32_t>((product + to_integer) - to_integer);
}

// e^x to 2 units in the last place between -87 and 88, clamped outside (Cephes' polynomial).
INLINE Lanes exponential(Lanes x) {
    x = minimum(maximum(x, broadcast(-87.0f)), broadcast(88.0f));
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
    return p * reread<float>(shifted_left<23>(converted<int32_t>(power) + 127));
}

}  // namespace

// Numbers in memory and functions for generated CUDA sources; precedes cuda_loops.h.

#ifdef __CUDACC__
#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#endif
#ifndef NAN
#define NAN __int_as_float(0x7fffffff)
#endif
#endif
#define SJ_INLINE __device__ __forceinline__

namespace sj {

// ---- numbers in memory ----

struct half {
    unsigned short bits;
};
struct bf16 {
    unsigned short bits;
};

SJ_INLINE float number(float x) { return x; }
SJ_INLINE double number(double x) { return x; }
SJ_INLINE void put(float& to, float x) { to = x; }
SJ_INLINE void put(double& to, double x) { to = x; }

#ifdef __CUDACC__
SJ_INLINE unsigned bits_of(float x) { return __float_as_uint(x); }
SJ_INLINE float float_of(unsigned bits) { return __uint_as_float(bits); }
SJ_INLINE float number(half x) {
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
    return y;
}
SJ_INLINE void put(half& to, float x) {
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(to.bits) : "f"(x));
}
#else
SJ_INLINE unsigned bits_of(float x) { return __builtin_bit_cast(unsigned, x); }
SJ_INLINE float float_of(unsigned bits) { return __builtin_bit_cast(float, bits); }
SJ_INLINE float number(half x) { return float(__builtin_bit_cast(_Float16, x.bits)); }
SJ_INLINE void put(half& to, float x) {
    to.bits = __builtin_bit_cast(unsigned short, static_cast<_Float16>(x));
}
#endif

SJ_INLINE float number(bf16 x) { return float_of(unsigned(x.bits) << 16); }
SJ_INLINE void put(bf16& to, float x) {  // to nearest, halves to even; NaN stays NaN
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(to.bits) : "f"(x));
#else
    const unsigned bits = bits_of(x);
    to.bits = x != x ? 0x7fc0u : (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
#endif
}

// V neighbours, read and written by one instruction
template <class IO, int V>
struct alignas(sizeof(IO) * V) Pack {
    IO item[V];
};
template <int V, class IO>
SJ_INLINE Pack<IO, V> load(const IO* from) {
    return *reinterpret_cast<const Pack<IO, V>*>(from);
}
template <class IO, int V>
SJ_INLINE void store(IO* to, const Pack<IO, V>& pack) {
    *reinterpret_cast<Pack<IO, V>*>(to) = pack;
}

// ---- functions, as torch computes them on a GPU ----

#define SJ_FUNCTION(name, of_float, of_double)              \
    SJ_INLINE float name(float x) { return of_float(x); }   \
    SJ_INLINE double name(double x) { return of_double(x); }
SJ_FUNCTION(exponential, expf, exp)
SJ_FUNCTION(logarithm, logf, log)
SJ_FUNCTION(sine, sinf, sin)
SJ_FUNCTION(cosine, cosf, cos)
SJ_FUNCTION(hyperbolic_tangent, tanhf, tanh)
SJ_FUNCTION(arc_tangent, atanf, atan)
SJ_FUNCTION(error_function, erff, erf)
SJ_FUNCTION(magnitude, fabsf, fabs)
SJ_FUNCTION(to_integer, rintf, rint)
SJ_FUNCTION(square_root, sqrtf, sqrt)
SJ_INLINE float power(float x, float y) { return powf(x, y); }
SJ_INLINE double power(double x, double y) { return pow(x, y); }

template <class R>
SJ_INLINE R logistic(R x) {
    return R(1) / (R(1) + exponential(-x));
}
template <class R>
SJ_INLINE R sign_of(R x) {
    return R(x > R(0)) - R(x < R(0));
}
template <class R>
SJ_INLINE R smaller(R a, R b) {  // either being NaN, NaN
    return (a < b || a != a) ? a : b;
}
template <class R>
SJ_INLINE R larger(R a, R b) {
    return (a > b || a != a) ? a : b;
}

}  // namespace sj

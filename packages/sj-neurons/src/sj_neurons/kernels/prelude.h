// What every generated kernel starts with: number types, functions that vectorise, rows.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#if defined(__SSE2__)
#include <emmintrin.h>  // not immintrin.h, which takes longer to read than a kernel to compile
#endif

namespace {

// ---- numbers in memory ----

struct bf16 {
    uint16_t bits;
};

inline float number(float x) { return x; }
inline double number(double x) { return x; }
inline float number(bf16 x) { return __builtin_bit_cast(float, uint32_t(x.bits) << 16); }

inline void put(float& to, float x) { to = x; }
inline void put(double& to, double x) { to = x; }
inline void put(bf16& to, float x) {  // to nearest, halves to even; NaN stays NaN
    const uint32_t bits = __builtin_bit_cast(uint32_t, x);
    const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    to.bits = uint16_t(x != x ? 0x7fc0u : rounded);
}

// ---- exp without a call, so that loops around it vectorise ----
// exp(x) = 2^n exp(r), |r| <= log(2) / 2, and a Taylor series for exp(r) - 1. Nothing here branches or
// converts to an integer: n is read from the mantissa of n + 1.5 2^23 (2^52), whatever x is.

// a * b + c, rounded once where the processor does that; the last bit of exp is nobody's
template <class R>
inline R mad(R a, R b, R c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    return std::fma(a, b, c);
#else
    return a * b + c;
#endif
}

inline float power_of_two(uint32_t n) { return __builtin_bit_cast(float, (n + 127) << 23); }
inline double power_of_two(uint64_t n) { return __builtin_bit_cast(double, (n + 1023) << 52); }
inline uint32_t half_of(uint32_t n) { return uint32_t(int32_t(n) >> 1); }
inline uint64_t half_of(uint64_t n) { return uint64_t(int64_t(n) >> 1); }

struct Reduced {
    float r;
    uint32_t n;
};
struct ReducedDouble {
    double r;
    uint64_t n;
};

inline Reduced reduce(float x) {
    const float place = mad(x, 1.44269504f, 12582912.f);
    const float n = place - 12582912.f;
    return {mad(n, 2.12194440e-4f, mad(n, -0.693359375f, x)),
            __builtin_bit_cast(uint32_t, place) - 0x4b400000u};
}
inline ReducedDouble reduce(double x) {
    const double place = mad(x, 1.4426950408889634, 6755399441055744.);
    const double n = place - 6755399441055744.;
    const double r = mad(n, -6.93147180369123816490e-01, x);
    return {mad(n, -1.90821492927058770002e-10, r),
            __builtin_bit_cast(uint64_t, place) - 0x4338000000000000u};
}

inline float series(float r) {
    float y = 1.f / 5040;
    y = mad(y, r, 1.f / 720);
    y = mad(y, r, 1.f / 120);
    y = mad(y, r, 1.f / 24);
    y = mad(y, r, 1.f / 6);
    y = mad(y, r, 0.5f);
    return mad(y, r * r, r);
}
inline double series(double r) {
    double y = 1. / 6227020800;
    y = mad(y, r, 1. / 479001600);
    y = mad(y, r, 1. / 39916800);
    y = mad(y, r, 1. / 3628800);
    y = mad(y, r, 1. / 362880);
    y = mad(y, r, 1. / 40320);
    y = mad(y, r, 1. / 5040);
    y = mad(y, r, 1. / 720);
    y = mad(y, r, 1. / 120);
    y = mad(y, r, 1. / 24);
    y = mad(y, r, 1. / 6);
    y = mad(y, r, 0.5);
    return mad(y, r * r, r);
}

template <class R>
struct Range;
template <>
struct Range<float> {
    static constexpr float low = -104.f, high = 89.f, flat = 10.f;
};
template <>
struct Range<double> {
    static constexpr double low = -746., high = 710., flat = 20.;
};

// NaN stays NaN: r is one, and no comparison holds
template <class R>
inline R sj_exp(R x) {
    const auto part = reduce(x);
    const auto half = half_of(part.n);  // in two factors: 2^n alone may be out of range
    const R y = (series(part.r) + R(1)) * power_of_two(half) * power_of_two(part.n - half);
    const R positive = x > Range<R>::high ? R(INFINITY) : y;
    return x < Range<R>::low ? R(0) : positive;
}

template <class R>
inline R sj_sigmoid(R x) {
    return R(1) / (R(1) + sj_exp(-x));
}

// (e - 1) / (e + 1) with e = exp(2 x), and e - 1 without cancellation
template <class R>
inline R sj_tanh(R x) {
    const R inside = std::fabs(x) > Range<R>::flat ? std::copysign(Range<R>::flat, x) : x;
    const auto part = reduce(inside * R(2));
    const R scale = power_of_two(part.n);
    const R below = mad(scale, series(part.r), scale - R(1));
    return below / (below + R(2));
}

template <class R>
inline R sj_sign(R x) {
    return R(x > R(0)) - R(x < R(0));
}
template <class R>
inline R sj_minimum(R a, R b) {
    return (a < b || a != a) ? a : b;
}
template <class R>
inline R sj_maximum(R a, R b) {
    return (a > b || a != a) ? a : b;
}

// ---- rows of neurons ----

template <class R>
inline void fill_state(R* __restrict to, const R* from, R rest, int64_t first, int length) {
    if (from != nullptr) {
        std::memcpy(to, from + first, size_t(length) * sizeof(R));
    } else {
        for (int i = 0; i < length; ++i) to[i] = rest;
    }
}

// parameter of neuron n: from[(n / inner) % size]
template <class R>
inline void fill_parameter(R* __restrict to, const R* from, int64_t inner, int64_t size,
                           int64_t first, int length) {
    int64_t index = (first / inner) % size;
    if (inner == 1) {
        for (int i = 0; i < length; index = 0) {
            const int run = int(size - index < length - i ? size - index : length - i);
            std::memcpy(to + i, from + index, size_t(run) * sizeof(R));
            i += run;
        }
        return;
    }
    int64_t left = inner - first % inner;
    for (int i = 0; i < length;) {
        const int run = int(left < length - i ? left : length - i);
        const R value = from[index];
        for (int j = 0; j < run; ++j) to[i + j] = value;
        i += run;
        left = inner;
        if (++index == size) index = 0;
    }
}

// the other way round: to[(n / inner) % size] += from[n]
template <class R>
inline void add_to_parameter(double* to, const R* __restrict from, int64_t inner, int64_t size,
                             int64_t first, int length) {
    int64_t index = (first / inner) % size;
    if (inner == 1 && size > 1) {
        for (int i = 0; i < length; index = 0) {
            const int run = int(size - index < length - i ? size - index : length - i);
#pragma omp simd
            for (int j = 0; j < run; ++j) to[index + j] += double(from[i + j]);
            i += run;
        }
        return;
    }
    int64_t left = inner - first % inner;
    for (int i = 0; i < length;) {
        const int run = int(left < length - i ? left : length - i);
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int j = 0; j < run; ++j) sum += double(from[i + j]);
        to[index] += sum;
        i += run;
        left = inner;
        if (++index == size) index = 0;
    }
}

template <class IO, class R>
inline void put_row(IO* __restrict to, const R* __restrict from, int length) {
    for (int i = 0; i < length; ++i) put(to[i], from[i]);
}

template <class IO, class R>
inline void add_row(R* __restrict to, const IO* __restrict from, int length) {
    for (int i = 0; i < length; ++i) to[i] += number(from[i]);
}

// where a row of gradients is computed: in its place if types agree and nothing else is to be done
inline float* row_for(float* target, float* buffer, bool aside) { return aside ? buffer : target; }
inline double* row_for(double* target, double* buffer, bool aside) {
    return aside ? buffer : target;
}
inline float* row_for(bf16*, float* buffer, bool) { return buffer; }

// asks the second cache for a row; an address past the end does no harm
template <class IO>
inline void fetch_ahead(const IO* from, int length) {
    for (int i = 0; i < length; i += int(64 / sizeof(IO))) __builtin_prefetch(from + i, 0, 2);
}

#if defined(__AVX512F__)
typedef long long Line __attribute__((vector_size(64), aligned(1), may_alias));
#endif

// past the caches: for tensors too large to find in a cache what was written
template <class IO>
inline void stream_row(IO* to, const IO* from, int length) {
#if defined(__SSE2__)
    auto* target = reinterpret_cast<char*>(to);
    auto* source = reinterpret_cast<const char*>(from);
    size_t left = size_t(length) * sizeof(IO);
    size_t head = size_t(-reinterpret_cast<intptr_t>(target)) & 63u;
    if (head > left) head = left;
    std::memcpy(target, source, head);
    target += head, source += head, left -= head;
    for (; left >= 64; target += 64, source += 64, left -= 64) {
#if defined(__AVX512F__)
        asm volatile("vmovntdq %1, %0"
                     : "=m"(*reinterpret_cast<Line*>(target))
                     : "v"(*reinterpret_cast<const Line*>(source)));
#else
        for (int i = 0; i < 64; i += 16) {
            const auto* part = reinterpret_cast<const __m128i*>(source + i);
            _mm_stream_si128(reinterpret_cast<__m128i*>(target + i), _mm_loadu_si128(part));
        }
#endif
    }
    std::memcpy(target, source, left);
#else
    std::memcpy(to, from, size_t(length) * sizeof(IO));
#endif
}

template <class R>
inline void finish_row(R* to, const R* buffer, int length, bool stream) {
    if (stream) stream_row(to, buffer, length);
}
inline void finish_row(bf16* to, const float* buffer, int length, bool stream) {
    if (!stream) return put_row(to, buffer, length);
    alignas(64) bf16 row[128];  // as long as any row of a block
    put_row(row, buffer, length);
    stream_row(to, row, length);
}

// the largest power of two within `room`, from one cache line to `most`
inline int64_t block_of(int64_t room, int64_t most) {
    int64_t block = 16;
    while (block * 2 <= room && block * 2 <= most) block *= 2;
    return block;
}

inline void end_of_streams() {
#if defined(__SSE2__)
    _mm_sfence();
#endif
}

}  // namespace

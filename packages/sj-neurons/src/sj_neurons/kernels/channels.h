// Statistics over the channels of a batch, and what their gradient adds to that of the input.
// Follows prelude.h. Neuron n of a step belongs to channel (n / inner) % size.

namespace {

typedef double Doubles __attribute__((vector_size(64)));
typedef float Floats __attribute__((vector_size(32)));
typedef uint32_t Words __attribute__((vector_size(32)));
typedef uint16_t HalfWords __attribute__((vector_size(16)));
constexpr int LANES = 8;

template <class To>
inline To loaded(const void* from) {
    To to;
    std::memcpy(&to, from, sizeof(To));
    return to;
}
inline Doubles doubles(const double* from) { return loaded<Doubles>(from); }
inline Doubles doubles(const float* from) {
    return __builtin_convertvector(loaded<Floats>(from), Doubles);
}
inline Doubles doubles(const bf16* from) {
    const Words bits = __builtin_convertvector(loaded<HalfWords>(from), Words) << 16;
    return __builtin_convertvector(__builtin_bit_cast(Floats, bits), Doubles);
}

inline double total(Doubles a) {
    double sum = 0;
    for (int j = 0; j < LANES; ++j) sum += a[j];
    return sum;
}

// Sums of x - shift and of its square are taken in double precision. With any value of the channel
// for its shift they lose no more than a factor of n of that precision, and mostly nothing.
template <class IO>
inline void add_run(const IO* __restrict from, int64_t length, double shift, double& sum,
                    double& squares) {
    constexpr int FOLD = 4;
    Doubles s[FOLD] = {}, q[FOLD] = {};
    int64_t i = 0;
    for (; i + FOLD * LANES <= length; i += FOLD * LANES) {
#pragma GCC unroll 4
        for (int k = 0; k < FOLD; ++k) {
            const Doubles d = doubles(from + i + k * LANES) - shift;
            s[k] += d;
            q[k] += d * d;
        }
    }
    double rest = 0, rest_squares = 0;
    for (; i < length; ++i) {
        const double d = double(number(from[i])) - shift;
        rest += d;
        rest_squares += d * d;
    }
    sum += total((s[0] + s[1]) + (s[2] + s[3])) + rest;
    squares += total((q[0] + q[1]) + (q[2] + q[3])) + rest_squares;
}

constexpr int COLUMNS = 512;  // their sums stay in the first cache
constexpr int64_t LONG_RUN = 64;

// Rows of `size * inner` neurons, `outer` of them in a step.
struct Batch {
    int64_t x_stride, outer, inner, size;
    bool gapless;
    template <class IO>
    const IO* row(const IO* x, int64_t r) const {
        if (gapless) return x + r * inner * size;
        return x + r / outer * x_stride + r % outer * inner * size;
    }
};

template <class IO>
void add_runs(const IO* x, const Batch& batch, int64_t begin, int64_t end, const double* shift,
              double* sums, double* squares) {
    for (int64_t r = begin; r < end; ++r) {
        const IO* from = batch.row(x, r);
        for (int64_t c = 0; c < batch.size; ++c, from += batch.inner) {
            add_run(from, batch.inner, shift[c], sums[c], squares[c]);
        }
    }
}

// Rows [begin, end) of `length` columns, each with a shift and sums of its own. Rows go by sixteens,
// which stay in the first cache while their columns are summed in registers.
template <class IO>
void add_rows(const IO* x, const Batch& batch, int64_t begin, int64_t end, int64_t first,
              int length, const double* k, double* s, double* q) {
    constexpr int ROWS = 16;
    const IO* rows[ROWS];
    for (int64_t r = begin; r < end; r += ROWS) {
        const int count = int(end - r < ROWS ? end - r : ROWS);
        for (int i = 0; i < count; ++i) {
            rows[i] = batch.row(x, r + i) + first;
            if (r + i + ROWS < end) fetch_ahead(batch.row(x, r + i + ROWS) + first, length);
        }
        int j = 0;
        for (; j + 2 * LANES <= length; j += 2 * LANES) {
            const auto k0 = loaded<Doubles>(k + j), k1 = loaded<Doubles>(k + j + LANES);
            auto s0 = loaded<Doubles>(s + j), s1 = loaded<Doubles>(s + j + LANES);
            auto q0 = loaded<Doubles>(q + j), q1 = loaded<Doubles>(q + j + LANES);
            for (int i = 0; i < count; ++i) {
                const auto u = doubles(rows[i] + j) - k0, v = doubles(rows[i] + j + LANES) - k1;
                s0 += u, s1 += v;
                q0 += u * u, q1 += v * v;
            }
            std::memcpy(s + j, &s0, sizeof s0), std::memcpy(s + j + LANES, &s1, sizeof s1);
            std::memcpy(q + j, &q0, sizeof q0), std::memcpy(q + j + LANES, &q1, sizeof q1);
        }
        for (; j < length; ++j) {
            for (int i = 0; i < count; ++i) {
                const double u = double(number(rows[i][j])) - k[j];
                s[j] += u;
                q[j] += u * u;
            }
        }
    }
}

template <class IO>
void add_columns(const IO* x, const Batch& batch, int64_t begin, int64_t end, const double* shift,
                 double* sums, double* squares) {
    const int64_t period = batch.inner * batch.size;
    for (int64_t first = 0; first < period; first += COLUMNS) {
        const int length = int(period - first < COLUMNS ? period - first : COLUMNS);
        alignas(64) double k[COLUMNS], s[COLUMNS] = {}, q[COLUMNS] = {};
        fill_parameter(k, shift, batch.inner, batch.size, first, length);
        add_rows(x, batch, begin, end, first, length, k, s, q);
        add_to_parameter(sums, s, batch.inner, batch.size, first, length);
        add_to_parameter(squares, q, batch.inner, batch.size, first, length);
    }
}

// mean and biased variance, double[size] each
template <class IO>
void moments(const int64_t* call) {
    const int64_t T = call[0], N = call[1], threads = call[2], parts = call[3];
    const auto* x = (const IO*)call[4];
    const int64_t inner = call[6], size = call[7];
    const Batch batch{call[5], N / (inner * size), inner, size, T == 1 || call[5] == N};
    auto* mean = (double*)call[8];
    auto* variance = (double*)call[9];
    const int64_t rows = T * batch.outer;
    auto* shift = (double*)std::calloc(size_t((1 + 2 * parts) * size), sizeof(double));
    double* sums = shift + size;
    for (int64_t c = 0; c < size; ++c) shift[c] = double(number(x[c * inner]));
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
    for (int64_t part = 0; part < parts; ++part) {
        const int64_t begin = rows * part / parts, end = rows * (part + 1) / parts;
        double* own = sums + 2 * part * size;
        const auto add = inner >= LONG_RUN ? add_runs<IO> : add_columns<IO>;
        add(x, batch, begin, end, shift, own, own + size);
    }
    const double n = double(rows * inner);
    for (int64_t c = 0; c < size; ++c) {
        double sum = 0, squares = 0;
        for (int64_t part = 0; part < parts; ++part) {
            sum += sums[2 * part * size + c];
            squares += sums[(2 * part + 1) * size + c];
        }
        const double left = (squares - sum * (sum / n)) / n;
        mean[c] = shift[c] + sum / n;
        variance[c] = left < 0 ? 0 : left;
    }
    std::free(shift);
}

// gradient += c0 + c1 x, with c0 and c1 of the channel
template <class IO, class R>
void add_affine(const int64_t* call) {
    const int64_t T = call[0], N = call[1], threads = call[2];
    const auto* x = (const IO*)call[4];
    const int64_t x_stride = call[5], inner = call[6], size = call[7];
    const auto* c0 = (const R*)call[8];
    const auto* c1 = (const R*)call[9];
    auto* gradient = (IO*)call[10];
    constexpr int BLOCK = 1024;
    const int64_t blocks = (N + BLOCK - 1) / BLOCK;
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
    for (int64_t block = 0; block < blocks; ++block) {
        const int64_t first = block * BLOCK;
        const int length = int(N - first < BLOCK ? N - first : BLOCK);
        alignas(64) R a[BLOCK], b[BLOCK];
        fill_parameter(a, c0, inner, size, first, length);
        fill_parameter(b, c1, inner, size, first, length);
        for (int64_t t = 0; t < T; ++t) {
            const IO* __restrict from = x + t * x_stride + first;
            IO* __restrict to = gradient + t * N + first;
            fetch_ahead(from + BLOCK, length);
            fetch_ahead(to + BLOCK, length);
#pragma omp simd
            for (int i = 0; i < length; ++i) {
                put(to[i], number(to[i]) + (number(from[i]) * b[i] + a[i]));
            }
        }
    }
}

}  // namespace

extern "C" {
void sj_moments_float32(const int64_t* call) { moments<float>(call); }
void sj_moments_float64(const int64_t* call) { moments<double>(call); }
void sj_moments_bfloat16(const int64_t* call) { moments<bf16>(call); }
void sj_add_affine_float32(const int64_t* call) { add_affine<float, float>(call); }
void sj_add_affine_float64(const int64_t* call) { add_affine<double, double>(call); }
void sj_add_affine_bfloat16(const int64_t* call) { add_affine<bf16, float>(call); }
}

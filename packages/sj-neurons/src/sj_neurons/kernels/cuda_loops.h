// The loops over time of generated CUDA sources.
//
// A generated program is a struct with
//     R                         type of states and arithmetic
//     states, parameters, kept  how many numbers of each kind; kept: per step, for the adjoint
//     reads_x_again             whether the adjoint step needs the input as well
//     step(x, v, p)             returns the spike; v becomes the new states
//     replay(x, v, p, k)        the same without the spike; fills k, the kept values
//     adjoint(x, k, p, gs, g, s)  returns the gradient of x; g, the gradient of the new states,
//                               becomes that of the old ones; s grows by that of the parameters
// A thread runs V neighbouring neurons through all steps. Once the loops over steps and neurons are
// unrolled, all indices of local arrays are constants, so that these arrays are registers.

namespace sj {

using Index = long long;
constexpr int largest_block = 128;

// ---- what a kernel is called with; a null pointer means absent ----

template <int n>
constexpr int at_least_one = n > 0 ? n : 1;

template <class P, class IO>
struct Common {
    using R = typename P::R;
    static constexpr int S = at_least_one<P::states>, L = at_least_one<P::parameters>;
    Index T, N;
    const IO* x;
    Index x_stride;  // 0: the same frame at every step
    const R* first[S];
    R rest[S];
    const R* values[L];  // parameter of neuron n: values[(n / inner) % size]
    Index inner[L], size[L];
};

template <class P, class IO>
struct Forward : Common<P, IO> {
    IO *spikes, *v_seq;
    typename P::R* last[Common<P, IO>::S];
};

template <class P, class IO>
struct Backward : Common<P, IO> {
    const IO *gs, *gv;
    Index gs_stride, gv_stride;
    IO* gx;
    Index gx_stride;  // 0: the sum over time is wanted
    const typename P::R* g_last[Common<P, IO>::S];
    typename P::R* g_first[Common<P, IO>::S];
    double* g_values[Common<P, IO>::L];  // [rows, size], added to
    Index rows[Common<P, IO>::L];
    typename P::R* g_each[Common<P, IO>::L];  // or [N], each neuron's share, written
    typename P::R* checkpoints;               // [segments - 1, states, N]
};

// ---- states and parameters of a thread ----

template <int V>
SJ_INLINE Index first_neuron() {
    return (Index(blockIdx.x) * blockDim.x + threadIdx.x) * V;
}

template <int V, int S, class R>
SJ_INLINE void fill_states(R (&v)[V][S], const R* const (&from)[S], const R (&rest)[S], Index n) {
#pragma unroll
    for (int i = 0; i < S; ++i) {
#pragma unroll
        for (int j = 0; j < V; ++j) v[j][i] = from[i] ? from[i][n + j] : rest[i];
    }
}

template <int V, int S, class R>
SJ_INLINE void keep_states(R* const (&to)[S], const R (&v)[V][S], Index n) {
#pragma unroll
    for (int i = 0; i < S; ++i) {
        if (to[i]) {
#pragma unroll
            for (int j = 0; j < V; ++j) to[i][n + j] = v[j][i];
        }
    }
}

// For V > 1 the launcher sees to it that the neurons of a thread share each parameter, or that
// every neuron has its own.
template <int V, class P, class IO, class R, int L>
SJ_INLINE void fill_parameters(R (&p)[V][L], const Common<P, IO>& c, Index n) {
#pragma unroll
    for (int i = 0; i < P::parameters; ++i) {
        const bool own = c.size[i] == c.N;
        const Index index = own ? n : c.size[i] == 1 ? 0 : n / c.inner[i] % c.size[i];
#pragma unroll
        for (int j = 0; j < V; ++j) p[j][i] = c.values[i][own ? index + j : index];
    }
}

// ---- forward ----

template <int V, class P, class IO, class R, int S, int L>
SJ_INLINE void forward_step(const P& program, const Forward<P, IO>& c, const Pack<IO, V>& x,
                            Index t, Index n, R (&v)[V][S], const R (&p)[V][L]) {
    Pack<IO, V> spikes, states;
#pragma unroll
    for (int j = 0; j < V; ++j) {
        put(spikes.item[j], program.step(number(x.item[j]), v[j], p[j]));
        put(states.item[j], v[j][0]);
    }
    store(c.spikes + t * c.N + n, spikes);
    if (c.v_seq) store(c.v_seq + t * c.N + n, states);
}

// The input does not depend on the states: it is read AHEAD steps before it is needed.
template <int V, int AHEAD, class P, class IO>
SJ_INLINE void forward(const P& program, const Forward<P, IO>& c) {
    using R = typename P::R;
    constexpr int S = at_least_one<P::states>, L = at_least_one<P::parameters>;
    const Index n = first_neuron<V>();
    if (n >= c.N) return;
    R v[V][S], p[V][L];
    fill_states(v, c.first, c.rest, n);
    fill_parameters(p, c, n);
    const bool moves = c.x_stride != 0;
    const IO* const x = c.x + n;
    Pack<IO, V> ring[AHEAD];
#pragma unroll
    for (int d = 0; d < AHEAD; ++d) {
        if (d < c.T) ring[d] = load<V>(x + d * c.x_stride);
    }
    Index t = 0;
    for (; t + 2 * AHEAD <= c.T; t += AHEAD) {
#pragma unroll
        for (int d = 0; d < AHEAD; ++d) {
            const Pack<IO, V> now = ring[d];
            if (moves) ring[d] = load<V>(x + (t + d + AHEAD) * c.x_stride);
            forward_step(program, c, now, t + d, n, v, p);
        }
    }
    for (; t < c.T; t += AHEAD) {
#pragma unroll
        for (int d = 0; d < AHEAD; ++d) {
            if (t + d < c.T) {
                const Pack<IO, V> now = ring[d];
                const Index later = t + d + AHEAD;
                if (moves && later < c.T) ring[d] = load<V>(x + later * c.x_stride);
                forward_step(program, c, now, t + d, n, v, p);
            }
        }
    }
    keep_states(c.last, v, n);
}

// ---- backward ----

// Rows t0 ... t0 + count - 1 of a sequence; zeros if it is absent.
template <int K, int V, class IO>
SJ_INLINE void fetch(Pack<IO, V>* tile, const IO* from, Index stride, Index t0, int count,
                     Index n) {
#pragma unroll
    for (int k = 0; k < K; ++k) {
        if (from && k < count) {
            tile[k] = load<V>(from + (t0 + k) * stride + n);
        } else {
            tile[k] = Pack<IO, V>{};
        }
    }
}

// The adjoint steps t0 + count - 1 ... t0.
template <int K, int V, int W, class P, class IO, class R, int S, int L>
SJ_INLINE void reverse(const P& program, const Backward<P, IO>& c, Index n, Index t0, int count,
                       const Pack<IO, V>* x, const R (*kept)[V][W], const Pack<IO, V>* gs,
                       const Pack<IO, V>* gv, const R (&p)[V][L], R (&g)[V][S], R (&share)[V][L],
                       R (&sum)[V]) {
#pragma unroll
    for (int k = K - 1; k >= 0; --k) {
        if (k < count) {
            Pack<IO, V> gx;
#pragma unroll
            for (int j = 0; j < V; ++j) {
                if (c.gv) g[j][0] += number(gv[k].item[j]);
                const R slope = program.adjoint(number(x[k].item[j]), kept[k][j], p[j],
                                                number(gs[k].item[j]), g[j], share[j]);
                sum[j] += slope;
                put(gx.item[j], slope);
            }
            if (c.gx && c.gx_stride) store(c.gx + (t0 + k) * c.gx_stride + n, gx);
        }
    }
}

template <int V, class P, class IO, class R, int S>
SJ_INLINE void finish_backward(const Backward<P, IO>& c, const R (&g)[V][S], const R (&sum)[V],
                               Index n) {
    if (c.gx && !c.gx_stride) {
        Pack<IO, V> gx;
#pragma unroll
        for (int j = 0; j < V; ++j) put(gx.item[j], sum[j]);
        store(c.gx + n, gx);
    }
    keep_states(c.g_first, g, n);
}

// to[run % size] += value, summed over the neighbours of the same run first; run < 0: no neuron.
SJ_INLINE void add_by_run(double* to, Index size, Index run, double value) {
    __shared__ double sums[largest_block];
    __shared__ Index runs[largest_block];
    const int i = threadIdx.x, threads = blockDim.x;
    sums[i] = value;
    runs[i] = run;
    __syncthreads();
    for (int d = 1; d < threads; d *= 2) {
        const double left = i >= d && runs[i - d] == run ? sums[i - d] : 0.0;
        __syncthreads();
        sums[i] += left;
        __syncthreads();
    }
    const bool ends = i + 1 == threads || runs[i + 1] != run;
    if (run >= 0 && ends) atomicAdd(to + run % size, sums[i]);
    __syncthreads();
}

// All threads of a block get here, those without neurons too.
template <int V, class P, class IO, class R, int L>
SJ_INLINE void add_shares(const Backward<P, IO>& c, const R (&share)[V][L], Index n) {
    const bool active = n < c.N;
#pragma unroll
    for (int i = 0; i < P::parameters; ++i) {
        if (c.g_each[i] || (c.g_values[i] && c.size[i] == c.N)) {
#pragma unroll
            for (int j = 0; j < V; ++j) {
                if (active && c.g_each[i]) c.g_each[i][n + j] = share[j][i];
                else if (active) c.g_values[i][n + j] += share[j][i];
            }
        } else if (c.g_values[i]) {
            double sum = 0;
#pragma unroll
            for (int j = 0; j < V; ++j) sum += share[j][i];
            const Index run = !active ? -1 : c.size[i] == 1 ? 0 : n / c.inner[i];
            double* const row = c.g_values[i] + blockIdx.x % c.rows[i] * c.size[i];
            add_by_run(row, c.size[i], run, sum);
        }
    }
}

// T steps, all in registers.
template <int V, int T, class P, class IO>
SJ_INLINE void backward_in_registers(const P& program, const Backward<P, IO>& c) {
    using R = typename P::R;
    constexpr int S = at_least_one<P::states>, L = at_least_one<P::parameters>;
    constexpr int W = at_least_one<P::kept>, piece = 8;
    const Index n = first_neuron<V>();
    R share[V][L] = {};
    if (n < c.N) {
        R v[V][S], p[V][L], g[V][S], kept[T][V][W], sum[V] = {};
        Pack<IO, V> x[T];
        const R zeros[S] = {};
        fill_parameters(p, c, n);
        if constexpr (P::kept > 0 || P::reads_x_again) {
#pragma unroll
            for (int t = 0; t < T; ++t) {
                if (t == 0 || c.x_stride) x[t] = load<V>(c.x + t * c.x_stride + n);
                else x[t] = x[0];
            }
        }
        if constexpr (P::kept > 0) {
            fill_states(v, c.first, c.rest, n);
#pragma unroll
            for (int t = 0; t < T; ++t) {
#pragma unroll
                for (int j = 0; j < V; ++j) {
                    program.replay(number(x[t].item[j]), v[j], p[j], kept[t][j]);
                }
            }
        }
        fill_states(g, c.g_last, zeros, n);
#pragma unroll
        for (int end = T; end > 0; end -= piece) {
            const int begin = end > piece ? end - piece : 0;
            Pack<IO, V> gs[piece], gv[piece];
            fetch<piece>(gs, c.gs, c.gs_stride, begin, end - begin, n);
            fetch<piece>(gv, c.gv, c.gv_stride, begin, end - begin, n);
            reverse<piece>(program, c, n, begin, end - begin, x + begin, kept + begin, gs, gv, p,
                           g, share, sum);
        }
        finish_backward(c, g, sum, n);
    }
    add_shares(c, share, n);
}

// Any number of steps: a first sweep leaves the states before each segment of K steps in memory,
// then each segment is done in registers, from the last to the first. What a segment reads is
// asked for one segment earlier.
template <int V, int K, class P, class IO>
SJ_INLINE void backward_by_segments(const P& program, const Backward<P, IO>& c) {
    using R = typename P::R;
    constexpr int S = at_least_one<P::states>, L = at_least_one<P::parameters>;
    constexpr int W = at_least_one<P::kept>;
    constexpr bool needs_x = P::kept > 0 || P::reads_x_again;
    const Index n = first_neuron<V>();
    R share[V][L] = {};
    if (n < c.N) {
        R v[V][S], p[V][L], g[V][S], kept[K][V][W], sum[V] = {};
        Pack<IO, V> x[K], gs[K], gv[K];
        const R zeros[S] = {};
        const Index last = (c.T - 1) / K;
        const int left = int(c.T - last * K);
        fill_parameters(p, c, n);
        if constexpr (P::kept > 0) {
            fill_states(v, c.first, c.rest, n);
            fetch<K>(x, c.x, c.x_stride, 0, last > 0 ? K : left, n);
            for (Index s = 0; s < last; ++s) {
#pragma unroll
                for (int k = 0; k < K; ++k) {
                    const Pack<IO, V> now = x[k];
                    const Index later = (s + 1) * K + k;
                    if (c.x_stride && later < c.T) x[k] = load<V>(c.x + later * c.x_stride + n);
#pragma unroll
                    for (int j = 0; j < V; ++j) program.step(number(now.item[j]), v[j], p[j]);
                }
#pragma unroll
                for (int i = 0; i < P::states; ++i) {
#pragma unroll
                    for (int j = 0; j < V; ++j) {
                        c.checkpoints[(s * P::states + i) * c.N + n + j] = v[j][i];
                    }
                }
            }
        } else if constexpr (P::reads_x_again) {
            fetch<K>(x, c.x, c.x_stride, last * K, left, n);
        }
        fetch<K>(gs, c.gs, c.gs_stride, last * K, left, n);
        fetch<K>(gv, c.gv, c.gv_stride, last * K, left, n);
        fill_states(g, c.g_last, zeros, n);
        for (Index s = last;; --s) {
            const Index t0 = s * K;
            const int count = s == last ? left : K;
            Pack<IO, V> x_next[K], gs_next[K], gv_next[K];
            R v_next[V][S];
            if (s > 0) {
                if constexpr (needs_x) fetch<K>(x_next, c.x, c.x_stride, t0 - K, K, n);
                fetch<K>(gs_next, c.gs, c.gs_stride, t0 - K, K, n);
                fetch<K>(gv_next, c.gv, c.gv_stride, t0 - K, K, n);
                if constexpr (P::kept > 0) {
                    const R* from[S];
#pragma unroll
                    for (int i = 0; i < P::states; ++i) {
                        from[i] = s > 1 ? c.checkpoints + ((s - 2) * P::states + i) * c.N
                                        : c.first[i];
                    }
                    fill_states(v_next, from, c.rest, n);
                }
            }
            if constexpr (P::kept > 0) {
#pragma unroll
                for (int k = 0; k < K; ++k) {
                    if (k < count) {
#pragma unroll
                        for (int j = 0; j < V; ++j) {
                            program.replay(number(x[k].item[j]), v[j], p[j], kept[k][j]);
                        }
                    }
                }
            }
            reverse<K>(program, c, n, t0, count, x, kept, gs, gv, p, g, share, sum);
            if (s == 0) break;
#pragma unroll
            for (int k = 0; k < K; ++k) {
                if constexpr (needs_x) x[k] = x_next[k];
                gs[k] = gs_next[k];
                gv[k] = gv_next[k];
            }
            if constexpr (P::kept > 0) {
#pragma unroll
                for (int j = 0; j < V; ++j) {
#pragma unroll
                    for (int i = 0; i < P::states; ++i) v[j][i] = v_next[j][i];
                }
            }
        }
        finish_backward(c, g, sum, n);
    }
    add_shares(c, share, n);
}

}  // namespace sj

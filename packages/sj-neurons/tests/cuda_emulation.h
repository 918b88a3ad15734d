// CUDA on a CPU, for tests: the threads of a block are fibers that take turns at __syncthreads.
#include <math.h>
#include <ucontext.h>

#include <cstdint>
#include <functional>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(threads)
#define __shared__ static

struct Place {
    unsigned x;
};
static Place blockIdx, threadIdx, blockDim, gridDim;

namespace emulation {

struct Fiber {
    ucontext_t context;
    std::vector<char> stack = std::vector<char>(1 << 18);
    bool done;
};

static ucontext_t scheduler;
static Fiber* running;
static const std::function<void()>* body;

static void enter() {
    (*body)();
    running->done = true;
    swapcontext(&running->context, &scheduler);
}

// Every thread of a block runs up to its next __syncthreads before any goes on.
static void launch(unsigned grid, unsigned block, const std::function<void()>& kernel) {
    static std::vector<Fiber> fibers(128);
    body = &kernel;
    gridDim.x = grid;
    blockDim.x = block;
    for (blockIdx.x = 0; blockIdx.x < grid; ++blockIdx.x) {
        for (unsigned i = 0; i < block; ++i) {
            Fiber& fiber = fibers[i];
            getcontext(&fiber.context);
            fiber.context.uc_stack.ss_sp = fiber.stack.data();
            fiber.context.uc_stack.ss_size = fiber.stack.size();
            fiber.done = false;
            makecontext(&fiber.context, enter, 0);
        }
        for (unsigned left = block; left > 0;) {
            for (unsigned i = 0; i < block; ++i) {
                if (fibers[i].done) continue;
                threadIdx.x = i;
                running = &fibers[i];
                swapcontext(&scheduler, &running->context);
                left -= running->done;
            }
        }
    }
}

}  // namespace emulation

static void __syncthreads() {
    emulation::Fiber* const self = emulation::running;
    swapcontext(&self->context, &emulation::scheduler);
}

static double atomicAdd(double* to, double value) {
    const double old = *to;
    *to += value;
    return old;
}

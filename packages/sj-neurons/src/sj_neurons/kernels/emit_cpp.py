"""C++ for both directions of a program.

Neurons are taken in blocks, and time runs inside a block, so that the states of a block stay in
the first cache. The innermost loop runs over the neurons of a block and is what the compiler
vectorises. Threads share the blocks out.

A kernel is called with one array of 64-bit integers (sizes, strides, addresses; an address of 0
means absent) and one of doubles (the numbers `k0 ...`, then the states at rest). `forward_call` and
`backward_call` name the entries in order; the launcher fills them by these names.
"""

from __future__ import annotations

from pathlib import Path

from .emit import C_OPERATIONS, Spelling, statements
from .plan import Plan

__all__ = ["backward_call", "cpp_source", "forward_call", "prelude"]

# Neurons per block. Rows of a few cache lines are too short for the processor to see a stream in
# them, so each row asks for its continuation in the next block, which arrives while the steps in
# between run. Longer rows were slower at every T.
BLOCK = 128
# Numbers per tile, backward; a sequence too long for it shrinks the block. A tile past the second
# cache costs less than rows of a line or two.
TILE_NUMBERS = 1 << 22

_SPELLING = Spelling(
    {
        **C_OPERATIONS,
        "exp": "sj_exp({0})", "sigmoid": "sj_sigmoid({0})", "tanh": "sj_tanh({0})",
        "log": "std::log({0})", "pow": "std::pow({0}, {1})", "sin": "std::sin({0})",
        "cos": "std::cos({0})", "atan": "std::atan({0})", "erf": "std::erf({0})",
        "abs": "std::fabs({0})", "sign": "sj_sign({0})", "round": "std::rint({0})",
        "minimum": "sj_minimum({0}, {1})", "maximum": "sj_maximum({0}, {1})",
    }
)  # fmt: skip

_TYPES = {  # dtype -> (in memory, in registers)
    "float32": ("float", "float"),
    "float64": ("double", "double"),
    "bfloat16": ("bf16", "float"),
}


def forward_call(plan: Plan) -> list[str]:
    """Names of the integers that the forward kernel is called with."""
    program = plan.program
    return [
        "T", "N", "threads", "stream", "x_data", "x_stride", "spikes", "v_seq",
        *_each(("v_first", "v_last"), program.states),
        *_each(("p_data", "p_inner", "p_size"), program.parameters),
    ]  # fmt: skip


def backward_call(plan: Plan) -> list[str]:
    """Names of the integers that the backward kernel is called with."""
    program = plan.program
    return [
        "T", "N", "threads", "stream", "parts", "x_data", "x_stride", "gs_data", "gs_stride",
        "gv_seq", "gv_stride", "gx_data", "gx_stride",
        *_each(("v_first", "gv_last", "gv_first"), program.states),
        *_each(("p_data", "p_inner", "p_size", "gp_data", "gp_stride"), program.parameters),
    ]  # fmt: skip


def _each(names: tuple[str, ...], count: int) -> list[str]:
    return [f"{name}{i}" for i in range(count) for name in names]


def prelude() -> str:
    """The text that precedes the kernels of a translation unit."""
    return Path(__file__).with_name("prelude.h").read_text(encoding="utf-8")


def cpp_source(plan: Plan, dtype: str, name: str) -> str:
    """Both kernels, `<name>_forward` and, if there is a gradient, `<name>_backward`."""
    io, real = _TYPES[dtype]
    plan = plan.sparing()
    parts = [f"namespace {{ namespace of_{name} {{", f"using IO = {io};", f"using R = {real};", ""]
    parts += _forward(plan) + (_backward(plan) if plan.has_gradient else []) + ["}}", ""]
    for direction in ("forward", "backward") if plan.has_gradient else ("forward",):
        parts += [
            f'extern "C" void {name}_{direction}(const int64_t* call, const double* numbers) {{',
            f"    of_{name}::{direction}(call, numbers);",
            "}",
        ]
    return "\n".join(parts) + "\n"


def _unpacked(names: list[str]) -> list[str]:
    return [f"const int64_t {name} = call[{i}];" for i, name in enumerate(names)]


def _numbers(plan: Plan) -> list[str]:
    program = plan.program
    lines = [f"const R k{i} = R(numbers[{i}]);" for i in range(program.numbers)]
    start = program.numbers
    return lines + [f"const R rest{i} = R(numbers[{start + i}]);" for i in range(program.states)]


def _filled_block(plan: Plan, size: int) -> list[str]:
    """States and parameters of a block, in arrays of their own."""
    lines = []
    for i in range(plan.program.states):
        lines.append(f"alignas(64) R state{i}[{size}];")
        lines.append(f"fill_state(state{i}, (const R*)v_first{i}, rest{i}, first, length);")
    for i in range(plan.program.parameters):
        lines.append(f"alignas(64) R parameter{i}[{size}];")
        place = f"p_inner{i}, p_size{i}, first, length"
        lines.append(f"fill_parameter(parameter{i}, (const R*)p_data{i}, {place});")
    return lines


def _loaded(plan: Plan, *, x: bool = True, states: bool = True) -> list[str]:
    program = plan.program
    lines = ["const R x = number(x_row[i]);"] if x else []
    if states:
        lines += [f"const R v{i} = state{i}[i];" for i in range(program.states)]
    return lines + [f"const R p{i} = parameter{i}[i];" for i in range(program.parameters)]


def _indented(lines: list[str]) -> list[str]:
    return [line if line.startswith("#") else f"    {line}" for line in lines]


def _block(head: str, lines: list[str]) -> list[str]:
    return [f"{head} {{", *_indented(lines), "}"]


def _over_neurons(lines: list[str]) -> list[str]:
    return ["#pragma omp simd", *_block("for (int i = 0; i < length; ++i)", lines)]


def _forward(plan: Plan) -> list[str]:
    program = plan.program
    body, names = statements(plan.graph, program.outputs, plan.given(), _SPELLING)
    spike, *states = (names[i] for i in program.outputs)
    step = [
        "const IO* __restrict x_row = (const IO*)x_data + t * x_stride + first;",
        f"fetch_ahead(x_row + {BLOCK}, length);",
        "IO* const target = (IO*)spikes + t * N + first;",
        "IO* __restrict spike_row = stream ? buffer : target;",
        *_over_neurons(
            [
                *_loaded(plan),
                *body,
                f"put(spike_row[i], {spike});",
                *(f"state{i}[i] = {state};" for i, state in enumerate(states)),
            ]
        ),
        "if (stream) stream_row(target, buffer, length);",
        "if (v_seq) put_row((IO*)v_seq + t * N + first, state0, length);",
    ]
    block = [
        f"const int64_t first = block * {BLOCK};",
        f"const int length = int(N - first < {BLOCK} ? N - first : {BLOCK});",
        *_filled_block(plan, BLOCK),
        f"alignas(64) IO buffer[{BLOCK}];",
        *_block("for (int64_t t = 0; t < T; ++t)", step),
        *(
            f"if (v_last{i}) std::memcpy((R*)v_last{i} + first, state{i}, length * sizeof(R));"
            for i in range(program.states)
        ),
    ]
    return _block(
        "void forward(const int64_t* call, const double* numbers)",
        [
            *_unpacked(forward_call(plan)),
            *_numbers(plan),
            f"const int64_t blocks = (N + {BLOCK - 1}) / {BLOCK};",
            "#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)",
            *_block("for (int64_t block = 0; block < blocks; ++block)", block),
            "if (stream) end_of_streams();",
        ],
    )


def _replay(plan: Plan) -> list[str]:
    """The forward sweep once more, which fills the tile."""
    if not plan.kept:
        return []
    wanted = [*plan.kept, *plan.program.outputs[1:]]
    body, names = statements(plan.graph, wanted, plan.given(), _SPELLING)
    width = len(plan.kept)
    step = [
        "const IO* __restrict x_row = (const IO*)x_data + t * x_stride + first;",
        "fetch_ahead(x_row + block, length);",
        *(f"R* __restrict kept{c} = tile + ({width} * t + {c}) * block;" for c in range(width)),
        *_over_neurons(
            [
                *_loaded(plan),
                *body,
                *(f"kept{c}[i] = {names[i]};" for c, i in enumerate(plan.kept)),
                *(
                    f"state{i}[i] = {names[index]};"
                    for i, index in enumerate(plan.program.outputs[1:])
                ),
            ]
        ),
    ]
    return _block("for (int64_t t = 0; t < T; ++t)", step)


def _reverse(plan: Plan) -> list[str]:
    """The adjoint step, from the last time step to the first."""
    adjoint, width = plan.adjoint, len(plan.kept)
    given = plan.given() | {i: f"kept_{c}" for c, i in enumerate(plan.kept)}
    body, names = statements(plan.graph, adjoint.outputs, given, _SPELLING)
    writes = [
        f"gradient{i}[i] = {'R(0)' if index is None else names[index]};"
        for i, index in enumerate(adjoint.states)
    ]
    writes.append(f"gx_row[i] = {'R(0)' if adjoint.x is None else names[adjoint.x]};")
    writes += [
        f"share{i}[i] += {names[index]};"
        for i, index in enumerate(adjoint.parameters)
        if index is not None
    ]
    loop = [
        *_loaded(plan, x=plan.reads_input_again, states=False),
        *(f"const R kept_{c} = kept{c}[i];" for c in range(width)),
        "const R gs = number(gs_row[i]);",
        *(f"const R g{i} = gradient{i}[i];" for i in range(plan.program.states)),
        *body,
        *writes,
    ]
    return _block(
        "for (int64_t t = T - 1; t >= 0; --t)",
        [
            "const IO* __restrict x_row = (const IO*)x_data + t * x_stride + first;",
            *(
                f"const R* __restrict kept{c} = tile + ({width} * t + {c}) * block;"
                for c in range(width)
            ),
            "const IO* __restrict gs_row = "
            "gs_data ? (const IO*)gs_data + t * gs_stride + first : zeros;",
            "fetch_ahead(gs_row + block, length);",
            "if (gv_seq) add_row(gradient0, (const IO*)gv_seq + t * gv_stride + first, length);",
            "IO* const target = (IO*)gx_data + t * gx_stride + first;",
            "R* __restrict gx_row = row_for(target, buffer, stream || !gx_stride);",
            *_over_neurons(loop),
            "if (!gx_stride) add_row(sum, buffer, length);",
            "else if (gx_data) finish_row(target, buffer, length, stream);",
        ],
    )


def _backward(plan: Plan) -> list[str]:
    program = plan.program
    states, parameters = range(program.states), range(program.parameters)
    neurons = [
        "const int length = int(N - first < block ? N - first : block);",
        *_filled_block(plan, BLOCK),
        f"alignas(64) R buffer[{BLOCK}];",
        f"alignas(64) R sum[{BLOCK}] = {{}};",
        *(f"alignas(64) R gradient{i}[{BLOCK}];" for i in states),
        *(f"fill_state(gradient{i}, (const R*)gv_last{i}, R(0), first, length);" for i in states),
        *(f"alignas(64) R share{i}[{BLOCK}] = {{}};" for i in parameters),
        *_replay(plan),
        *_reverse(plan),
        "if (!gx_stride && gx_data) put_row((IO*)gx_data + first, sum, length);",
        *(
            f"if (gv_first{i}) "
            f"std::memcpy((R*)gv_first{i} + first, gradient{i}, length * sizeof(R));"
            for i in states
        ),
        *(
            f"if (gp_data{i}) add_to_parameter((double*)gp_data{i} + part * gp_stride{i}, "
            f"share{i}, p_inner{i}, p_size{i}, first, length);"
            for i in parameters
        ),
    ]
    width = max(1, len(plan.kept))
    part = [
        "const int64_t last = (part + 1) * blocks / parts * block;",
        "R* const tile = (R*)std::malloc(T * block * sizeof(R) * " + f"{width});",
        *_block(
            "for (int64_t first = part * blocks / parts * block; first < N && first < last; "
            "first += block)",
            neurons,
        ),
        "std::free(tile);",
    ]
    return _block(
        "void backward(const int64_t* call, const double* numbers)",
        [
            *_unpacked(backward_call(plan)),
            *_numbers(plan),
            f"const int64_t block = block_of({TILE_NUMBERS // width} / T, {BLOCK});",
            "const int64_t blocks = (N + block - 1) / block;",
            f"alignas(64) static const IO zeros[{BLOCK}] = {{}};",
            "#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)",
            *_block("for (int64_t part = 0; part < parts; ++part)", part),
            "if (stream) end_of_streams();",
        ],
    )

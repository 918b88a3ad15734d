"""CUDA C++ for both directions of a program.

The loops over time are in cuda_loops.h, written once for all programs; what is printed here is the
step, its replay and its adjoint, as a struct, and the kernels' argument lists. A program has many
kernels (see :class:`Form`), each of which is compiled when it is first needed.

A division by a number is a multiplication with its reciprocal, which is how torch divides a tensor
on a GPU by a Python number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .emit import C_OPERATIONS, Spelling, literal, statements
from .graph import Graph, Node
from .plan import Plan

__all__ = [
    "BLOCK",
    "OPTIONS",
    "Form",
    "cuda_source",
    "kernel_arguments",
    "kernel_name",
    "prelude",
    "segment_length",
]  # fmt: skip

# --fmad=false: a fused multiply-add rounds once where torch rounds twice.
OPTIONS = ("--std=c++17", "--fmad=false")
BLOCK = 128  # largest number of threads per block

_TYPES = {  # dtype -> (in memory, in registers)
    "float32": ("float", "float"),
    "float64": ("double", "double"),
    "float16": ("sj::half", "float"),
    "bfloat16": ("sj::bf16", "float"),
}


@dataclass(frozen=True)
class Form:
    """One of the kernels that a program can be compiled to.

    Args:
        direction: `'forward'` or `'backward'`.
        width: neighbouring neurons per thread, read and written by one instruction.
        steps: backward only: the number of steps, known to the compiler so that all of them fit
            into registers; 0 for any number, which takes segments and a buffer of states.
    """

    direction: str
    width: int = 1
    steps: int = 0

    @property
    def suffix(self) -> str:
        """What tells the kernel from the others of its program."""
        steps = f"_t{self.steps}" if self.steps else ""
        return f"{self.direction}{steps}_w{self.width}"


def prelude() -> str:
    """The text that precedes the kernels of a translation unit."""
    here = Path(__file__)
    return "\n".join(
        here.with_name(name).read_text(encoding="utf-8")
        for name in ("cuda_numbers.h", "cuda_loops.h")
    )


def segment_length(plan: Plan) -> int:
    """Steps per segment of the backward kernel for any number of steps."""
    width = len(plan.kept)
    return 16 if width <= 3 else 8 if width <= 8 else 4


def kernel_name(name: str, form: Form) -> str:
    """Name of a kernel of the program that was printed as `name`."""
    return f"{name}_{form.suffix}"


def kernel_arguments(plan: Plan, dtype: str, form: Form) -> list[tuple[str, str]]:
    """Type and name of each argument of a kernel, in order.

    All integers have 64 bits; `k0 ...`, their reciprocals `r0 ...` and `rest0 ...` are numbers of
    the type that is computed in; the rest are pointers.
    """
    io, real = _TYPES[dtype]
    reads, writes = f"const {io}* __restrict__", f"{io}* __restrict__"
    state_in, state_out = f"const {real}* __restrict__", f"{real}* __restrict__"
    number = "long long"
    program = plan.program
    states, parameters = range(program.states), range(program.parameters)
    arguments = [(number, "T"), (number, "N"), (reads, "x"), (number, "x_stride")]
    arguments += [(state_in, f"first{i}") for i in states]
    arguments += [(real, f"rest{i}") for i in states]
    for i in parameters:
        arguments += [(state_in, f"values{i}"), (number, f"inner{i}"), (number, f"size{i}")]
    if form.direction == "forward":
        arguments += [(writes, "spikes"), (writes, "v_seq")]
        arguments += [(state_out, f"last{i}") for i in states]
    else:
        arguments += [(reads, "gs"), (number, "gs_stride"), (reads, "gv"), (number, "gv_stride")]
        arguments += [(writes, "gx"), (number, "gx_stride")]
        arguments += [(state_in, f"g_last{i}") for i in states]
        arguments += [(state_out, f"g_first{i}") for i in states]
        for i in parameters:
            arguments += [("double* __restrict__", f"g_values{i}"), (number, f"rows{i}")]
            arguments += [(state_out, f"g_each{i}")]
        arguments += [(f"{real}*", "checkpoints")]
    return arguments + [(real, f"{name}{i}") for i in range(program.numbers) for name in "kr"]


def cuda_source(plan: Plan, dtype: str, name: str, forms: Iterable[Form]) -> str:
    """The kernels of a program in these forms, without the prelude.

    Args:
        plan: what the kernels do.
        dtype: `'float32'`, `'float64'`, `'float16'` or `'bfloat16'`, in memory; the last two are
            computed in float32.
        name: begins the names of all kernels, see :func:`kernel_name`.
        forms: the kernels wanted; a program without gradients has no backward ones.
    """
    lines = _program(plan, dtype, name)
    for form in forms:
        if form.direction == "forward" or plan.has_gradient:
            lines += _kernel(plan, dtype, name, form)
    return "\n".join(lines) + "\n"


# the program as a struct


def _program(plan: Plan, dtype: str, name: str) -> list[str]:
    program = plan.program
    numbers = "".join(f" k{i}, r{i}," for i in range(program.numbers)).rstrip(",")
    members = [
        f"using R = {_TYPES[dtype][1]};",
        f"static constexpr int states = {program.states}, parameters = {program.parameters}, "
        f"kept = {len(plan.kept)};",
        f"static constexpr bool reads_x_again = {str(plan.reads_input_again).lower()};",
        *([f"R{numbers};  // numbers and their reciprocals"] if numbers else []),
        *_step(plan),
    ]
    if plan.has_gradient:
        members += _replay(plan) + _adjoint(plan)
    return [f"struct {name} {{", *_indented(members), "};"]


def _step(plan: Plan) -> list[str]:
    outputs = plan.program.outputs
    body, names = _body(plan, outputs, plan.given())
    return _block(
        "SJ_INLINE R step(R x, R* v, const R* p) const",
        [*body, *_stored("v", outputs[1:], names), f"return {names[outputs[0]]};"],
    )


def _replay(plan: Plan) -> list[str]:
    states = plan.program.outputs[1:]
    body, names = _body(plan, [*plan.kept, *states], plan.given())
    return _block(
        "SJ_INLINE void replay(R x, R* v, const R* p, R* k) const",
        [*body, *_stored("k", plan.kept, names), *_stored("v", states, names)],
    )


def _adjoint(plan: Plan) -> list[str]:
    adjoint = plan.adjoint
    given = plan.given() | {i: f"kept{c}" for c, i in enumerate(plan.kept)}
    body, names = _body(plan, adjoint.outputs, given)
    shares = [
        f"s[{i}] += {names[index]};"
        for i, index in enumerate(adjoint.parameters)
        if index is not None
    ]
    return _block(
        "SJ_INLINE R adjoint(R x, const R* k, const R* p, R gs, R* g, R* s) const",
        [
            *body,
            *_stored("g", adjoint.states, names),
            *shares,
            f"return {'R(0)' if adjoint.x is None else names[adjoint.x]};",
        ],
    )


def _body(
    plan: Plan, outputs: Iterable[int], given: Mapping[int, str]
) -> tuple[list[str], dict[int, str]]:
    """Statements for `outputs`, after one that reads each of the arrays' entries they need."""
    wanted = list(outputs)
    body, names = statements(plan.graph, wanted, given, _SPELLING)
    used = _used(plan.graph, wanted, given)
    # input name -> where it is; what is not listed has its own name
    places = {"v": "v[{}]", "p": "p[{}]", "g": "g[{}]", "kept": "k[{}]"}
    reads = []
    for name in dict.fromkeys(given[i] for i in sorted(used)):
        kind = name.rstrip("0123456789")
        if kind in places and name != kind:
            reads.append(f"const R {name} = {places[kind].format(name[len(kind) :])};")
    return [*reads, *body], names


def _used(graph: Graph, outputs: Iterable[int], given: Mapping[int, str]) -> set[int]:
    """Which of the nodes `given` the outputs depend on."""
    seen: set[int] = set()
    stack = list(outputs)
    while stack:
        index = stack.pop()
        if index in seen:
            continue
        seen.add(index)
        if index not in given:
            node = graph.nodes[index]
            stack.extend(node.args[:1] if node.op == "fire" else node.args)
    return {i for i in seen if i in given}


def _stored(array: str, nodes: Iterable[int | None], names: Mapping[int, str]) -> list[str]:
    return [
        f"{array}[{i}] = {'R(0)' if index is None else names[index]};"
        for i, index in enumerate(nodes)
    ]


# operations


def _constant(graph: Graph, index: int) -> float | None:
    """The value of a node that consists of literals alone."""
    node = graph.nodes[index]
    if node.op == "literal":
        return float(node.value)
    if node.op in ("add", "sub", "neg"):
        values = [_constant(graph, i) for i in node.args]
        if None not in values:
            first, *rest = (float(v or 0.0) for v in values)
            return -first if not rest else first + (rest[0] if node.op == "add" else -rest[0])
    return None


def _as_torch(graph: Graph, node: Node, names: Mapping[int, str]) -> str | None:
    """Division and powers by numbers, as torch computes them on a GPU."""
    if node.op not in ("div", "pow"):
        return None
    a = names[node.args[0]]
    right = graph.nodes[node.args[1]]
    if node.op == "div":
        if right.op == "literal":
            return f"{a} * (R(1) / {literal(float(right.value))})"
        if right.op == "input" and str(right.value).startswith("k"):
            return f"{a} * r{str(right.value)[1:]}"
        return None
    powers = {
        -2.0: "R(1) / ({0} * {0})", -1.0: "R(1) / {0}", -0.5: "R(1) / sj::square_root({0})",
        0.5: "sj::square_root({0})", 1.0: "{0}", 2.0: "{0} * {0}", 3.0: "{0} * {0} * {0}",
    }  # fmt: skip
    text = powers.get(_constant(graph, node.args[1]) or 0.0)
    return None if text is None else text.format(a)


_SPELLING = Spelling(
    {
        **C_OPERATIONS,
        "exp": "sj::exponential({0})", "sigmoid": "sj::logistic({0})",
        "tanh": "sj::hyperbolic_tangent({0})", "log": "sj::logarithm({0})",
        "pow": "sj::power({0}, {1})", "sin": "sj::sine({0})", "cos": "sj::cosine({0})",
        "atan": "sj::arc_tangent({0})", "erf": "sj::error_function({0})",
        "abs": "sj::magnitude({0})", "sign": "sj::sign_of({0})", "round": "sj::to_integer({0})",
        "minimum": "sj::smaller({0}, {1})", "maximum": "sj::larger({0}, {1})",
    },
    divide=_as_torch,
)  # fmt: skip


# kernels


def _kernel(plan: Plan, dtype: str, name: str, form: Form) -> list[str]:
    arguments = kernel_arguments(plan, dtype, form)
    names = [argument for _, argument in arguments]
    numbers = range(plan.program.numbers)
    values = [f"{value}{i}" for i in numbers for value in "kr"]
    fields = "Forward" if form.direction == "forward" else "Backward"
    return [
        f'extern "C" __global__ void __launch_bounds__({BLOCK}) {kernel_name(name, form)}(',
        "    " + ", ".join(f"{kind} {argument}" for kind, argument in arguments),
        ") {",
        f"    const {name} program{{{', '.join(values)}}};",
        f"    sj::{fields}<{name}, {_TYPES[dtype][0]}> call{{}};",
        *_indented(_filled(names)),
        f"    {_loop(plan, form)}(program, call);",
        "}",
    ]


def _filled(names: Iterable[str]) -> list[str]:
    """Assignments of a kernel's arguments to the entries of `call`."""
    lines = []
    for name in names:
        field = name.rstrip("0123456789")
        if field == name:
            lines.append(f"call.{name} = {name};")
        elif field not in ("k", "r"):  # those are in the program
            lines.append(f"call.{field}[{name[len(field) :]}] = {name};")
    return lines


def _loop(plan: Plan, form: Form) -> str:
    if form.direction == "forward":
        ahead = 16 if form.width == 1 else 8 if form.width == 2 else 4
        return f"sj::forward<{form.width}, {ahead}>"
    if form.steps:
        return f"sj::backward_in_registers<{form.width}, {form.steps}>"
    return f"sj::backward_by_segments<{form.width}, {segment_length(plan)}>"


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _block(head: str, lines: Iterable[str]) -> list[str]:
    return [f"{head} {{", *_indented(lines), "}"]

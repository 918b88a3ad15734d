"""Many single steps of a neuron, for whoever needs an output before the next input is known.

Called step by step as a module, a neuron of few elements takes most of its time for what surrounds
the arithmetic: it looks up attributes and states, torch makes a tensor of every number, a kernel is
handed its arguments. Here that is done once for all steps. Values are to the bit those of the
neuron on the same backend. Without gradients, on the CPU, in float32 and float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx, nn
from torch.autograd import forward_ad

from . import cpp
from .autograd import is_plain
from .graph import Program
from .interpret import OPERATIONS
from .layout import Rows, Spread
from .run import call_for, started
from .select import Call, kept_trace
from .symbols import TraceError
from .trace import Trace

if TYPE_CHECKING:
    from ..neuron.base import BaseNode

__all__ = ["KernelSteps", "TorchSteps", "stepwise"]


def stepwise(node: BaseNode, x: Tensor, steps: int) -> KernelSteps | TorchSteps | None:
    """What to call with each of at most `steps` inputs like `x` `[N, *]`; it returns the outputs.

    It starts at the states of `node`, which stay as they are; the new ones are in its `states`.

    Returns:
        The C++ kernel or the step by torch, as the backend of the neuron says; None where neither
        can stand for the neuron.

    Raises:
        ValueError: a state or a tensor of the neuron does not fit the input.
    """
    fits = x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64) and is_plain(x)
    derived = torch.is_grad_enabled() or forward_ad._current_level >= 0
    if derived or not fits or node.backend == "cupy" or node._overrides_hooks:
        return None
    call = None if node.backend == "torch" else call_for(node, x)
    if call is not None:
        return KernelSteps(node, call, x, steps)
    try:
        made = kept_trace(node)
    except TraceError:
        return None
    read = [name for kind, _, name in map(_parted, made.step) if kind == "t"]
    if any(node.step_tensor(name, x.dim()).dtype != x.dtype for name in read):
        return None  # torch would compute in another type
    return TorchSteps(node, made, x)


class KernelSteps:
    """The C++ kernel, called with all but two addresses filled in beforehand.

    Args:
        node: the neuron.
        call: how it runs.
        x: an input `[N, *]`; the others have its shape and type.
        steps: how many steps there are at most.

    Attributes:
        states: the states after the last step, in the order of `node.states`.
    """

    def __init__(self, node: BaseNode, call: Call, x: Tensor, steps: int) -> None:
        x = x.contiguous()
        begin = started(node, call, x.unsqueeze(0))
        rows, flat = Rows.of(begin.x_seq)
        self.states = [
            torch.full_like(x, rest) if state is None else state.clone(memory_format=_DENSE)
            for state, rest in zip(begin.states, begin.rest, strict=True)
        ]
        self._like = x
        self._outputs: Iterator[Tensor] = iter(x.new_empty((steps, *x.shape)).unbind(0))
        spreads = [Spread.over(parameter, rows) for parameter in begin.parameters]
        states = [rows.flat_step(state) for state in self.states]
        self._arguments = cpp.forward_arguments(
            call.program,
            flat,
            1,
            states,
            [(s.values, s.inner, s.size) for s in spreads],
            call.numbers,
            begin.rest,
            flat,  # its place is taken by the output at each step
            None,
            states,  # in place: a kernel reads the states of a block before it writes them
        )
        self._kept = spreads  # what the addresses point to
        self._x_place, self._spikes_place = map(self._arguments.names.index, ("x_data", "spikes"))

    def __call__(self, x: Tensor) -> Tensor:
        x = x.contiguous()
        if x.shape != self._like.shape or x.dtype != self._like.dtype:
            raise ValueError(
                f"expected an input {tuple(self._like.shape)} of {self._like.dtype} as at the "
                f"first step, got {tuple(x.shape)} of {x.dtype}"
            )
        output = next(self._outputs)
        function, integers, numbers, _ = self._arguments
        integers[self._x_place] = x.data_ptr()
        integers[self._spikes_place] = output.data_ptr()
        function(integers, numbers)
        return output


_DENSE = torch.contiguous_format


class TorchSteps:
    """The step as one Python function on tensors, its numbers made tensors once.

    Args:
        node: the neuron.
        made: its trace.
        x: an input `[N, *]`; the others have its shape and type.

    Attributes:
        states: the states after the last step, in the order of `node.states`.
    """

    def __init__(self, node: BaseNode, made: Trace, x: Tensor) -> None:
        present = [node._memories[name] for name in node.states]
        self.states = list(node.materialize_states((x,), present, "s"))
        self._function, literals = _python(made.program.text)
        shape = x.shape if x.numel() <= _SMALL else ()
        numbers = (x.new_full(shape, value) for value in (*made.numbers, *literals))
        parameters = (value.detach() for value in made.parameters(node, x.dim(), x.dtype))
        self._constants = (*parameters, *numbers)

    def __call__(self, x: Tensor) -> Tensor:
        output, *self.states = self._function(x, *self.states, *self._constants)
        return output


@lru_cache(maxsize=256)
def _python(text: str) -> tuple[Callable[..., tuple[Tensor, ...]], tuple[float, ...]]:
    """A function of x, states, parameters, numbers and literals, and the values of the latter."""
    program = Program.from_text(text)
    nodes, flow = program.graph().nodes, fx.Graph()
    names = ["x", *(f"v{i}" for i in range(program.states))]
    names += [f"p{i}" for i in range(program.parameters)]
    names += [f"k{i}" for i in range(program.numbers)]
    given = {name: flow.placeholder(name) for name in names}
    order = program.graph().reached_from(program.outputs, values=True)
    literals = [i for i in order if nodes[i].op == "literal"]
    values = {i: flow.placeholder(f"c{i}") for i in literals}
    for i in order:
        op, arguments = nodes[i].op, nodes[i].args
        if op == "input":
            values[i] = given[str(nodes[i].value)]
        elif op in ("fire", "detach"):  # without gradients they are their first argument
            values[i] = values[arguments[0]]
        elif op != "literal":
            values[i] = flow.call_function(OPERATIONS[op], tuple(values[a] for a in arguments))
    flow.output(tuple(values[i] for i in program.outputs))
    function = fx.GraphModule(nn.Module(), flow).forward
    return function, tuple(float(nodes[i].value) for i in literals)


_SMALL = 1 << 12  # elements up to which torch takes least time with tensors of one shape


def _parted(node: Any) -> tuple[str, str, str]:
    return str(node.value).partition(":") if node.op == "input" else ("", "", "")

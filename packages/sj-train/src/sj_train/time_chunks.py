"""Long sequences in little memory: activations are computed again in the backward pass.

    TimeChunks     the net sees K steps at a time; kept are its inputs and states between chunks
    BlockCheckpoints   each block sees all T steps; kept are the inputs of the blocks

Both give the gradients of the plain net.  Chunks need a net whose steps meet in the states of its
neurons only; layers that take statistics over time, such as BatchNorm in training, need blocks.
With ``truncate`` gradients stop between chunks (truncated backpropagation through time, Williams
and Peng, "An efficient gradient-based algorithm for on-line training of recurrent network
trajectories", 1990).

Shape legend: x_seq ``[T, N, *]``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sj_neurons import base

from .errors import OptionError

__all__ = ["BlockCheckpoints", "TimeChunks", "layers_over_time", "save_memory"]

_ONE_CALL_PER_SEQUENCE = (
    nn.MultiheadAttention,
    nn.Transformer,
    nn.TransformerEncoderLayer,
    nn.TransformerDecoderLayer,
    nn.RNNBase,
)


def layers_over_time(net: nn.Module) -> list[str]:
    """Names and classes of the layers of ``net`` that mix time steps when they see several.

    BatchNorm with statistics of the batch, attention, recurrent layers of torch, neurons and
    layers that take whole sequences only, and whatever has a true ``mixes_time``.
    """
    return [
        f"{name or 'the net'} ({type(layer).__name__})"
        for name, layer in net.named_modules()
        if _mixes_time(layer)
    ]


def _mixes_time(layer: nn.Module) -> bool:
    declared = getattr(layer, "mixes_time", None)
    if isinstance(declared, bool):
        return declared
    if isinstance(layer, nn.modules.batchnorm._BatchNorm):
        return layer.training or layer.running_mean is None
    if isinstance(layer, _ONE_CALL_PER_SEQUENCE) or "Attention" in type(layer).__name__:
        return True
    # Without single steps a sequence cannot be cut: parallel neurons, votes over time, ...
    return isinstance(layer, base.StepModule) and layer.supported_step_mode() == ("m",)


class TimeChunks(nn.Module):
    """``net`` over ``[T, N, *]``, ``steps`` time steps at a time while it is trained.

    Args:
        net: takes and returns sequences, time first.
        steps: time steps of a chunk, at least 1; the last one may be shorter.
        truncate: stop gradients between chunks.

    Raises:
        OptionError: ``steps`` is below 1, or in training a layer mixes time steps, or the output
            has no time axis.

    Example:
        >>> from sj_neurons import neuron
        >>> net = TimeChunks(nn.Sequential(nn.Linear(3, 2), neuron.IFNode(step_mode="m")), 4)
        >>> net(torch.rand(16, 1, 3)).shape
        torch.Size([16, 1, 2])
    """

    def __init__(self, net: nn.Module, steps: int, *, truncate: bool = False) -> None:
        super().__init__()
        if steps < 1:
            raise OptionError(f"chunks need at least 1 time step, got {steps}")
        self.module = net
        self.steps = steps
        self.truncate = truncate

    def forward(self, x_seq: Tensor) -> Tensor:
        if not (self.training and torch.is_grad_enabled()):
            return self.module(x_seq)
        self._refuse_layers_over_time()
        run = base.to_functional_forward(self.module)
        states = base.extract_memories(self.module)
        outputs = []
        for chunk in x_seq.split(self.steps):
            output, states = _again_in_backward(run, (chunk,), states)
            if not isinstance(output, Tensor) or output.shape[:1] != chunk.shape[:1]:
                raise OptionError(
                    f"time chunks need a model from [T, N, ...] to [T, N, ...]; "
                    f"{type(self.module).__name__} makes {_shape(output)} of {_shape(chunk)}"
                )
            if self.truncate:
                states = [_detached(state) for state in states]
            outputs.append(output)
        base.load_memories(self.module, states)
        return torch.cat(outputs)

    def _refuse_layers_over_time(self) -> None:
        if layers := layers_over_time(self.module):
            more = f" and {len(layers) - 2} more" if len(layers) > 2 else ""
            raise OptionError(
                f"time chunks would change the result: {', '.join(layers[:2])}{more} see all time "
                "steps at once; use --checkpoint-blocks instead"
            )


class BlockCheckpoints(nn.Module):
    """``net`` whose blocks are computed again in the backward pass, each over all time steps.

    A block is a child that is no container, found by going down through containers
    (``Sequential``) that the net calls; in a ``Sequential`` of plain layers it is a run of layers
    that ends with a spiking neuron.  Running statistics move once per step, as in the plain net.

    Args:
        net: any network.

    Example:
        >>> from sj_neurons import neuron
        >>> net = BlockCheckpoints(nn.Sequential(nn.Linear(3, 2), neuron.IFNode(step_mode="m")))
        >>> net(torch.rand(4, 1, 3)).shape
        torch.Size([4, 1, 2])
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.module = net

    def forward(self, x: Tensor) -> Any:
        if not (self.training and torch.is_grad_enabled()):
            return self.module(x)
        with _blocks_replaced(self.module):
            return self.module(x)


def save_memory(args: argparse.Namespace, net: nn.Module) -> nn.Module:
    """``net`` as ``--time-chunk``, ``--tbptt`` or ``--checkpoint-blocks`` ask for it."""
    if args.checkpoint_blocks:
        return BlockCheckpoints(net)
    steps = args.time_chunk if args.tbptt is None else args.tbptt
    return net if steps is None else TimeChunks(net, steps, truncate=args.tbptt is not None)


@contextmanager
def _blocks_replaced(net: nn.Module) -> Iterator[None]:
    """Within it the blocks of ``net`` compute again in the backward pass."""
    replaced: list[nn.Module] = []

    def replace(module: nn.Module, forward: Callable[..., Any]) -> None:
        # On the instance, and only during one call: the net stays the same for copies and files.
        module.__dict__["forward"] = forward
        replaced.append(module)

    def visit(module: nn.Module) -> None:
        if isinstance(module, nn.Sequential) and not _has_hooks(module):
            groups = [_as_block(nn.Sequential(*group)) for group in _groups(module)]
            replace(module, lambda x: _in_order(groups, x))
            return
        children = list(module.children())
        sequences = [
            child for child in children if isinstance(child, nn.Sequential | nn.ModuleList)
        ]
        if module is net or isinstance(module, nn.ModuleList) or sequences:
            for child in children:
                visit(child)
        elif any(True for _ in module.parameters()):
            replace(module, _as_block(module, module.forward))

    visit(net)
    try:
        yield
    finally:
        for module in replaced:
            del module.__dict__["forward"]


def _has_hooks(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _groups(layers: nn.Sequential) -> list[list[nn.Module]]:
    """Runs of layers up to and including a module with neurons."""
    groups: list[list[nn.Module]] = [[]]
    for layer in layers:
        groups[-1].append(layer)
        if any(isinstance(part, base.MemoryModule) for part in layer.modules()):
            groups.append([])
    return [group for group in groups if group]


def _in_order(blocks: Sequence[Callable[[Any], Any]], x: Any) -> Any:
    for block in blocks:
        x = block(x)
    return x


def _as_block(module: nn.Module, call: Callable[..., Any] | None = None) -> Callable[..., Any]:
    run = base.to_functional_forward(module, call)

    def forward(*inputs: Any) -> Any:
        states = base.extract_memories(module)
        output, states = _again_in_backward(_with_own_buffers(module, run), inputs, states)
        base.load_memories(module, states)
        return output

    return forward


def _with_own_buffers(module: nn.Module, run: Callable[..., Any]) -> Callable[..., Any]:
    """``run`` whose calls after the first work on copies of the buffers of ``module``."""
    called = False

    def call(*args: Any) -> Any:
        nonlocal called
        if not called:
            called = True
            return run(*args)
        owners = [(part, name) for part in module.modules() for name in part._buffers]
        originals = [part._buffers[name] for part, name in owners]
        try:
            for (part, name), value in zip(owners, originals, strict=True):
                part._buffers[name] = None if value is None else value.clone()
            return run(*args)
        finally:
            for (part, name), value in zip(owners, originals, strict=True):
                part._buffers[name] = value

    return call


def _again_in_backward(
    run: Callable[..., Any], inputs: tuple[Any, ...], states: list[Any]
) -> tuple[Any, list[Any]]:
    count = len(inputs)

    def flat(*values: Any) -> Any:
        return run(values[:count], values[count:])

    return cast("tuple[Any, list[Any]]", checkpoint(flat, *inputs, *states, use_reentrant=False))


def _detached(state: Any) -> Any:
    return state.detach() if isinstance(state, Tensor) else state


def _shape(value: Any) -> str:
    return str(list(value.shape)) if isinstance(value, Tensor) else f"a {type(value).__name__}"

"""Monitors: record what the layers of a net receive, emit, hold, and get back as gradients.

A monitor puts hooks on every layer of the wanted type and appends one record per call, in the
order of the calls; gradient monitors record in the order of the backward pass, that is the last
time step first. With step mode `'s'` a record is one step `[N, *]`, with `'m'` a whole sequence
`[T, N, *]`.

    with monitor.OutputMonitor(net, neuron.LIFNode) as spikes:     # hooks go at the end
        net(x)
    spikes[0], spikes["layer1.sn"], spikes.records, spikes.monitored_layers

Records are detached from the graph unless `detach=False`: a record that holds its graph keeps the
activations of its whole forward pass in memory. Say `detach=False` to build a loss on records. A
detached record still holds the (GPU) memory of the tensor it was made of; reduce or move it in the
recording function, as in `function_on_output=lambda y: y.mean().cpu()`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from torch import Tensor, autograd, nn
from torch.utils.hooks import RemovableHandle

from .gpu_monitor import GPUMonitor

__all__ = [
    "AttributeMonitor",
    "BaseMonitor",
    "GPUMonitor",
    "GradInputMonitor",
    "GradOutputMonitor",
    "InputMonitor",
    "OutputMonitor",
]

Kinds = type[nn.Module] | tuple[type[nn.Module], ...]


def _identity(value: Any) -> Any:
    return value


class BaseMonitor:
    """What all monitors share; subclasses define :meth:`attach`.

    `monitor[i]` is record i, `monitor["layer.name"]` the list of records of one layer.

    Args:
        net: the net whose layers are monitored.
        instance: type of the layers, or a tuple of types; the type of `net` itself if `None`.
        function: applied to each value before it is stored.
        detach: whether values are detached from the graph first, also inside tuples, lists, dicts.

    Raises:
        TypeError: `instance` is not a type.
        ValueError: `net` has no layer of that type.
    """

    def __init__(
        self, net: nn.Module, instance: Kinds | None, function: Callable[[Any], Any], detach: bool
    ) -> None:
        kinds = type(net) if instance is None else instance
        if not all(isinstance(k, type) for k in (kinds if isinstance(kinds, tuple) else (kinds,))):
            raise TypeError(f"{type(self).__name__}: instance must be a type, got {instance!r}")
        layers = {name: m for name, m in net.named_modules() if isinstance(m, kinds)}
        if not layers:
            raise ValueError(f"{type(self).__name__}: the net has no layer of type {kinds}")
        self.function = function
        self.detach = detach
        self.records: list[Any] = []
        self.monitored_layers = list(layers)
        self.name_records_index: dict[str, list[int]] = {name: [] for name in layers}
        self._enabled = True
        self.hooks = [self.attach(name, module) for name, module in layers.items()]

    def attach(self, name: str, module: nn.Module) -> RemovableHandle:
        """Put the hook on the layer `name`."""
        raise NotImplementedError(f"{type(self).__name__} does not define attach")

    def record(self, name: str, value: Any) -> None:
        """Append a record of the layer `name`; a tuple of one is unpacked."""
        if not self._enabled:
            return
        if isinstance(value, tuple) and len(value) == 1:
            (value,) = value
        value = self.function(_detached(value) if self.detach else value)
        self.name_records_index[name].append(len(self.records))
        self.records.append(value)

    def __getitem__(self, key: int | str) -> Any:
        if not isinstance(key, str):
            return self.records[key]
        if key not in self.name_records_index:
            known = ", ".join(map(repr, self.monitored_layers))
            raise KeyError(f"{key!r} is not monitored; monitored layers: {known}")
        return [self.records[i] for i in self.name_records_index[key]]

    def clear_recorded_data(self) -> None:
        """Forget all records; the hooks stay."""
        self.records.clear()
        for indices in self.name_records_index.values():
            indices.clear()

    def enable(self) -> None:
        """Record again after :meth:`disable`."""
        self._enabled = True

    def disable(self) -> None:
        """Keep the hooks, but record nothing."""
        self._enabled = False

    def is_enable(self) -> bool:
        return self._enabled

    def remove_hooks(self) -> None:
        """Leave the net as it was; the records stay."""
        for hook in self.hooks:
            hook.remove()
        self.hooks.clear()
        self._enabled = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.remove_hooks()


class OutputMonitor(BaseMonitor):
    """Records what layers emit.

    Args:
        net, instance, detach: see :class:`BaseMonitor`.
        function_on_output: applied to each output before it is stored.

    Example:
        >>> import torch
        >>> from sj_neurons import neuron
        >>> net = nn.Sequential(nn.Linear(4, 3), neuron.IFNode())
        >>> with OutputMonitor(net, neuron.IFNode, lambda s: s.mean().item()) as rates:
        ...     _ = net(torch.zeros(2, 4))
        >>> rates.monitored_layers, len(rates["1"])
        (['1'], 1)
    """

    def __init__(
        self,
        net: nn.Module,
        instance: Kinds | None = None,
        function_on_output: Callable[[Any], Any] = _identity,
        *,
        detach: bool = True,
    ) -> None:
        super().__init__(net, instance, function_on_output, detach)

    def attach(self, name: str, module: nn.Module) -> RemovableHandle:
        return module.register_forward_hook(lambda _, args, output: self.record(name, output))


class InputMonitor(BaseMonitor):
    """Records the positional inputs of layers; several of them as a tuple.

    Args:
        net, instance, detach: see :class:`BaseMonitor`.
        function_on_input: applied to each input before it is stored.
    """

    def __init__(
        self,
        net: nn.Module,
        instance: Kinds | None = None,
        function_on_input: Callable[[Any], Any] = _identity,
        *,
        detach: bool = True,
    ) -> None:
        super().__init__(net, instance, function_on_input, detach)

    def attach(self, name: str, module: nn.Module) -> RemovableHandle:
        return module.register_forward_hook(lambda _, args, output: self.record(name, args))


class AttributeMonitor(BaseMonitor):
    """Records an attribute of layers before or after each call.

    In step mode `'m'` one call is the whole sequence, so `'v'` is the potential after its last
    step. For all potentials build the neurons with `store_v_seq=True` and record `'v_seq'`,
    `[T, N, *]`.

    Args:
        attribute_name: which attribute.
        pre_forward: record before (`True`) or after (`False`) each call.
        net, instance, detach: see :class:`BaseMonitor`.
        function_on_attribute: applied to each value before it is stored.

    Raises:
        ValueError: in a call, where `v_seq` is wanted and the neuron does not keep it.
    """

    def __init__(
        self,
        attribute_name: str,
        pre_forward: bool,
        net: nn.Module,
        instance: Kinds | None = None,
        function_on_attribute: Callable[[Any], Any] = _identity,
        *,
        detach: bool = True,
    ) -> None:
        self.attribute_name = attribute_name
        self.pre_forward = pre_forward
        super().__init__(net, instance, function_on_attribute, detach)

    def attach(self, name: str, module: nn.Module) -> RemovableHandle:
        if self.pre_forward:
            return module.register_forward_pre_hook(lambda layer, args: self._read(name, layer))
        return module.register_forward_hook(lambda layer, args, output: self._read(name, layer))

    def _read(self, name: str, layer: nn.Module) -> None:
        value = getattr(layer, self.attribute_name)
        if value is None and self.attribute_name == "v_seq" and not self.pre_forward:
            raise ValueError(
                f"layer {name!r} keeps no v_seq: build {type(layer).__name__} with "
                "store_v_seq=True and run it in step mode 'm'"
            )
        self.record(name, value)


class GradInputMonitor(BaseMonitor):
    """Records the gradients of the loss with respect to the inputs of layers.

    A layer none of whose inputs needs a gradient makes no record, nor does one that changes its
    input in place.

    Args:
        net, instance, detach: see :class:`BaseMonitor`.
        function_on_grad_input: applied to each gradient before it is stored; for several inputs
            to the tuple of gradients, with `None` where an input has none.
    """

    def __init__(
        self,
        net: nn.Module,
        instance: Kinds | None = None,
        function_on_grad_input: Callable[[Any], Any] = _identity,
        *,
        detach: bool = True,
    ) -> None:
        super().__init__(net, instance, function_on_grad_input, detach)

    def attach(self, name: str, module: nn.Module) -> RemovableHandle:
        def hook(layer: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
            if len(args) != 1:
                return _tapped(args, lambda grads: self.record(name, grads))
            (x,) = args
            if not (isinstance(x, Tensor) and x.requires_grad):
                return None
            alias = x.view_as(x)  # x itself may feed other layers too
            alias.register_hook(lambda grad: self.record(name, grad))
            return (alias,)

        return module.register_forward_pre_hook(hook)


class GradOutputMonitor(BaseMonitor):
    """Records the gradients of the loss with respect to the outputs of layers.

    Args:
        net, instance, detach: see :class:`BaseMonitor`.
        function_on_grad_output: applied to each gradient before it is stored; for several outputs
            to the tuple of gradients, with `None` where an output has none.
    """

    def __init__(
        self,
        net: nn.Module,
        instance: Kinds | None = None,
        function_on_grad_output: Callable[[Any], Any] = _identity,
        *,
        detach: bool = True,
    ) -> None:
        super().__init__(net, instance, function_on_grad_output, detach)

    def attach(self, name: str, module: nn.Module) -> RemovableHandle:
        def hook(layer: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
            if isinstance(output, tuple | list):
                return _tapped(output, lambda grads: self.record(name, grads))
            if not (isinstance(output, Tensor) and output.requires_grad):
                return None
            if any(output is arg for arg in args):
                output = output.view_as(output)  # the input itself may feed other layers too
            output.register_hook(lambda grad: self.record(name, grad))
            return output

        return module.register_forward_hook(hook)


class _Tap(autograd.Function):
    """The identity of several tensors, which reports their gradients all at once."""

    @staticmethod
    def forward(ctx: Any, report: Callable[[tuple[Any, ...]], None], *xs: Tensor) -> Any:
        ctx.report = report
        ctx.set_materialize_grads(False)
        return tuple(x.view_as(x) for x in xs)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor | None) -> Any:
        ctx.report(grad_outputs)
        return None, *grad_outputs


def _tapped(values: Sequence[Any], report: Callable[[tuple[Any, ...]], None]) -> Any:
    """`values` with aliases of its tensors; None if no tensor in it needs a gradient."""
    slots = [i for i, v in enumerate(values) if isinstance(v, Tensor) and v.requires_grad]
    if not slots:
        return None

    def spread(grads: tuple[Any, ...]) -> None:
        by_slot = dict(zip(slots, grads, strict=True))
        report(tuple(by_slot.get(i) for i in range(len(values))))

    tapped = list(values)
    for i, alias in zip(slots, _Tap.apply(spread, *(values[i] for i in slots)), strict=True):  # pyright: ignore[reportArgumentType]
        tapped[i] = alias
    return _like(values, tapped)


def _like(original: Any, items: list[Any]) -> Any:
    """`items` in the kind of tuple or list that `original` is."""
    kind = type(original)
    return kind(*items) if hasattr(original, "_fields") else kind(items)


def _detached(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, tuple | list):
        return _like(value, [_detached(item) for item in value])
    if isinstance(value, dict):
        return {key: _detached(item) for key, item in value.items()}
    return value

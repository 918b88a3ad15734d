"""What stands in for tensors and numbers while a step is traced.

:class:`Symbol` stands for one number per neuron. Arithmetic, comparisons, the vocabulary of
:mod:`sj_neurons.ops` and the torch functions of the same names record a node each; whatever else is
done to it raises :class:`TraceError`.

:class:`Scalar` is a float that remembers where it came from, so that two neurons that differ in
`tau` alone have the same program and differ in the numbers they hand to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..surrogate import SurrogateFunction, heaviside
from .graph import OPERATIONS, Graph

__all__ = ["Recorder", "Scalar", "Symbol", "TraceError", "fingerprint", "is_plain"]


class TraceError(NotImplementedError):
    """A step does something that a fused kernel cannot do; the text says what."""


class Scalar(float):
    """A float with its origin; arithmetic with numbers keeps track."""

    origin: str

    def __new__(cls, value: float, origin: str) -> Scalar:
        scalar = super().__new__(cls, value)
        scalar.origin = origin
        return scalar

    def __neg__(self) -> Scalar:
        return Scalar(-float(self), f"(-{self.origin})")


def _origin(value: float) -> str:
    return value.origin if isinstance(value, Scalar) else repr(value)


def _scalar_operator(name: str, sign: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    on_floats = getattr(float, f"__{name}__")

    def combined(a: float, b: float) -> Scalar:
        origin = f"({_origin(a)}{sign}{_origin(b)})"
        if len(origin) > 200:  # a number may be combined with itself over and over
            origin = hashlib.sha256(origin.encode()).hexdigest()
        return Scalar(on_floats(float(a), float(b)), origin)

    def forward(self: Scalar, other: Any) -> Any:
        return combined(self, other) if isinstance(other, int | float) else NotImplemented

    def reflected(self: Scalar, other: Any) -> Any:
        return combined(other, self) if isinstance(other, int | float) else NotImplemented

    return forward, reflected


for _name, _sign in (("add", "+"), ("sub", "-"), ("mul", "*"), ("truediv", "/"), ("pow", "**")):
    _forward, _reflected = _scalar_operator(_name, _sign)
    setattr(Scalar, f"__{_name}__", _forward)
    setattr(Scalar, f"__r{_name}__", _reflected)


def is_plain(value: Any) -> bool:
    """Whether `value` is a number, a text or the like, or some of them."""
    if isinstance(value, tuple):
        return all(is_plain(item) for item in value)
    return value is None or type(value) in (bool, int, float, complex, str)


def fingerprint(value: Any) -> tuple[Any, str]:
    """What stays the same, the first part identically, while a program may read `value`."""
    if isinstance(value, Tensor):
        return Tensor, ""  # any: its numbers are parameters
    if is_plain(value):
        return type(value), repr(value)  # finds nan equal to itself
    if callable(value):
        return value, ""
    return value, repr(value)


class Recorder:
    """The graph that the symbols of one trace write into, and what was read on the way."""

    def __init__(self) -> None:
        self.graph = Graph()
        self.numbers: dict[str, float] = {}  # origin -> value, in order of use
        self.reads: dict[tuple[int, str], tuple[Any, str, tuple[Any, str]]] = {}
        self._surrogates: dict[int, int] = {}  # identity -> order of use

    def input(self, name: str) -> Symbol:
        return Symbol(self, self.graph.input(name))

    def read(self, owner: Any, name: str, value: Any) -> None:
        """Note that the program holds only as long as `owner.name` is as `value` is now."""
        self.reads[(id(owner), name)] = (owner, name, fingerprint(value))

    def lift(self, value: Any) -> int:
        """The node of a symbol or number."""
        if isinstance(value, Symbol):
            return value.index
        if isinstance(value, Scalar):
            self.numbers.setdefault(value.origin, float(value))
            return self.graph.input(f"k:{value.origin}")
        if isinstance(value, bool | int | float):
            return self.graph.literal(value)
        if isinstance(value, Tensor):
            raise TraceError(
                "it uses a tensor that is not an attribute of the neuron; make it a parameter, a "
                "buffer or, for one number, a float"
            )
        raise TraceError(f"it computes with {value!r}, which is neither a symbol nor a number")

    def number(self, value: Any) -> int:
        """The node of a symbol or number, as a number: true is 1 and false is 0."""
        index = self.lift(value)
        if not self.graph.nodes[index].is_truth:
            return index
        return self.graph.op("where", index, self.graph.literal(1.0), self.graph.literal(0.0))

    def truth(self, value: Any) -> int:
        """The node of a symbol that is true or false; a number is true where it is not 0."""
        index = self.lift(value)
        if self.graph.nodes[index].is_truth:
            return index
        return self.graph.op("ne", index, self.graph.literal(0.0))

    def apply(self, name: str, *args: Any) -> Any:
        """What the function `name` of the vocabulary returns for `args`."""
        if not torch.is_grad_enabled():
            raise TraceError(
                "it computes under torch.no_grad() or in a torch.autograd.Function; write "
                "ops.detach, or the function as a surrogate.SurrogateFunction"
            )
        if name == "fire":
            return self._fire(*args)
        if len(args) != OPERATIONS[name]:
            raise TraceError(f"it calls {name} in a form that has no place in a fused kernel")
        if name == "where":
            condition, a, b = args
            operands = (self.truth(condition), self.number(a), self.number(b))
        elif name in ("and", "or", "not"):
            operands = tuple(self.truth(arg) for arg in args)
        else:
            operands = tuple(self.number(arg) for arg in args)
        return Symbol(self, self.graph.op(name, *operands))

    def _fire(self, u: Symbol, surrogate: Any) -> Any:
        if not isinstance(surrogate, SurrogateFunction):
            return surrogate(u)
        cls = type(surrogate)
        for name in ("forward", "spiking_function"):
            owner = next(base for base in cls.__mro__ if name in vars(base))
            if owner is not SurrogateFunction:
                raise TraceError(f"its surrogate {cls.__name__} has a {name} of its own")
        self.read(surrogate, "spiking", surrogate.spiking)
        values = surrogate.parameter_values
        self.read(surrogate, "parameter_values", values)
        place = self._surrogates.setdefault(id(surrogate), len(self._surrogates))
        scalars = [
            Scalar(value, f"surrogate {place}[{i}]") if isinstance(value, float) else value
            for i, value in enumerate(values)
        ]
        try:
            if not surrogate.spiking:
                return cls.primitive_function(u, *scalars)
            spike = heaviside(u) if cls.spike is None else cls.spike(u, *scalars)
            derivative = cls.derivative(u, *scalars)
        except NotImplementedError as error:
            raise TraceError(f"its surrogate {cls.__name__}: {error}") from error
        nodes = (self.number(spike), self.number(u), self.number(derivative))
        return Symbol(self, self.graph.op("fire", *nodes))


class Symbol:
    """One number per neuron, known by its node in the graph of a :class:`Recorder`.

    What changes a tensor in place gives its symbol another node.
    """

    __slots__ = ("index", "recorder", "shared")

    def __init__(self, recorder: Recorder, index: int) -> None:
        self.recorder = recorder
        self.index = index
        self.shared = False  # whether, as a tensor, it would share its memory with another

    def __sj_op__(self, name: str, args: tuple[Any, ...]) -> Any:
        return _call(self.recorder, name, args, {})

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name, kwargs = getattr(function, "__name__", str(function)), dict(kwargs or {})
        given = (*args, *kwargs.values())
        symbol = next((arg for arg in given if isinstance(arg, Symbol)), None)
        if symbol is None:
            raise TraceError(f"it calls {name} on several values at once")
        for value in given:
            if isinstance(value, Tensor):
                symbol.recorder.lift(value)  # which says what to do about it
        return _call(symbol.recorder, name, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if _known(name) is None:
            raise TraceError(f"it uses Tensor.{name}, which has no place in a fused kernel")
        return lambda *args, **kwargs: _call(self.recorder, name, (self, *args), kwargs)

    @property
    def dtype(self) -> Any:
        """Stands for the type that the kernel computes in, in a cast to it."""
        return _OWN_TYPE

    device = dtype

    def __bool__(self) -> bool:
        raise TraceError("it branches on a value; write ops.where(condition, a, b) instead")

    def __float__(self) -> float:
        raise TraceError("it takes a plain number out of a tensor, whose value is not known yet")

    __int__ = __index__ = __float__
    __hash__ = object.__hash__

    def become(self, other: Any) -> Symbol:
        """Take the value of `other`, as a tensor does that is changed in place."""
        if self.shared:
            raise TraceError("it changes in place what it has also detached")
        is_truth = self.recorder.graph.nodes[self.index].is_truth
        self.index = self.recorder.lift(other) if is_truth else self.recorder.number(other)
        return self


_OWN_TYPE = object()


def _add(recorder: Recorder, a: Any, b: Any) -> Any:
    both_truths = all(recorder.graph.nodes[recorder.lift(value)].is_truth for value in (a, b))
    return recorder.apply("or" if both_truths else "add", a, b)


def _pow(recorder: Recorder, x: Any, exponent: Any) -> Any:
    # torch multiplies where it can, and so do kernels, to the same bit
    if type(exponent) in (int, float) and exponent in (2, 3):
        return x * x if exponent == 2 else x * x * x
    return recorder.apply("pow", x, exponent)


def _clamp(recorder: Recorder, x: Any, min: Any = None, max: Any = None) -> Any:
    # `where` passes nan on, and the gradient at either end, as torch does
    result = x
    if min is not None:
        result = recorder.apply("where", x < min, min, result)
    if max is not None:
        result = recorder.apply("where", result > max, max, result)
    return result


def _extremum(name: str) -> Callable[..., Any]:
    def composed(recorder: Recorder, x: Any, other: Any = None) -> Any:
        if not isinstance(other, Symbol):  # a number would be a dimension
            raise TraceError(f"it takes the {name} over neurons")
        return recorder.apply(name, x, other)

    return composed


def _relu(recorder: Recorder, x: Any) -> Any:
    return recorder.apply("where", x <= 0.0, 0.0, x)


def _leaky_relu(recorder: Recorder, x: Any, negative_slope: float = 0.01) -> Any:
    return recorder.apply("where", x > 0.0, x, x * negative_slope)


def _detach(recorder: Recorder, x: Any) -> Any:
    result = recorder.apply("detach", x)
    result.shared = x.shared = True
    return result


def _cast(recorder: Recorder, x: Symbol, *args: Any, **kwargs: Any) -> Any:
    """`x` as a number; true and false may take any floating-point type, numbers keep their own."""
    is_truth = recorder.graph.nodes[x.index].is_truth
    for target in (*args, *kwargs.values()):
        if isinstance(target, Symbol) or target is _OWN_TYPE or target == torch.float32:
            continue
        if not (is_truth and isinstance(target, torch.dtype) and target.is_floating_point):
            raise TraceError(f"it casts to {target}; a kernel computes in one type")
    return Symbol(recorder, recorder.number(x)) if is_truth else x


def _constant(value: float) -> Callable[..., Any]:
    return lambda recorder, x: Symbol(recorder, recorder.graph.literal(value))


# what is made of several operations, or takes arguments by name as torch does
_COMPOSED: dict[str, Callable[..., Any]] = {
    "add": _add,
    "pow": _pow,
    "clamp": _clamp,
    "clamp_min": lambda recorder, x, min: _clamp(recorder, x, min),
    "clamp_max": lambda recorder, x, max: _clamp(recorder, x, None, max),
    "max": _extremum("maximum"),
    "min": _extremum("minimum"),
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "softsign": lambda recorder, x: x / (1.0 + abs(x)),
    "detach": _detach,
    "to": _cast,
    "type": _cast,
    "type_as": _cast,
    "float": _cast,
    "double": lambda recorder, x: _cast(recorder, x, torch.float64),
    "bool": lambda recorder, x: Symbol(recorder, recorder.truth(x)),
    "clone": lambda recorder, x: Symbol(recorder, x.index),
    "square": lambda recorder, x: x * x,
    "sqrt": lambda recorder, x: recorder.apply("pow", x, 0.5),
    "reciprocal": lambda recorder, x: 1.0 / x,
    "rsub": lambda recorder, a, b: recorder.apply("sub", b, a),
    "masked_fill": lambda recorder, x, mask, value: recorder.apply("where", mask, value, x),
    "zeros_like": _constant(0.0),
    "ones_like": _constant(1.0),
    "full_like": lambda recorder, x, fill_value: Symbol(recorder, recorder.number(fill_value)),
}
_OTHER_NAMES = {
    "absolute": "abs", "arctan": "atan", "negative": "neg", "subtract": "sub", "multiply": "mul",
    "divide": "div", "true_divide": "div", "clip": "clamp", "less": "lt", "less_equal": "le",
    "greater": "gt", "greater_equal": "ge", "not_equal": "ne", "logical_and": "and",
    "logical_or": "or", "logical_not": "not", "bitwise_and": "and", "bitwise_or": "or",
    "bitwise_not": "not",
}  # fmt: skip


def _known(name: str) -> str | None:
    """What the torch function or method `name` is called here, if it is known."""
    name = name.removesuffix("_")
    name = _OTHER_NAMES.get(name, name)
    return name if name in _COMPOSED or name in OPERATIONS else None


def _call(recorder: Recorder, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The torch function or method `name`; one that ends with `_` changes its first argument."""
    known = _known(name)
    if known is None:
        raise TraceError(f"it calls {name}, which has no place in a fused kernel")
    in_place = name.endswith("_") or bool(kwargs.pop("inplace", False))
    try:
        if known in _COMPOSED:
            result = _COMPOSED[known](recorder, *args, **kwargs)
        else:
            result = recorder.apply(known, *args, **kwargs)
    except TypeError as error:
        raise TraceError(
            f"it calls {name} in a form that has no place in a fused kernel: {error}"
        ) from error
    return args[0].become(result) if in_place else result


def _operator(name: str, kind: str = "") -> Callable[..., Any]:
    def method(self: Symbol, *others: Any) -> Any:
        return _call(self.recorder, name, (self, *others), {})

    def reflected(self: Symbol, other: Any) -> Any:
        if name == "div":  # torch multiplies the number by the reciprocal, which rounds twice
            return _call(self.recorder, "mul", (self.recorder.apply("div", 1.0, self), other), {})
        return _call(self.recorder, name, (other, self), {})

    def in_place(self: Symbol, other: Any) -> Symbol:
        return self.become(_call(self.recorder, name, (self, other), {}))

    return {"": method, "r": reflected, "i": in_place}[kind]


for _python, _name in (
    ("add", "add"), ("sub", "sub"), ("mul", "mul"), ("truediv", "div"), ("pow", "pow"),
    ("and", "and"), ("or", "or"),
):  # fmt: skip
    for _kind in ("", "r", "i"):
        setattr(Symbol, f"__{_kind}{_python}__", _operator(_name, _kind))
for _name in ("lt", "le", "gt", "ge", "eq", "ne", "neg", "abs", "round"):
    setattr(Symbol, f"__{_name}__", _operator(_name))
Symbol.__invert__ = _operator("not")  # pyright: ignore[reportAttributeAccessIssue]
Symbol.__pos__ = lambda self: self  # pyright: ignore[reportAttributeAccessIssue]

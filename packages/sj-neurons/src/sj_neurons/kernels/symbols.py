"""What stands in for tensors and numbers while a step is traced.

:class:`Symbol` stands for one number per neuron. Arithmetic, comparisons, the vocabulary of
:mod:`sj_neurons.ops` and the torch functions of the same names record a node each; whatever else is
done to it raises :class:`TraceError`.

:class:`Scalar` is a float that remembers where it came from, so that two neurons that differ in
`tau` alone have the same program and differ in the numbers they hand to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from ..surrogate import SurrogateFunction, heaviside
from .graph import Graph

__all__ = ["Recorder", "Scalar", "Symbol", "TraceError"]


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

    def forward(self: Scalar, other: Any) -> Any:
        if not isinstance(other, int | float):
            return NotImplemented
        return Scalar(
            on_floats(float(self), float(other)), f"({_origin(self)}{sign}{_origin(other)})"
        )

    def reflected(self: Scalar, other: Any) -> Any:
        if not isinstance(other, int | float):
            return NotImplemented
        return Scalar(
            on_floats(float(other), float(self)), f"({_origin(other)}{sign}{_origin(self)})"
        )

    return forward, reflected


for _name, _sign in (("add", "+"), ("sub", "-"), ("mul", "*"), ("truediv", "/"), ("pow", "**")):
    _forward, _reflected = _scalar_operator(_name, _sign)
    setattr(Scalar, f"__{_name}__", _forward)
    setattr(Scalar, f"__r{_name}__", _reflected)


class Recorder:
    """The graph that the symbols of one trace write into, and what was read on the way."""

    def __init__(self) -> None:
        self.graph = Graph()
        self.numbers: dict[str, float] = {}  # origin -> value, in order of use
        self.reads: dict[tuple[int, str], tuple[Any, str, Any]] = {}

    def input(self, name: str) -> Symbol:
        return Symbol(self, self.graph.input(name))

    def read(self, owner: Any, name: str, value: Any) -> None:
        """Note that the program holds only as long as `owner.name` is `value`."""
        self.reads[(id(owner), name)] = (owner, name, value)

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

    def apply(self, name: str, args: tuple[Any, ...]) -> Symbol:
        """What the function `name` of the vocabulary returns for `args`."""
        if name == "fire":
            return self._fire(*args)
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
        self.read(surrogate, "spiking", surrogate.spiking)
        values = surrogate.parameter_values
        self.read(surrogate, "parameter_values", values)
        cls = type(surrogate)
        scalars = [
            Scalar(value, f"{cls.__name__}[{i}]") if isinstance(value, float) else value
            for i, value in enumerate(values)
        ]
        if not surrogate.spiking:
            return cls.primitive_function(u, *scalars)
        spike = heaviside(u) if cls.spike is None else cls.spike(u, *scalars)
        derivative = cls.derivative(u, *scalars)
        nodes = (self.number(spike), self.number(u), self.number(derivative))
        return Symbol(self, self.graph.op("fire", *nodes))


class Symbol:
    """One number per neuron, known by its node in the graph of a :class:`Recorder`."""

    __slots__ = ("index", "recorder")

    def __init__(self, recorder: Recorder, index: int) -> None:
        self.recorder = recorder
        self.index = index

    def __sj_op__(self, name: str, args: tuple[Any, ...]) -> Any:
        return _apply(self.recorder, name, args)

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        symbol = next(arg for arg in (*args, *(kwargs or {}).values()) if isinstance(arg, Symbol))
        name = getattr(function, "__name__", str(function))
        args = (*args, *(v for k, v in (kwargs or {}).items() if k not in ("inplace", "out")))
        return _apply(symbol.recorder, _TORCH_NAMES.get(name.strip("_"), name), args)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)
        if name not in _KNOWN and name not in _TORCH_NAMES:
            raise TraceError(f"it uses Tensor.{name}, which has no place in a fused kernel")
        return lambda *args: _apply(self.recorder, _TORCH_NAMES.get(name, name), (self, *args))

    def __bool__(self) -> bool:
        raise TraceError("it branches on a value; write ops.where(condition, a, b) instead")

    def __float__(self) -> float:
        raise TraceError("it takes a plain number out of a tensor, whose value is not known yet")

    __int__ = __index__ = __float__
    __hash__ = object.__hash__


def _clamp(recorder: Recorder, x: Any, low: Any = None, high: Any = None) -> Any:
    # `where` passes nan on, and the gradient at either end, as torch does
    result = x
    if high is not None:
        result = recorder.apply("where", (x > high, high, result))
    if low is not None:
        result = recorder.apply("where", (x < low, low, result))
    return result


def _relu(recorder: Recorder, x: Any) -> Any:
    return recorder.apply("where", (x <= 0.0, 0.0, x))


def _cast(recorder: Recorder, x: Any, *dtype: Any) -> Any:
    return Symbol(recorder, recorder.number(x))


_COMPOSED: dict[str, Callable[..., Any]] = {
    "clamp": _clamp,
    "relu": _relu,
    "to": _cast,
    "square": lambda recorder, x: x * x,
    "sqrt": lambda recorder, x: recorder.apply("pow", (x, 0.5)),
    "reciprocal": lambda recorder, x: 1.0 / x,
    "rsub": lambda recorder, a, b: recorder.apply("sub", (b, a)),
    "rdiv": lambda recorder, a, b: recorder.apply("div", (b, a)),
    "rpow": lambda recorder, a, b: recorder.apply("pow", (b, a)),
    "heaviside": lambda recorder, x, *_: heaviside(x),
}
_TORCH_NAMES = {
    "absolute": "abs", "arctan": "atan", "negative": "neg", "subtract": "sub", "multiply": "mul",
    "divide": "div", "true_divide": "div", "truediv": "div", "rtruediv": "rdiv", "radd": "add",
    "rmul": "mul", "clip": "clamp", "clamp_min": "clamp", "less": "lt", "less_equal": "le",
    "greater": "gt", "greater_equal": "ge", "logical_and": "and", "logical_or": "or",
    "logical_not": "not", "bitwise_and": "and", "bitwise_or": "or", "bitwise_not": "not",
    "invert": "not", "rand": "and", "ror": "or", "float": "to", "double": "to", "type_as": "to",
    "type": "to", "max": "maximum", "min": "minimum",
}  # fmt: skip
_KNOWN = frozenset((
    "neg", "add", "sub", "mul", "div", "lt", "le", "gt", "ge", "eq", "ne", "not", "and", "or",
    "exp", "log", "pow", "sin", "cos", "tanh", "sigmoid", "atan", "erf", "abs", "sign", "round",
    "minimum", "maximum", "where", "detach", "fire", *_COMPOSED,
))  # fmt: skip


def _apply(recorder: Recorder, name: str, args: tuple[Any, ...]) -> Any:
    if name not in _KNOWN:
        raise TraceError(f"it calls {name}, which has no place in a fused kernel")
    if name in _COMPOSED:
        return _COMPOSED[name](recorder, *args)
    try:
        return recorder.apply(name, args)
    except ValueError as error:
        raise TraceError(f"it calls {name} in a form that is not known here: {error}") from None


def _operator(name: str, *, reflected: bool = False) -> Callable[..., Any]:
    def method(self: Symbol, *others: Any) -> Any:
        if any(isinstance(other, nn.Module | str) for other in others):
            return NotImplemented
        args = (*others, self) if reflected else (self, *others)
        return self.recorder.apply(name, args)

    return method


for _python, _name in (
    ("add", "add"), ("sub", "sub"), ("mul", "mul"), ("truediv", "div"), ("pow", "pow"),
    ("and", "and"), ("or", "or"),
):  # fmt: skip
    setattr(Symbol, f"__{_python}__", _operator(_name))
    setattr(Symbol, f"__r{_python}__", _operator(_name, reflected=True))
for _name in ("lt", "le", "gt", "ge", "eq", "ne", "neg", "abs", "round"):
    setattr(Symbol, f"__{_name}__", _operator(_name))
Symbol.__invert__ = _operator("not")  # pyright: ignore[reportAttributeAccessIssue]
Symbol.__pos__ = lambda self: self  # pyright: ignore[reportAttributeAccessIssue]

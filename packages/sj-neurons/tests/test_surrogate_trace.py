"""Every formula is written once: it also runs on a scalar symbol and gives the same numbers."""

import inspect
import math

import pytest
import torch

from sj_neurons import ops, surrogate

PUBLIC = [getattr(surrogate, name) for name in surrogate.__all__]
CLASSES = [
    c
    for c in PUBLIC
    if inspect.isclass(c)
    and issubclass(c, surrogate.SurrogateFunction)
    and c is not surrogate.SurrogateFunction
]


def _scalar_where(condition, a, b):
    return a if condition else b


SCALAR = {
    **{op: getattr(math, op) for op in ("exp", "log", "pow", "sin", "cos", "tanh", "atan", "erf")},
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "abs": abs,
    "sign": lambda x: (x > 0) - (x < 0),
    "round": round,
    "clamp": lambda x, lo, hi: min(max(x, lo), hi),
    "where": _scalar_where,
}


class Symbol:
    """A scalar expression, recorded from a formula and evaluated later with plain numbers."""

    def __init__(self, value):
        self.value = value  # a function of the scalar that the symbol stands for

    def __sj_op__(self, name, args):
        return Symbol(lambda x: SCALAR[name](*(_at(arg, x) for arg in args)))


def _at(arg, x):
    return arg.value(x) if isinstance(arg, Symbol) else arg


def _operator(name):
    def method(self, other):
        return Symbol(lambda x: getattr(float(_at(self, x)), name)(float(_at(other, x))))

    return method


for _name in ("add", "sub", "mul", "truediv", "pow"):
    setattr(Symbol, f"__{_name}__", _operator(f"__{_name}__"))
    setattr(Symbol, f"__r{_name}__", _operator(f"__r{_name}__"))
for _name in ("lt", "le", "gt", "ge"):
    setattr(Symbol, f"__{_name}__", _operator(f"__{_name}__"))
Symbol.__neg__ = lambda self: 0.0 - self


@pytest.mark.parametrize("cls", CLASSES)
def test_formulas_can_be_traced_on_a_scalar_symbol(cls):
    module = cls(3) if cls is surrogate.MultiLevelSpikeCount else cls()
    values = module.parameter_values
    formulas = [cls.derivative]
    if cls not in (surrogate.SuperSpike, surrogate.FakeNumericalGradient):
        formulas.append(cls.primitive_function)
    if cls is not surrogate.PoissonPass:
        formulas.append(cls.spike or (lambda u, *_: surrogate.heaviside(u)))
    x = torch.linspace(-3, 3, 61, dtype=torch.float64)
    for formula in formulas:
        traced = formula(Symbol(lambda x: x), *values)
        by_symbol = torch.tensor([float(traced.value(u)) for u in x.tolist()], dtype=x.dtype)
        torch.testing.assert_close(by_symbol, formula(x, *values), rtol=1e-9, atol=1e-12)


def test_the_vocabulary_of_the_tracer_is_closed():
    assert set(SCALAR) <= set(ops.__all__)

"""The vocabulary of a step: torch on tensors, the symbol's own meaning on symbols."""

import torch

from sj_neurons import ops, surrogate


class Symbol:
    """Records the operations applied to it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __sj_op__(self, name, args):
        shown = [arg.text if isinstance(arg, Symbol) else repr(arg) for arg in args]
        return Symbol(f"{name}({', '.join(shown)})")

    def __mul__(self, other):
        return Symbol(f"{self.text}*{getattr(other, 'text', other)}")

    __rmul__ = __mul__


def test_tensors_go_to_torch():
    x = torch.linspace(-0.9, 0.9, 7)
    for name in set(ops.__all__) - {"pow", "minimum", "maximum", "where", "fire", "detach"}:
        args = (x, -0.5, 0.5) if name == "clamp" else (x,)
        assert torch.equal(
            getattr(ops, name)(*args).nan_to_num(), getattr(torch, name)(*args).nan_to_num()
        )
    assert torch.equal(ops.maximum(x, -x), x.abs())
    assert torch.equal(ops.minimum(x, -x), -x.abs())
    assert torch.equal(ops.pow(x, 2), x**2)
    assert torch.equal(ops.where(x > 0, x, -x), x.abs())
    assert torch.equal(ops.fire(x, surrogate.ATan()), (x >= 0).float())
    assert not ops.detach(x.requires_grad_(True)).requires_grad


def test_symbols_take_over_every_operation():
    x = Symbol("x")
    for name in set(ops.__all__) - {"fire", "where"}:
        assert getattr(ops, name)(x).text == f"{name}(x)"
    assert ops.where(True, 0.0, x).text == "where(True, 0.0, x)"
    assert ops.fire(x, surrogate.ATan()).text.startswith("fire(x, ATan(")


def test_a_surrogate_derivative_can_be_traced():
    assert "sigmoid(x*4.0)" in surrogate.Sigmoid.primitive_function(Symbol("x"), 4.0).text

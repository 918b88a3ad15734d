"""What components take, through `**kwargs` and typed options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import pytest
from torch import nn

from sj_models.errors import ConfigTypeError
from sj_models.signatures import check_arguments, explain_unexpected, parameters

if TYPE_CHECKING:
    from fractions import Fraction


class Options(TypedDict, total=False):
    height: int


class Base(nn.Module):
    def __init__(self, a: int, b: str = "") -> None:
        super().__init__()


class Derived(Base):
    def __init__(self, c: float = 0.0, **kwargs: Any) -> None:
        super().__init__(1, **kwargs)


class Typed(Base):
    def __init__(self, width: int, **options: Unpack[Options]) -> None:
        super().__init__(1)


class Silent(Derived):
    pass


def test_keywords_for_base_classes_count():
    assert list(parameters(Base)) == ["a", "b"]
    assert list(parameters(Derived)) == list(parameters(Silent)) == ["c", "a", "b"]
    assert parameters(Derived)["b"].annotation is str


def test_typed_options_count():
    assert list(parameters(Typed)) == ["width", "height"]
    assert parameters(Typed)["height"].annotation is int


def test_functions_may_take_anything():
    def free(a: Fraction, *rest: int, **other: Any) -> None: ...

    assert list(parameters(free)) == ["a", "**"]
    assert parameters(free)["a"].annotation is Any  # known to type checkers only


def test_neurons_take_surrogate_too():
    def neuron(surrogate_function: Any = None) -> None: ...

    assert list(parameters(neuron)) == ["surrogate_function", "surrogate"]


def test_what_has_no_signature_is_not_checked():
    check_arguments(dict, {"anything": 1}, title="dict", path="")
    assert list(parameters(type)) == []


@pytest.mark.parametrize(
    ("component", "arguments", "text"),
    [
        (Base, {}, "x: Base needs 'a'"),
        (Base, {"a": 1, "bb": 2}, "x: Base takes no argument 'bb'; did you mean 'b'?"),
        (Base, {"a": 1, "zzz": 2}, "x: Base takes no argument 'zzz'; it takes a, b"),
        (lambda: None, {"a": 1}, "x: Base takes no argument 'a'; it takes none"),
        (lambda a, /: None, {"a": 1}, "x: Base: .*positional.only"),
    ],
)
def test_arguments_are_checked_before_the_call(component: Any, arguments: Any, text: str):
    with pytest.raises(ConfigTypeError, match=text.replace("?", r"\?")):
        check_arguments(component, arguments, title="Base", path="x")


def test_only_errors_about_lost_arguments_are_explained():
    def explain(error: str, **arguments: Any) -> ConfigTypeError | None:
        return explain_unexpected(Derived, arguments, TypeError(error), title="D", path="p")

    lost = "__init__() got an unexpected keyword argument 'bb'"
    assert str(explain(lost, bb=1)) == "p: D takes no argument 'bb'; did you mean 'b'?"
    assert explain(lost, b=1) is None  # not one of ours
    assert explain(lost.replace("bb", "b"), b=1) is None  # b is taken: the error is another's
    assert explain("no number", b=1) is None

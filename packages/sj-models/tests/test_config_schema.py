"""The JSON schema: types of arguments, parts, and every component of the registry."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import pytest
from torch import nn

from sj_models.config import json_schema
from sj_models.registry import MODELS, Registry


def some_class() -> type:
    return nn.ReLU


class Part(nn.Module):
    """A part.

    And more.
    """

    def __init__(
        self,
        part: nn.Module | dict[str, Any] | None,
        size: int,
        ratio: float = 0.5,
        mode: Literal["a", "b"] = "a",
        shape: tuple[int, ...] = (1, 2),
        names: Sequence[str] | None = None,
        pair: tuple[int, str] = (1, ""),
        options: Mapping[str, Any] | None = None,
        act: Callable[..., nn.Module] | str = "x",
        free: Any = nn.ReLU,
        other: complex | int = 0,
        **rest: Any,
    ) -> None:
        super().__init__()


@pytest.fixture
def part() -> dict[str, Any]:
    registry = Registry("parts")
    registry.register_module(module=Part)
    return json_schema(registry)["$defs"]["Part"]


def test_arguments_have_their_types_and_defaults(part: dict[str, Any]):
    texts = {"type": "string"}
    component = {"$ref": "#/$defs/component"}
    assert part["description"] == "A part."
    assert part["additionalProperties"] is False  # **rest ends at nn.Module, which takes none
    expected = {
        "part": {"anyOf": [component, {"type": "null"}]},
        "size": {"type": "integer"},
        "ratio": {"type": "number", "default": 0.5},
        "mode": {"enum": ["a", "b"], "default": "a"},
        "shape": {"type": "array", "items": {"type": "integer"}, "default": [1, 2]},
        "names": {"anyOf": [{"type": "array", "items": texts}, {"type": "null"}], "default": None},
        "pair": {"type": "array", "default": [1, ""]},
        "options": {"anyOf": [{"type": "object"}, {"type": "null"}], "default": None},
        "act": {"type": "string", "default": "x"},
        "free": {},
        "other": {"default": 0},
    }
    assert {key: part["properties"][key] for key in expected} == expected


def test_functions_that_take_anything_allow_anything():
    registry = Registry("parts")

    @registry.register_module
    def free(**rest: Any) -> None: ...

    schema = json_schema(registry)
    assert schema["$defs"]["free"]["additionalProperties"] is True
    assert schema["$defs"]["component"]["properties"]["type"] == {"enum": ["free"]}


def test_every_component_is_in_the_schema():
    schema = json_schema()
    text = json.dumps(schema)
    assert set(MODELS.names()) | {"component"} == set(schema["$defs"])
    neuron = schema["$defs"]["LIF"]["properties"]
    assert neuron["tau"] == {"type": "number", "default": 2.0}
    assert "surrogate" in neuron
    assert all(f'"#/$defs/{name}"' in text for name in MODELS.names())

"""Names, duplicates, lookup order, building and its errors, entry points."""

from __future__ import annotations

import copy
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from sj_models.errors import ConfigKeyError, ConfigTypeError
from sj_models.registry import MODELS, Registry, plain
from sj_neurons import neuron, surrogate


class Scale(nn.Module):
    """Multiply by a number.

    More about it.
    """

    def __init__(self, factor: float = 1.0, *, bias: float = 0.0) -> None:
        super().__init__()
        self.factor, self.bias = factor, bias


class Pair(nn.Module):
    def __init__(self, registry: Registry, first: Any, parts: Any = ()) -> None:
        super().__init__()
        self.first = registry.build(first)
        self.parts = nn.ModuleList(
            registry.build_at(f"parts.{i}", part) for i, part in enumerate(parts)
        )


@pytest.fixture
def registry() -> Registry:
    registry = Registry("parts", builtin={"Linear": "torch.nn", "Fc": "torch.nn:Linear"})
    registry.register_module(module=Scale)
    registry.register_module(module=Pair)
    return registry


@pytest.fixture
def pair(registry: Registry) -> dict[str, Any]:
    return {"type": "Pair", "registry": registry, "first": {"type": "Scale", "factor": 2}}


def test_a_decorator_works_with_and_without_parentheses():
    registry = Registry("parts")

    @registry.register_module
    class A:
        pass

    @registry.register_module()
    class B:
        pass

    @registry.register_module(["c", "C"])
    def make_c() -> str:
        return "c"

    assert registry.names() == ["A", "B", "C", "c"]
    assert registry.get("A") is A and registry.get("B") is B
    assert registry.build({"type": "C"}) == registry.build({"type": "c"}) == "c"
    assert len(registry) == 4 and "A" in registry and "a" not in registry and 3 not in registry
    assert "parts" in repr(registry)


def test_a_second_owner_of_a_name_is_refused_with_both_places(registry: Registry):
    class Other(nn.Module):
        pass

    with pytest.raises(KeyError) as caught:
        registry.register_module("Scale", module=Other)
    assert str(caught.value).count("test_registry.py:") == 2
    assert "force=True" in str(caught.value)
    registry.register_module("Scale", force=True, module=Other)
    assert registry.get("Scale") is Other


def test_the_same_component_can_be_registered_again(registry: Registry):
    registry.register_module(module=Scale)
    reloaded = type("Scale", (nn.Module,), {"__module__": Scale.__module__})
    reloaded.__qualname__ = Scale.__qualname__
    registry.register_module(module=reloaded)
    assert registry.get("Scale") is reloaded


def test_places_of_components_without_source_are_named_by_module(registry: Registry):
    registry.register_module("size", module=len)
    with pytest.raises(KeyError, match=r"builtins\.len"):
        registry.register_module("size", module=Scale)


def test_ones_own_class_comes_before_a_built_in_one(
    registry: Registry, caplog: pytest.LogCaptureFixture
):
    class Linear(nn.Module):
        pass

    registry.register_module(module=Linear)
    assert registry.get("Linear") is Linear
    assert "Linear replaces that of torch.nn" in caplog.text
    assert registry.get("torch:Linear") is nn.Linear


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"force": "yes", "module": Scale}, "force must be True or False"),
        ({"name": 3, "module": Scale}, "name must be text"),
        ({"name": [3]}, "name must be text"),
        ({"module": 5}, "only classes and functions"),
        ({"module": Scale(1)}, "is no name"),
        ({"name": "a:b", "module": Scale}, "is no name"),
    ],
)
def test_registering_wrongly_is_a_type_error(arguments: dict[str, Any], text: str):
    with pytest.raises(TypeError, match=text):
        Registry("parts").register_module(**arguments)


def test_lookup_ignores_what_is_not_there(registry: Registry):
    assert registry.get("Fc") is nn.Linear
    assert registry.get("nowhere") is None
    assert registry.get("torch:Scale") is None
    assert registry.get("test_registry:Linear") is None
    with pytest.raises(TypeError, match="a name is text"):
        registry.get(3)  # pyright: ignore[reportArgumentType]


def test_names_are_filtered_by_a_shell_pattern(registry: Registry):
    assert registry.names("*air") == ["Pair"]
    assert MODELS.names("LIF*") == ["LIF", "LIFNode"]


def test_description_says_what_a_component_takes(registry: Registry):
    about = registry.describe("Scale")
    assert about.defaults == {"factor": 1.0, "bias": 0.0}
    assert about.summary == "Multiply by a number."
    assert about.module == Scale.__module__
    assert about.signature.startswith("(factor")
    with pytest.raises(KeyError, match="did you mean 'Scale'"):
        registry.describe("Scal")


def test_neurons_surrogates_and_layers_have_their_names():
    from sj_layers import Conv2d
    from sj_neurons.neuron import LIFNode
    from sj_neurons.surrogate import ATan

    assert MODELS.get("LIF") is MODELS.get("sj_neurons:LIFNode") is LIFNode
    assert MODELS.get("ATan") is ATan
    assert MODELS.get("Conv2d") is Conv2d
    assert MODELS.get("sj_models:Conv2d") is None
    assert MODELS.build({"type": "LIF", "tau": 3.0}).tau == 3.0


def test_wrong_surrogates_are_explained():
    with pytest.raises(KeyError, match=r"^act\.surrogate: there is no 'Atann'.*mean 'ATan'"):
        MODELS.build_at("act", {"type": "LIF", "surrogate": "Atann"})
    with pytest.raises(TypeError, match="takes no argument 'surrogate'"):
        MODELS.build({"type": "Repeat", "T": 2, "surrogate": "ATan"})
    with pytest.raises(TypeError, match="surrogate or surrogate_function, not both"):
        MODELS.build({"type": "LIF", "surrogate": "ATan", "surrogate_function": "Sigmoid"})


def test_building_uses_defaults_where_the_config_says_nothing(registry: Registry):
    built = registry.build({"factor": 2}, type="Scale", factor=3, bias=4)
    assert (built.factor, built.bias) == (2, 4)
    assert built.config == {"type": "Scale", "factor": 2, "bias": 4}


def test_a_class_or_function_can_be_the_type(registry: Registry):
    assert registry.build({"type": Scale, "factor": 2}).config == {"type": "Scale", "factor": 2}
    assert registry.build({"type": nn.Linear, "in_features": 1, "out_features": 1}).config == {
        "type": "Linear", "in_features": 1, "out_features": 1
    }  # fmt: skip
    unknown = registry.build({"type": nn.ReLU})
    assert unknown.config == {"type": nn.ReLU}
    assert registry.build({"type": lambda x: x + 1, "x": 1}) == 2


def test_the_config_stays_as_it_is_and_can_be_built_again(registry: Registry, pair: dict[str, Any]):
    def greedy(options: dict[str, Any]) -> int:
        return options["inner"].pop(0)

    cfg = {"type": greedy, "options": {"inner": [1, 2]}}
    before = copy.deepcopy(cfg)
    assert registry.build(cfg) == registry.build(cfg) == 1
    assert cfg == before

    built = registry.build(pair)
    assert list(registry.build(pair).state_dict()) == list(built.state_dict())
    again = registry.build(built.config)
    assert again.config == built.config


def test_modules_inside_a_config_are_used_and_described(registry: Registry):
    part = registry.build({"type": "Scale", "factor": 3})

    @registry.register_module
    class Holder(nn.Module):
        def __init__(self, part: nn.Module, other: nn.Module) -> None:
            super().__init__()
            self.part, self.other = part, other

    other = nn.ReLU()
    holder = registry.build({"type": Holder, "part": part, "other": other})
    assert holder.part is part
    assert holder.config["part"] == {"type": "Scale", "factor": 3}
    assert holder.config["other"] is other


def test_a_config_of_its_own_is_kept(registry: Registry):
    @registry.register_module
    class Named(nn.Module):
        config = "mine"

    assert registry.build({"type": "Named"}).config == "mine"


def test_plain_copies_containers_and_keeps_the_rest():
    module, shape = nn.ReLU(), nn.Linear(1, 1).weight.shape
    value = {"a": [1, (2, {"b": module})], "c": shape}
    copied = plain(value)
    assert copied == value and copied["a"] is not value["a"]
    assert copied["a"][1][1]["b"] is module
    assert copied["c"] is shape


@pytest.mark.parametrize(
    ("cfg", "kind", "text"),
    [
        ("Scale", TypeError, "a module or a mapping with the key 'type', got 'Scale'"),
        ({"factor": 1}, KeyError, "the config has no 'type'; its keys are factor"),
        ({"type": 3}, TypeError, "'type' is a name, a class or a function, got 3"),
        ({"type": "scale"}, KeyError, "there is no 'scale' in 'parts'; did you mean 'Scale'?"),
        ({"type": "torch.nn.ReLU"}, KeyError, "dotted paths are not imported"),
        ({"type": "Scale", "_scope_": "x"}, KeyError, "there are no scopes"),
        ({"type": "x:Scale"}, KeyError, "there is no 'x:Scale' in 'parts'; did you mean 'Scale'?"),
        ({"type": "Scale", "factr": 1}, TypeError, "takes no argument 'factr'; did you mean 'fac"),
        ({"type": "Scale", "z": 1}, TypeError, "argument 'z'; it takes factor, bias"),
        ({"type": "Linear", "in_features": 1}, TypeError, "Linear needs 'out_features'"),
    ],
)
def test_wrong_configs_are_explained(registry: Registry, cfg: Any, kind: type, text: str):
    with pytest.raises(kind) as caught:
        registry.build(cfg)
    assert text in str(caught.value)


def test_errors_name_the_path_of_keys(registry: Registry, pair: dict[str, Any]):
    with pytest.raises(ConfigTypeError, match=r"^first: Scale takes no argument 'x'"):
        registry.build(pair | {"first": {"type": "Scale", "x": 1}})
    with pytest.raises(ConfigKeyError, match=r"^model\.parts\.1: there is no 'Sca'"):
        registry.build_at("model", pair | {"parts": [{"type": "Scale"}, {"type": "Sca"}]})
    outer = pair | {"first": pair | {"first": {"type": "Nope"}}}
    with pytest.raises(ConfigKeyError, match=r"^model\.first\.first: there is no 'Nope'"):
        registry.build_at("model", outer)


def test_errors_inside_a_constructor_are_not_masked(registry: Registry, pair: dict[str, Any]):
    @registry.register_module
    class Deep(nn.Module):
        def __init__(self, size: int, **options: Any) -> None:
            super().__init__()
            raise TypeError(f"inner() got an unexpected keyword argument {size!r}")

    for size in ("size", "other"):
        with pytest.raises(TypeError, match="inner") as caught:
            registry.build(pair | {"first": {"type": "Deep", "size": size}})
        assert not isinstance(caught.value, ConfigTypeError)
        assert caught.value.__notes__ == ["while building first (Deep)"]


def test_arguments_lost_between_base_classes_are_found(registry: Registry):
    @registry.register_module
    class Wide(Scale):
        def __init__(self, width: int = 1, **kwargs: Any) -> None:
            super().__init__(**kwargs)

    assert registry.build({"type": "Wide", "factor": 2}).factor == 2
    with pytest.raises(ConfigTypeError, match="Wide takes no argument 'widht'; did you mean 'wid"):
        registry.build({"type": "Wide", "widht": 2})


class TestEntryPoints:
    """Packages that offer components, made up in a folder on the path."""

    @pytest.fixture
    def group(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
        group = f"parts.{tmp_path.name}"
        monkeypatch.syspath_prepend(str(tmp_path))
        return group

    def install(self, folder: Path, package: str, group: str, lines: str, code: str) -> None:
        info = folder / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{lines}\n")
        (folder / f"{package}.py").write_text(textwrap.dedent(code))

    def test_a_named_one_is_imported_when_first_used(self, tmp_path: Path, group: str):
        registry = Registry("parts", entry_points=group)
        assert registry.get("Gift") is None
        package = f"gift_{tmp_path.name}"
        self.install(tmp_path, package, group, f"Gift = {package}:Gift", "class Gift: pass")
        assert registry.names() == ["Gift"]
        assert package not in sys.modules
        assert type(registry.build({"type": f"{package}:Gift"})).__module__ == package
        assert registry.get("other:Gift") is None

    def test_two_packages_with_one_name_must_be_told_apart(self, tmp_path: Path, group: str):
        registry = Registry("parts", entry_points=group)
        packages = [f"{letter}_{tmp_path.name}" for letter in "ab"]
        for package in packages:
            self.install(tmp_path, package, group, f"Gift = {package}:Gift", "class Gift: pass")
        with pytest.raises(KeyError, match=r"several packages offer 'Gift'; write .*:Gift' or "):
            registry.get("Gift")
        assert registry.get(f"{packages[1]}:Gift").__module__ == packages[1]

    def test_a_module_registers_what_it_holds(self, tmp_path: Path, group: str):
        registry = Registry("parts", entry_points=group)
        package = f"many_{tmp_path.name}"
        code = """
            made = []
            class Gift:
                def __init__(self):
                    made.append(self)
        """
        self.install(tmp_path, package, group, f"all = {package}", code)
        assert registry.get("Gift") is None and package in sys.modules
        registry.register_module(module=sys.modules[package].Gift)
        registry.build({"type": "Gift"})
        assert registry.names() == ["Gift"]

    def test_a_broken_package_hides_no_other(
        self, tmp_path: Path, group: str, caplog: pytest.LogCaptureFixture
    ):
        package = f"broken_{tmp_path.name}"
        self.install(tmp_path, package, group, f"all = {package}", "import no_such_module")
        assert Registry("parts", entry_points=group).get("Gift") is None
        assert "cannot be imported: No module named 'no_such_module'" in caplog.text


def test_importing_the_registry_imports_no_component():
    code = "import sys, sj_models.registry; print(*[m for m in sys.modules if 'sj_' in m])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {"sj_models", "sj_models.registry", "sj_models.errors", "sj_models.signatures"}
    assert set(run.stdout.split()) == loaded | {"sj_models.builtin", "sj_models.build_path"}


def test_several_names_are_registered_all_or_none(registry: Registry):
    with pytest.raises(KeyError, match="'Scale' is registered already"):
        registry.register_module(["New", "Scale"], module=nn.ReLU)
    assert "New" not in registry


def test_a_key_that_is_no_text_is_explained(registry: Registry):
    with pytest.raises(TypeError, match="Scale takes no argument 1"):
        registry.build({"type": "Scale", 1: 2})


def test_classes_and_surrogates_in_a_config_give_way_to_names():
    sizes = {"depth": 18, "stem_channels": 4, "base_channels": 4}
    backbone = {"type": "ResNet_CIFAR", **sizes, "neuron": neuron.LIFNode}
    tau = {"tau": 3.0, "surrogate_function": surrogate.ATan(alpha=3.0)}
    built = MODELS.build({"type": "ImageClassifier", "backbone": backbone})
    assert built.config["backbone"]["neuron"] == "LIFNode"
    built = MODELS.build({**backbone, "neuron": {"type": neuron.LIFNode, **tau}})
    described = {"type": "ATan", "alpha": 3.0, "spiking": True}
    assert built.config["neuron"] == {"type": "LIFNode", **tau, "surrogate_function": described}
    assert MODELS.build(built.config).config == built.config


def test_a_class_stays_where_the_component_takes_no_name(registry: Registry):
    class Uses(nn.Module):
        def __init__(self, kind: type[nn.Module]) -> None:
            super().__init__()
            self.part = kind()

    built = registry.build({"type": Uses, "kind": Scale})
    assert registry.build(built.config).config == built.config


@pytest.mark.parametrize("key", ["surrogate", "surrogate_function"])
@pytest.mark.parametrize("value", ["ATan", surrogate.ATan, {"type": "ATan"}, surrogate.ATan()])
def test_a_neuron_takes_its_surrogate_in_every_form(key: str, value: Any):
    built = MODELS.build({"type": "LIF", key: value})
    assert isinstance(built.surrogate_function, surrogate.ATan)
    assert isinstance(MODELS.build(built.config).surrogate_function, surrogate.ATan)

"""How parameters start: the rules of `init_cfg`.

    {"type": "Kaiming", "layer": "Conv2d", "nonlinearity": "relu"}
    {"type": "Constant", "val": 0, "override": {"name": "fc"}}
    {"type": "Pretrained", "checkpoint": "net.pth", "prefix": "backbone."}

    Constant      val                                                the weight is val
    Normal        mean=0, std=1
    TruncNormal   mean=0, std=1, a=-2, b=2                           a and b are the bounds
    Uniform       a=0, b=1
    Xavier        gain=1, distribution='normal' or 'uniform'         Glorot and Bengio 2010
    Kaiming       a=0, mode='fan_out', nonlinearity='relu',          He et al. 2015
                  distribution='normal' or 'uniform'
    Caffe2Xavier                                                     Kaiming with a=1, 'fan_in',
                                                                     'leaky_relu', 'uniform'
    Pretrained    checkpoint, prefix=None, map_location='cpu'        a file, or a URL

All but Pretrained also take `bias` (a number, 0 if not given) or `bias_prob` (p: the bias whose
sigmoid is p, -ln((1 - p) / p)), `layer` (classes or names of classes, bases included), `optional`
(true: no layer need match) and `override` ({name: child, ...}, or a list: another rule for one
child, or this one).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from .errors import ConfigError, ConfigKeyError, ConfigTypeError, ConfigValueError, did_you_mean
from .signatures import check_arguments
from .weights import read_weights

__all__ = ["apply_rule", "as_rules", "initialise_children", "is_pretrained"]

Report = dict[str, str]


def as_rules(init_cfg: Any) -> list[Mapping[str, Any]]:
    """The rules of an `init_cfg`: None, one rule or several."""
    rules = [] if init_cfg is None else [init_cfg] if isinstance(init_cfg, Mapping) else init_cfg
    if not isinstance(rules, (list, tuple)) or not all(isinstance(r, Mapping) for r in rules):
        raise ConfigTypeError(f"init_cfg is a rule or a list of rules, got {init_cfg!r}")
    return list(rules)


def is_pretrained(rule: Mapping[str, Any]) -> bool:
    """Whether the rule loads a file."""
    return rule.get("type") == "Pretrained"


def initialise_children(module: nn.Module) -> Report:
    """Call `init_weights` of the nearest descendants that have it."""
    report: Report = {}
    for name, child in module.named_children():
        own: Any = getattr(child, "init_weights", None)
        try:
            found = own() if own is not None else initialise_children(child)
        except ConfigError as error:
            error.path = f"{name}.{error.path}"
            raise
        if isinstance(found, dict):
            report |= {f"{name}.{key}": rule for key, rule in found.items()}
    return report


def apply_rule(module: nn.Module, rule: Mapping[str, Any]) -> Report:
    """Apply one rule to `module`; parameter name -> the rule.

    Raises:
        ValueError: the rule matches no layer or no parameter.
        KeyError, TypeError: an unknown type or argument; names the closest.
    """
    arguments = dict(rule)
    kind = arguments.pop("type", None)
    if kind == "Pretrained":
        check_arguments(_load, {"module": module, **arguments}, title="Pretrained", path="init_cfg")
        return _load(module, **arguments)
    layer, override = arguments.pop("layer", None), arguments.pop("override", None)
    optional = arguments.pop("optional", False)
    if layer is None and override is None:
        raise ConfigValueError(f"{kind} names no layer", path="init_cfg")
    report: Report = {}
    if layer is not None:
        report |= _initialise(module, kind, arguments, _matcher(layer))
        if not optional and not any(map(_matcher(layer), module.modules())):
            raise ConfigValueError(
                f"{kind}: no layer in {type(module).__name__} matches {layer!r}", path="init_cfg"
            )
    for other in as_rules(override):
        report |= _override(module, other, {"type": kind, **arguments})
    return report


def _override(module: nn.Module, rule: Mapping[str, Any], default: Mapping[str, Any]) -> Report:
    own = {key: value for key, value in rule.items() if key != "name"}
    name = rule.get("name")
    child = dict(module.named_children()).get(name) if isinstance(name, str) else None
    if child is None:
        hint = did_you_mean(str(name), dict(module.named_children()))
        raise ConfigValueError(
            f"override: {type(module).__name__} has no child {name!r}{hint}", path="init_cfg"
        )
    if own and "type" not in own:
        raise ConfigValueError(f"override of {name!r} needs a 'type' of its own", path="init_cfg")
    arguments = own or dict(default)
    report = _initialise(child, arguments.pop("type"), arguments, lambda _: True)
    return {f"{name}.{key}": text for key, text in report.items()}


def _initialise(
    module: nn.Module, kind: Any, arguments: dict[str, Any], matches: Callable[[nn.Module], bool]
) -> Report:
    if kind not in _RULES:
        raise ConfigKeyError(
            f"there is no rule {kind!r}{did_you_mean(str(kind), [*_RULES, 'Pretrained'])}",
            path="init_cfg",
        )
    arguments = dict(arguments)
    text = f"{kind}({', '.join(f'{k}={v!r}' for k, v in arguments.items())})"
    bias, probability = arguments.pop("bias", 0.0), arguments.pop("bias_prob", None)
    if probability is not None:
        bias = _bias_of(probability)
    fill = _RULES[kind]
    check_arguments(fill, {"weight": None, **arguments}, title=kind, path="init_cfg")
    report: Report = {}
    for prefix, layer in module.named_modules():
        if not matches(layer):
            continue
        for name, parameter in layer.named_parameters(recurse=False):
            # fans need two axes: rules with fans pass over the weights of norms
            fits = name == "weight" and not (fill in _WITH_FANS and parameter.dim() < 2)
            if not fits and name != "bias":
                continue
            try:
                fill(parameter, **arguments) if fits else nn.init.constant_(parameter, bias)
            except (TypeError, ValueError, RuntimeError) as error:
                reason = str(error).partition("\n")[0]
                raise ConfigValueError(f"{text}: {reason}", path="init_cfg") from error
            report[f"{prefix}.{name}".lstrip(".")] = text
    return report


def _bias_of(probability: Any) -> float:
    if not isinstance(probability, (int, float)) or not 0 < probability < 1:
        raise ConfigValueError(
            f"bias_prob is between 0 and 1, got {probability!r}", path="init_cfg"
        )
    return -math.log((1 - probability) / probability)


def _matcher(layer: Any) -> Callable[[nn.Module], bool]:
    wanted = list(layer) if isinstance(layer, (list, tuple)) else [layer]

    def matches(module: nn.Module) -> bool:
        bases = type(module).__mro__
        return any(base in wanted or base.__name__ in wanted for base in bases)

    return matches


def _constant(weight: Tensor, val: float) -> None:
    nn.init.constant_(weight, val)


def _normal(weight: Tensor, mean: float = 0.0, std: float = 1.0) -> None:
    nn.init.normal_(weight, mean, std)


def _trunc_normal(
    weight: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0
) -> None:
    nn.init.trunc_normal_(weight, mean, std, a, b)


def _uniform(weight: Tensor, a: float = 0.0, b: float = 1.0) -> None:
    nn.init.uniform_(weight, a, b)


def _xavier(weight: Tensor, gain: float = 1.0, distribution: str = "normal") -> None:
    _choice(distribution, nn.init.xavier_normal_, nn.init.xavier_uniform_)(weight, gain=gain)


def _kaiming(
    weight: Tensor,
    a: float = 0.0,
    mode: str = "fan_out",
    nonlinearity: str = "relu",
    distribution: str = "normal",
) -> None:
    fill = _choice(distribution, nn.init.kaiming_normal_, nn.init.kaiming_uniform_)
    fill(weight, a=a, mode=mode, nonlinearity=nonlinearity)


def _caffe2_xavier(weight: Tensor) -> None:
    _kaiming(weight, 1.0, "fan_in", "leaky_relu", "uniform")


def _choice(distribution: str, normal: Callable[..., Any], uniform: Callable[..., Any]) -> Any:
    if distribution not in ("normal", "uniform"):
        raise ConfigValueError(
            f"distribution is 'normal' or 'uniform', got {distribution!r}", path="init_cfg"
        )
    return normal if distribution == "normal" else uniform


_RULES: dict[Any, Callable[..., None]] = {
    "Constant": _constant,
    "Normal": _normal,
    "TruncNormal": _trunc_normal,
    "Uniform": _uniform,
    "Xavier": _xavier,
    "Kaiming": _kaiming,
    "Caffe2Xavier": _caffe2_xavier,
}
_WITH_FANS = (_xavier, _kaiming, _caffe2_xavier)


def _load(
    module: nn.Module, checkpoint: str | Path, prefix: str | None = None, map_location: Any = "cpu"
) -> Report:
    """Weights of a file whose keys start with `prefix`; keys that do not fit are left out."""
    _, weights = read_weights(checkpoint, progress=False, map_location=map_location)
    start = f"{prefix.rstrip('.')}." if prefix else ""
    weights = {key[len(start) :]: w for key, w in weights.items() if key.startswith(start)}
    for name, part in module.named_modules():
        adapt = getattr(part, "resize_weights", None)  # position embeddings of another size
        if adapt is not None:
            adapt(weights, f"{name}." if name else "")
    own = module.state_dict()
    fitting = {k: w for k, w in weights.items() if k in own and own[k].shape == w.shape}
    if not fitting:
        raise ConfigValueError(
            f"Pretrained: nothing in {checkpoint} fits {type(module).__name__}; "
            f"the file has {', '.join(list(weights)[:3]) or f'no keys with {start!r}'}, "
            f"the model {', '.join(list(own)[:3])}",
            path="init_cfg",
        )
    module.load_state_dict(fitting, strict=False)
    return dict.fromkeys(fitting, f"Pretrained({checkpoint})")

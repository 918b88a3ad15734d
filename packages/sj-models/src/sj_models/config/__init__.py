"""Configs as plain data: read, inherit, override, write, and a schema for editors.

    cfg = load_config("configs/resnet.yaml", ["model.backbone.depth=34"])
    model = sj_models.build.build(cfg)

A file may name bases under `_base_` (a path or a list, relative to the file). Over its bases

    mapping over mapping             merged, key by key; the file wins
    mapping with another `type`      replaces, unless it says `_merge_: true`
    mapping with `_delete_: true`    replaces
    anything but a mapping           replaces; lists are never merged
    mapping over a number or list    an error, unless it says `_delete_: true`
    the same key in two bases        an error
    "{{_base_.a.b}}"                 the value that the bases have at a.b

Overrides are `a.b.c=value`, `+a.b=value` for a key that does not exist, `~a.b` to remove one; list
items count from 0. A new key needs no `+` where the `type` beside it has such an argument.

YAML is read by the core schema of YAML 1.2: `1e-3` is a number, `no` and `on` are text, and there
are no tags beyond the core. Nothing in a `.yaml` or `.json` file is ever executed; `.py` files
are code and are read by `load_python_config` only.
"""

from .load import dump_config, load_config, load_python_config
from .merge import merge
from .override import override
from .schema import json_schema
from .yaml12 import parse_scalar, parse_yaml

__all__ = [
    "dump_config",
    "json_schema",
    "load_config",
    "load_python_config",
    "merge",
    "override",
    "parse_scalar",
    "parse_yaml",
]

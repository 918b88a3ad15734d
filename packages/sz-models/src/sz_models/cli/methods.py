"""``sz-models list``: the methods, their options, their weights and where they come from."""

from __future__ import annotations

import argparse

from ..registry import default_config, find_method
from ..weights import weights_folder
from .arguments import Commands, add_command, method_names

__all__ = ["add"]

_SOURCES = {
    "tfp": "Zhu et al., ICME 2019",
    "tfi": "Zhu et al., ICME 2019",
    "gtfp": "tfp with Gaussian weights",
    "isi": "mean inter-spike interval",
    "tfstp": "Zheng et al., CVPR 2021, TPAMI 2023",
    "base": "Spike-Zoo's small network",
    "spikeclip": "Chen et al., AAAI 2025",
    "wgse": "Zhang et al., AAAI 2023",
    "ssml": "Chen et al., IJCAI 2022",
    "spk2imgnet": "Zhao et al., CVPR 2021",
    "ssir": "Zhao et al., IEEE TCSVT 2023",
    "stir": "Fan et al., NeurIPS 2024; weights for research only",
    "bsf": "Zhao et al., CVPR 2024",
}
_NOTE = (
    "The code is under the MIT licence. Released weights are the work of their authors, who state "
    "no licence unless noted."
)


def add(commands: Commands) -> None:
    """Tell argparse about the command."""
    add_command(commands, "list", "list the methods", _run)


def _run(_: argparse.Namespace) -> int:
    rows = [("method", "frames", "options", "weights", "source")]
    rows += [_row(name) for name in method_names()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(map(str.ljust, row, widths)).rstrip())
    print(_NOTE)
    return 0


def _row(name: str) -> tuple[str, ...]:
    source = _SOURCES.get(name, "registered")
    if find_method(name) is None:
        return name, "all before", "-", "none needed", source
    cfg = default_config(name)
    options = {
        "window" if key == "model_win_length" else key: value
        for key, value in cfg.model_params.items()
    }
    if cfg.require_params:
        frames = "/".join(dict.fromkeys(map(str, cfg.model_length_dict.values())))
        weights = ", ".join(
            f"{version} {_state(version, cfg.model_name)}" for version in cfg.model_length_dict
        )
    else:
        window = options.get("window", cfg.model_length)
        frames = "all" if window is None else str(window)
        weights = "none needed"
    text = " ".join(f"{key}={'all' if value is None else value}" for key, value in options.items())
    return name, frames, text or "-", weights, source


def _state(version: str, name: str) -> str:
    folder = weights_folder() / version
    here = any((folder / f"{name}.{suffix}").is_file() for suffix in ("pth", "pt"))
    return "here" if here else "not here"

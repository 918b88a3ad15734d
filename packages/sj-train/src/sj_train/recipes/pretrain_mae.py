"""Pretrains a (spiking) vision transformer as a masked autoencoder.

    python -m sj_train.recipes.pretrain_mae --data-path ./data --neuron LIF --T 4

Without ``--config`` the network is a small one for images of 32 x 32 pixels and CIFAR-10.
``<output-dir>/<name>/visuals/epoch_<n>.png`` shows, in a row per test image: the image, what the
network saw of it, and the image with the hidden patches as it imagines them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import files
from ..extras import require
from ..one_line_parser import OneLineParser
from .command import check_at_least, model_errors, parse_with_fake, run_command
from .from_config import FAKE_DEFAULTS, add_task_flags, prepare
from .picture_sheet import save_colour_sheet
from .script_run import ScriptRun
from .task_training import as_task_batch, train_task

__all__ = ["build_parser", "default_config", "main", "run"]


def build_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(prog="pretrain_mae", description="Pretrain a masked autoencoder")
    add = parser.add_argument
    add("--config", help="a .yaml or .json file with a model of type MAE")
    add("--neuron", help="neuron of the default network, such as LIF (default: none, an ANN)")
    add("--T", default=4, type=int, help="time steps of the default network (default: 4)")
    add("--mask-ratio", default=0.75, type=float, help="share of hidden patches (default: 0.75)")
    add("--embed-dims", default=192, type=int, help="width of the default network (default: 192)")
    add("--depth", default=4, type=int, help="layers of the default network (default: 4)")
    add("--visuals", default=4, type=int, help="test images to draw per epoch (default: 4)")
    add_task_flags(parser)
    return parser


def default_config(args: argparse.Namespace) -> dict[str, Any]:
    """The small network that the options describe."""
    width, patch = args.embed_dims, 4
    decoder = {"decoder_embed_dim": width // 2, "decoder_depth": 2, "decoder_num_heads": 3}
    model: dict[str, Any] = {
        "type": "MAE",
        "data_preprocessor": {"mean": [125.3, 123.0, 113.9], "std": [63.0, 62.1, 66.7]},
        "backbone": {
            "type": "MAEViT",
            "arch": {
                "embed_dims": width, "num_layers": args.depth, "num_heads": 3,
                "feedforward_channels": 4 * width,
            },
            "img_size": 32, "patch_size": patch, "mask_ratio": args.mask_ratio,
        },
        "neck": {
            "type": "MAEPretrainDecoder", "num_patches": 64, "patch_size": patch,
            "embed_dim": width, **decoder,
        },
        "head": {
            "type": "MAEPretrainHead", "norm_pix": False, "patch_size": patch,
            "loss": {"type": "PixelReconstructionLoss", "criterion": "L2"},
        },
    }  # fmt: skip
    if args.neuron is not None:
        model["encoder"] = {"type": "Repeat", "T": args.T}
        model["backbone"]["neuron"] = {"type": args.neuron, "detach_reset": True}
    optimizer = {"type": "AdamW", "lr": 1.5e-4, "weight_decay": 0.05, "betas": [0.9, 0.95]}
    return {
        "input_shape": [3, 32, 32],
        "model": model,
        "data": {"type": "CIFAR10"},
        "training": {"epochs": 400, "batch_size": 512, "optimizer": optimizer},
    }


def run(args: argparse.Namespace) -> ScriptRun:
    """Train, and draw test images after each epoch.

    Raises:
        TrainError: the config, options, data or checkpoint cannot be used.
    """
    check_at_least(args, "--", T=1, visuals=0, embed_dims=1, depth=1)
    if args.visuals:
        require("PIL.Image", "images")  # missed now rather than after the first epoch
    tools = require("sj_models.config", "recipes")
    with model_errors():
        if args.config is None:
            config = tools.override(default_config(args), args.overrides)
            name = "mae" if args.neuron is None else f"mae_{args.neuron}_T{args.T}"
        else:
            config, name = tools.load_config(args.config, args.overrides), Path(args.config).stem
    script, data = prepare(args, config)
    folder = Path(args.output_dir) / name

    def draw(epoch: int) -> None:
        tools.dump_config(config, folder / "config.yaml")
        if args.visuals:
            files.prepare_folder(folder / "visuals")
            x, label = next(iter(data.test))
            rows = pictures(script.net, x[: args.visuals], label[: args.visuals])
            save_colour_sheet(folder / "visuals" / f"epoch_{epoch}.png", rows)

    train_task(args, script, data, folder, epochs=args.epochs, after_epoch=draw)
    return script


@torch.no_grad()
def pictures(net: Any, x: Tensor, label: Tensor) -> list[list[Tensor]]:
    """Image, visible patches and completed image of each sample, ``[C, H, W]`` in 0..1."""
    model, head = net.eval(), net.head
    generator = torch.Generator(next(net.parameters()).device).manual_seed(0)
    inputs = model.preprocess(as_task_batch(x, label))["inputs"]
    pred, mask = model.reconstruct(inputs, generator=generator)
    if inputs.ndim == 5:
        inputs = inputs.mean(0)
    patches = head.patchify(inputs)
    pred = pred.mean(0) if pred.ndim == 4 else pred
    if head.norm_pix:  # the network predicts each patch without its mean and scale
        spread = (patches.var(-1, keepdim=True) + 1e-6).sqrt()
        pred = pred * spread + patches.mean(-1, keepdim=True)
    hidden = mask[..., None]
    stages = [patches, patches * (1 - hidden), patches * (1 - hidden) + pred * hidden]
    shown = [_in_unit_range(head.unpatchify(s), inputs).cpu() for s in stages]
    return [list(row) for row in zip(*shown, strict=True)]


def _in_unit_range(images: Tensor, like: Tensor) -> Tensor:
    low, high = like.min(), like.max()
    return ((images - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)


def main(argv: Sequence[str] | None = None) -> None:
    small = {**FAKE_DEFAULTS, "embed_dims": 48, "depth": 2}
    args = parse_with_fake(build_parser(), argv, small)
    run_command("pretrain_mae", lambda: run(args))


if __name__ == "__main__":
    main()

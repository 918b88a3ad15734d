from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sj_models.backbones.beit_vit import BEiTPretrainViT
from sj_models.backbones.mae_vit import MAEViT
from sj_models.heads.beit import BEiTV1Head, BEiTV2Head
from sj_models.heads.mae import MAEPretrainHead
from sj_models.losses import PixelReconstructionLoss
from sj_models.necks.beit_v2 import BEiTV2Neck
from sj_models.necks.mae_decoder import MAEPretrainDecoder
from sj_models.tasks import MAE, BaseSelfSupervisor, BEiT

T, N, L, WORDS = 3, 2, 16, 5
ARCH = {"embed_dims": 24, "num_layers": 2, "num_heads": 3, "feedforward_channels": 36}
SIZES: dict[str, Any] = {"img_size": 16, "patch_size": 4}
IMAGE = torch.rand(N, 3, 16, 16, generator=torch.Generator().manual_seed(0))
FRAMES = torch.rand(T, N, 3, 16, 16, generator=torch.Generator().manual_seed(1))
MASK = torch.arange(N * L).view(N, 4, 4) % 3 == 0
SPIKING = {"neuron": "LIF"}
ENCODER = {"type": "Repeat", "T": T}


def mae(spiking: bool = False, **parts: Any) -> MAE:
    torch.manual_seed(0)
    backbone = MAEViT(ARCH, **SIZES, **(SPIKING if spiking else {}))
    neck = MAEPretrainDecoder(L, 4, 3, 24, 16, decoder_depth=1, decoder_num_heads=2)
    head = MAEPretrainHead(PixelReconstructionLoss("L2"), norm_pix=True, patch_size=4)
    encoder = ENCODER if spiking else None
    model = MAE(backbone, **{"neck": neck, "head": head, "encoder": encoder, **parts})
    model.init_weights()
    return model


def words(images: Tensor) -> Tensor:
    """The word of a patch is its brightness."""
    patches = nn.functional.avg_pool2d(images.mean(1, keepdim=True), 4).flatten(1)
    return (patches * WORDS).long().clamp(0, WORDS - 1)


class Tokenizer(nn.Module):
    def __init__(self, logits: bool) -> None:
        super().__init__()
        self.fc = nn.Linear(1, 1)  # so that a gradient could flow
        self.logits = logits

    def forward(self, images: Tensor) -> Tensor:
        found = words(images * self.fc.weight.abs() / self.fc.weight.abs())
        if not self.logits:
            return found
        return nn.functional.one_hot(found, WORDS).float().mT.unflatten(2, (4, 4))


def beit(version: int = 1, spiking: bool = False) -> BEiT:
    torch.manual_seed(0)
    indices = (0, 1) if version == 2 else (1,)
    backbone = BEiTPretrainViT(ARCH, **SIZES, out_indices=indices, **(SPIKING if spiking else {}))
    head = (BEiTV1Head if version == 1 else BEiTV2Head)(24, WORDS)
    neck = BEiTV2Neck(1, 24, 3, 36) if version == 2 else None
    model = BEiT(
        backbone, neck, head, Tokenizer(logits=version == 1), encoder=ENCODER if spiking else None
    )
    model.init_weights()
    return model


# masked autoencoders


@pytest.mark.parametrize("time", ["mean", "step"])
@pytest.mark.parametrize("spiking", [False, True], ids=["ann", "snn"])
def test_mae_learns(spiking: bool, time: str) -> None:
    model = mae(spiking, time=time)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    torch.manual_seed(0)
    history = []
    for _ in range(20):
        total, log = model.train_step(IMAGE)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        history.append(float(log["loss"]))
    assert sum(history[-4:]) < 0.95 * sum(history[:4])
    grads = {name for name, p in model.named_parameters() if p.grad is not None}
    assert {n.partition(".")[0] for n in grads} == {"backbone", "neck"}


def test_the_loss_counts_hidden_patches_alone() -> None:
    model = mae()
    torch.manual_seed(1)
    pred, mask = model.reconstruct(IMAGE)
    torch.manual_seed(1)
    loss = model.loss(IMAGE)["loss"]
    target = model.head.construct_target(IMAGE)
    distance = (pred - target).square().mean(-1)
    torch.testing.assert_close(loss, (distance * mask).sum() / mask.sum())
    assert pred.shape == (N, L, 48) and mask.sum(1).tolist() == [12.0] * N


@pytest.mark.parametrize("frames", [False, True], ids=["image", "events"])
@pytest.mark.parametrize("time", ["mean", "step"])
def test_the_target_of_spiking_predictions(frames: bool, time: str) -> None:
    inputs, encoder = (FRAMES, None) if frames else (IMAGE, ENCODER)
    model = mae(True, time=time, encoder=encoder)
    torch.manual_seed(1)
    pred, mask = model.reconstruct(inputs)
    torch.manual_seed(1)
    loss = model.loss(inputs)["loss"]
    assert pred.shape == (T, N, L, 48) and mask.shape == (N, L)
    if time == "mean":
        image = FRAMES.mean(0) if frames else IMAGE
        expected = model.head.loss(pred.mean(0), image, mask)
    else:
        steps = [model.head.loss(p, FRAMES[t] if frames else IMAGE, mask)
                 for t, p in enumerate(pred)]  # fmt: skip
        expected = torch.stack(steps).mean()
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("spiking", [False, True], ids=["ann", "snn"])
def test_nothing_of_hidden_patches_reaches_the_prediction(spiking: bool) -> None:
    model = mae(spiking).eval()
    noise = torch.rand(N, L, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        pred, mask = model.reconstruct(IMAGE, noise=noise)
        hidden = mask.view(N, 1, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
        other = torch.where(hidden.bool(), 1 - IMAGE, IMAGE)
        again, same = model.reconstruct(other, noise=noise)
    assert torch.equal(mask, same)
    torch.testing.assert_close(again, pred, rtol=0, atol=0)


def test_features_of_the_whole_image() -> None:
    for spiking in (False, True):
        model = mae(spiking).eval()
        (feat,) = model(IMAGE)
        assert feat.shape == ((T, N, L, 24) if spiking else (N, L + 1, 24))
        assert torch.equal(feat, model.extract_feat(IMAGE)[0])  # states start anew


def test_targets_may_be_made_of_the_images() -> None:
    model = mae(target_generator=nn.AvgPool2d(3, 1, 1))
    torch.manual_seed(1)
    pred, mask = model.reconstruct(IMAGE)
    torch.manual_seed(1)
    loss = model.loss(IMAGE)["loss"]
    blurred = nn.functional.avg_pool2d(IMAGE, 3, 1, 1)
    torch.testing.assert_close(loss, model.head.loss(pred, blurred, mask))


def test_what_mae_refuses() -> None:
    with pytest.raises(ValueError, match="time must be one of mean, step"):
        mae(time="last")
    with pytest.raises(RuntimeError, match="MAE has no mode 'predict'; it has tensor, loss"):
        mae()(IMAGE, mode="predict")
    with pytest.raises(RuntimeError, match="mode='loss' needs a head"):
        mae(head=None)(IMAGE, mode="loss")
    with pytest.raises(RuntimeError, match="reconstruction needs a neck"):
        mae(neck=None)(IMAGE, mode="loss")
    with pytest.raises(ValueError, match="network has no neurons"):
        mae(encoder=ENCODER)


# BEiT


@pytest.mark.parametrize("spiking", [False, True], ids=["ann", "snn"])
@pytest.mark.parametrize("version", [1, 2])
def test_beit_predicts_the_words_of_hidden_patches(version: int, spiking: bool) -> None:
    model = beit(version, spiking)
    batch = {"inputs": [IMAGE, IMAGE], "mask": MASK}
    losses = model(batch, mode="loss")
    assert set(losses) == ({"loss"} if version == 1 else {"loss_1", "loss_2"})
    total, log = model.train_step(batch)
    total.backward()
    assert set(log) == {"loss", *losses}
    trained = {n.partition(".")[0] for n, p in model.named_parameters() if p.grad is not None}
    assert "backbone" in trained and "head" in trained
    assert model.target_generator.fc.weight.grad is None
    assert model.training and not model.target_generator.training  # a tokenizer that is fixed


def test_a_head_may_name_its_losses() -> None:
    class Named(BEiTV1Head):
        def loss(self, feats: Tensor, target: Tensor, mask: Tensor) -> Any:
            return {"loss_words": super().loss(feats, target, mask), "hidden": mask.sum()}

    model = beit()
    model.head = Named(24, WORDS)
    assert set(model({"inputs": [IMAGE, IMAGE], "mask": MASK}, mode="loss")) == {
        "loss_words", "hidden",
    }  # fmt: skip


def test_beit_needs_two_views_and_a_mask() -> None:
    model = beit()
    with pytest.raises(ValueError, match="BEiT takes two views"):
        model({"inputs": IMAGE, "mask": MASK}, mode="loss")
    with pytest.raises(ValueError, match=r"BEiT needs a mask \[N, h, w\]"):
        model({"inputs": [IMAGE, IMAGE]}, mode="loss")
    model.target_generator = None
    with pytest.raises(RuntimeError, match="needs a target_generator"):
        model({"inputs": [IMAGE, IMAGE], "mask": MASK}, mode="loss")


# methods of one's own


def test_a_method_is_a_loss() -> None:
    class Colour(BaseSelfSupervisor):
        """Predicts the colour of an image."""

        def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
            super().__init__(backbone=backbone, head=head)

        def loss(self, inputs: Any, batch: Any) -> dict[str, Any]:
            colour = self.head(self.extract_feat(inputs)[-1])
            return {"colour_loss": (colour - inputs.mean((2, 3))).square()}

    model = Colour(nn.Sequential(nn.Flatten(), nn.Linear(768, 3)), nn.Identity())
    model.extract_feat = lambda inputs: (model.backbone(inputs),)  # type: ignore[method-assign]
    total, log = model.train_step(IMAGE)
    assert total.requires_grad and set(log) == {"colour_loss", "loss"}
    with pytest.raises(NotImplementedError, match="BaseSelfSupervisor does not define loss"):
        BaseSelfSupervisor(nn.Identity())(IMAGE, mode="loss")
    with pytest.raises(TypeError, match="needs a backbone"):
        BaseSelfSupervisor(None)  # pyright: ignore[reportArgumentType]
    assert torch.equal(BaseSelfSupervisor(nn.Identity())(IMAGE), IMAGE)

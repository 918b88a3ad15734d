"""The notes on custom models, with our imports and the corrections that they need to run at all.

Each correction is marked; what the notes print does not work as printed in the library that they
are about, either.
"""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from sj_models import (
    BaseModule,
    BaseSelfSupervisor,
    ClsHead,
    build_conv_layer,
    build_norm_layer,
    weighted_loss,
)
from sj_models.backbones.resnet import ResNet
from sj_models.backbones.vision_transformer import VisionTransformer
from sj_models.build import build
from sj_models.registry import MODELS

IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([3, 7])


@pytest.fixture
def names_of_the_notes():
    """The notes define parts under names that we have too; afterwards ours are back."""
    before = dict(MODELS.module_dict)
    yield
    MODELS.module_dict.clear()
    MODELS.module_dict.update(before)


def backbone_of_the_notes() -> type[nn.Module]:
    @MODELS.register_module()
    class ResNet_CIFAR(ResNet):
        """ResNet backbone for CIFAR."""

        def __init__(self, depth, deep_stem=False, **kwargs):
            super().__init__(depth, deep_stem=deep_stem, **kwargs)  # the comma was missing
            assert not self.deep_stem, "ResNet_CIFAR do not support deep_stem"

        def _make_stem_layer(self, in_channels, base_channels):
            self.conv1 = build_conv_layer(
                self.conv_cfg,
                in_channels,
                base_channels,
                kernel_size=3,
                stride=1,
                padding=1,
                bias=False,
            )
            self.norm1_name, norm1 = build_norm_layer(self.norm_cfg, base_channels, postfix=1)
            self.add_module(self.norm1_name, norm1)
            self.relu = nn.ReLU(inplace=True)

        def forward(self, x):
            x = self.conv1(x)
            x = self.norm1(x)
            x = self.relu(x)
            outs = []
            for i, layer_name in enumerate(self.res_layers):
                res_layer = getattr(self, layer_name)
                x = res_layer(x)
                if i in self.out_indices:
                    outs.append(x)
            return tuple(outs)

        def init_weights(self):
            super().init_weights()
            # init_cfg is a list of rules by default
            if isinstance(self.init_cfg, dict) and self.init_cfg["type"] == "Pretrained":
                return

    return ResNet_CIFAR


def neck_of_the_notes() -> type[nn.Module]:
    @MODELS.register_module()
    class GlobalAveragePooling(nn.Module):
        def __init__(self):
            super().__init__()  # was missing
            self.gap = nn.AdaptiveAvgPool2d((1, 1))

        def forward(self, inputs):
            if isinstance(inputs, tuple):  # backbones return tuples
                return tuple(self.forward(x) for x in inputs)
            outs = self.gap(inputs)
            outs = outs.view(inputs.size(0), -1)
            return outs

    return GlobalAveragePooling


def head_of_the_notes() -> type[nn.Module]:
    @MODELS.register_module()
    class VisionTransformerClsHead(ClsHead):  # the class had another name than its uses
        def __init__(self, num_classes, in_channels, hidden_dim, **kwargs):
            super().__init__(**kwargs)
            self.in_channels = in_channels
            self.num_classes = num_classes
            self.hidden_dim = hidden_dim

            self.fc1 = nn.Linear(in_channels, hidden_dim)
            self.act = nn.Tanh()
            self.fc2 = nn.Linear(hidden_dim, num_classes)

        def pre_logits(self, feats):
            cls_token = feats[-1]  # out_type='cls_token' gives the token alone
            return self.act(self.fc1(cls_token))

        def forward(self, feats):
            pre_logits = self.pre_logits(feats)
            cls_score = self.fc2(pre_logits)  # there is no self.fc
            return cls_score

    return VisionTransformerClsHead


def mae_head_of_the_notes() -> type[nn.Module]:
    @MODELS.register_module()
    class MAEPretrainHead(BaseModule):
        """Head for MAE Pre-training."""

        def __init__(self, loss: dict, norm_pix: bool = False, patch_size: int = 16) -> None:
            super().__init__()
            self.norm_pix = norm_pix
            self.patch_size = patch_size
            self.loss_module = MODELS.build(loss)

        def patchify(self, imgs: torch.Tensor) -> torch.Tensor:
            p = self.patch_size
            assert imgs.shape[2] == imgs.shape[3] and imgs.shape[2] % p == 0

            h = w = imgs.shape[2] // p
            x = imgs.reshape(shape=(imgs.shape[0], 3, h, p, w, p))
            x = torch.einsum("nchpwq->nhwpqc", x)
            x = x.reshape(shape=(imgs.shape[0], h * w, p**2 * 3))
            return x

        def construct_target(self, target: torch.Tensor) -> torch.Tensor:
            target = self.patchify(target)
            if self.norm_pix:
                mean = target.mean(dim=-1, keepdim=True)
                var = target.var(dim=-1, keepdim=True)
                target = (target - mean) / (var + 1.0e-6) ** 0.5

            return target

        def loss(self, pred, target, mask) -> torch.Tensor:
            target = self.construct_target(target)
            loss = self.loss_module(pred, target, mask)

            return loss

    return MAEPretrainHead


def loss_of_the_notes() -> type[nn.Module]:
    @weighted_loss
    def l1_loss(pred, target):
        assert pred.size() == target.size() and target.numel() > 0
        loss = torch.abs(pred - target)
        return loss

    @MODELS.register_module()
    class L1Loss(nn.Module):
        def __init__(self, reduction="mean", loss_weight=1.0):
            super().__init__()
            self.reduction = reduction
            self.loss_weight = loss_weight

        def forward(self, pred, target, weight=None, avg_factor=None, reduction_override=None):
            assert reduction_override in (None, "none", "mean", "sum")
            reduction = reduction_override if reduction_override else self.reduction
            loss = self.loss_weight * l1_loss(
                pred, target, weight, reduction=reduction, avg_factor=avg_factor
            )
            return loss

    return L1Loss


def mae_vit_of_the_notes() -> type[nn.Module]:
    @MODELS.register_module()  # was missing
    class MAEViT(VisionTransformer):
        """Vision Transformer for MAE pre-training"""

        def __init__(self, mask_ratio, **kwargs) -> None:  # self was missing
            super().__init__(**kwargs)
            # position embedding is not learnable during pretraining
            self.pos_embed.requires_grad = False
            self.mask_ratio = mask_ratio
            self.num_patches = self.patch_resolution[0] * self.patch_resolution[1]

        def init_weights(self) -> None:
            super().init_weights()

        def random_masking(self, x, mask_ratio=0.75):  # the notes leave the body out
            keep = int(x.shape[1] * (1 - mask_ratio))
            order = torch.rand(x.shape[:2]).argsort(1)
            restore = order.argsort(1)
            kept = x.gather(1, order[:, :keep, None].expand(-1, -1, x.shape[2]))
            return kept, (restore >= keep).float(), restore

        def forward(self, x, mask=True):
            if not mask:  # 'mask is None or False' masks for False, too
                return super().forward(x)

            else:
                B = x.shape[0]
                x = self.patch_embed(x)[0]
                # add pos embed w/o cls token
                x = x + self.pos_embed[:, 1:, :]

                # masking: length -> length * (1 - mask_ratio)
                x, mask, ids_restore = self.random_masking(x, self.mask_ratio)

                # append cls token
                cls_token = self.cls_token + self.pos_embed[:, :1, :]
                cls_tokens = cls_token.expand(B, -1, -1)
                x = torch.cat((cls_tokens, x), dim=1)

                for _, layer in enumerate(self.layers):
                    x = layer(x)
                # Use final norm
                x = self.ln1(x)  # its keys are ln1.*

                return (x, mask, ids_restore)

    return MAEViT


SEED = {
    "type": "ImageClassifier",
    "backbone": {
        "type": "ResNet_CIFAR",
        "depth": 18,
        "num_stages": 4,
        "out_indices": (3,),
        "style": "pytorch",
    },
    "neck": {"type": "GlobalAveragePooling"},
    "head": {
        "type": "LinearClsHead",
        "num_classes": 10,
        "in_channels": 512,
        "loss": {"type": "L1Loss", "loss_weight": 1.0},
        "topk": (1, 5),
    },
}


def narrow(cfg: dict) -> dict:
    """The same with an eighth of the channels: enough to train in a test."""
    cfg = copy.deepcopy(cfg)
    cfg["backbone"] |= {"stem_channels": 8, "base_channels": 8}
    cfg["head"]["in_channels"] = 64
    return cfg


def trains_and_predicts(model: nn.Module, *data) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(2):
        loss, _log = model.train_step(data)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert torch.isfinite(loss)
    found = model.eval().val_step(IMAGES)
    assert found["pred_score"].shape == (2, 10) and found["pred_label"].shape == (2,)


@pytest.mark.parametrize("own", [False, True], ids=["ours", "of the notes"])
@pytest.mark.parametrize("loss", ["CrossEntropyLoss", "L1Loss"])
def test_the_final_config(own: bool, loss: str, names_of_the_notes) -> None:
    if own:
        for define in (backbone_of_the_notes, neck_of_the_notes, loss_of_the_notes):
            define()
    cfg = narrow(SEED)
    cfg["head"]["loss"] = {"type": loss, "loss_weight": 1.0}
    cfg["head"] |= {"cal_acc": loss == "CrossEntropyLoss"}  # without it topk has no effect
    if loss == "L1Loss":  # class indices have another shape than scores
        cfg["data_preprocessor"] = {"to_onehot": True, "num_classes": 10}
    model = build(cfg)
    trains_and_predicts(model, IMAGES, LABELS)
    if loss == "CrossEntropyLoss":
        assert set(model(IMAGES, LABELS, mode="loss")) == {
            "loss", "accuracy_top-1", "accuracy_top-5",
        }  # fmt: skip


def test_the_final_config_in_its_full_size() -> None:
    with torch.device("meta"):
        model = MODELS.build(SEED)
    assert sum(p.numel() for p in model.parameters()) == 11_173_962


def test_own_parts_hide_ours_of_the_same_name(names_of_the_notes) -> None:
    ours = MODELS.get("ResNet_CIFAR")
    theirs = backbone_of_the_notes()
    assert MODELS.get("ResNet_CIFAR") is theirs is not ours
    model = build(narrow({**SEED, "head": {**SEED["head"], "loss": None}}))
    assert type(model.backbone) is theirs
    twin = ours(18, stem_channels=8, base_channels=8)
    assert list(model.backbone.state_dict()) == list(twin.state_dict())
    twin.load_state_dict(model.backbone.state_dict())
    model.eval()
    twin.eval()
    assert torch.equal(model.backbone(IMAGES)[0], twin(IMAGES)[0])


def test_the_spiking_twin_differs_by_neuron_encoder_and_decode() -> None:
    ann = narrow(SEED)
    ann["head"]["loss"] = {"type": "CrossEntropyLoss"}
    snn = copy.deepcopy(ann)
    snn["encoder"] = {"type": "Repeat", "T": 4}
    snn["backbone"]["neuron"] = {"type": "LIF", "tau": 2.0, "surrogate": {"type": "ATan"}}
    snn["head"]["decode"] = "mean"
    first, second = build(ann), build(snn)
    assert list(first.state_dict()) == list(second.state_dict())
    second.load_state_dict(first.state_dict(), strict=True)
    trains_and_predicts(second, IMAGES, LABELS)


def test_the_head_for_transformers(names_of_the_notes) -> None:
    head_of_the_notes()
    model = build({
        "type": "ImageClassifier",
        "backbone": {
            "type": "VisionTransformer", "img_size": 32, "patch_size": 8,
            "arch": {"embed_dims": 24, "num_layers": 1, "num_heads": 3, "feedforward_channels": 36},
        },
        "head": {
            "type": "VisionTransformerClsHead", "num_classes": 10, "in_channels": 24,
            "hidden_dim": 16,
        },
    })  # fmt: skip
    trains_and_predicts(model, IMAGES, LABELS)


def test_masked_pre_training(names_of_the_notes) -> None:
    mae_vit_of_the_notes()
    mae_head_of_the_notes()
    model = build({
        "type": "MAE",
        "backbone": {
            "type": "MAEViT", "mask_ratio": 0.75, "img_size": 32, "patch_size": 8,
            "arch": {"embed_dims": 24, "num_layers": 1, "num_heads": 3, "feedforward_channels": 36},
        },
        "neck": {
            "type": "MAEPretrainDecoder", "num_patches": 16, "patch_size": 8, "embed_dim": 24,
            "decoder_embed_dim": 16, "decoder_depth": 1, "decoder_num_heads": 2,
        },
        "head": {
            "type": "MAEPretrainHead", "patch_size": 8, "norm_pix": True,
            "loss": {"type": "PixelReconstructionLoss", "criterion": "L2"},
        },
    })  # fmt: skip
    loss, _log = model.train_step(IMAGES)
    loss.backward()
    assert model.backbone.pos_embed.grad is None
    whole = model.extract_feat(IMAGES)
    torch.testing.assert_close(model.backbone(IMAGES, mask=False)[0], whole[0])


def test_a_new_algorithm(names_of_the_notes) -> None:
    @MODELS.register_module()
    class NewAlgorithm(BaseSelfSupervisor):
        def __init__(self, backbone, neck=None, head=None, init_cfg=None):
            # by keyword: the first argument of the base is the backbone
            super().__init__(backbone=backbone, neck=neck, head=head, init_cfg=init_cfg)

        def extract_feat(self, inputs, **kwargs):
            return self.neck(self.backbone(inputs))

        def loss(self, inputs, data_samples, **kwargs):
            feat = self.extract_feat(inputs)[-1]
            turned = self.extract_feat(inputs.flip(-1))[-1]
            return {"loss": (feat - turned).square().mean()}

    model = build({
        "type": "NewAlgorithm",
        "backbone": narrow(SEED)["backbone"],
        "neck": {"type": "GlobalAveragePooling"},
    })  # fmt: skip
    loss, log = model.train_step(IMAGES)
    loss.backward()
    assert set(log) == {"loss"}
    with pytest.raises(RuntimeError, match="NewAlgorithm has no mode 'predict'"):
        model(IMAGES, mode="predict")

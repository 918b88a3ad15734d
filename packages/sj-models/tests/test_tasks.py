"""Task models of stand-in parts: what any backbone, neck and head may rely on."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sj_models.losses import SpikeRateLoss
from sj_models.tasks import ImageClassifier, TaskModel, parse_losses
from sj_neurons import neuron

T, N, K = 3, 2, 4
IMAGE = torch.rand(N, 3, 4, 4, generator=torch.Generator().manual_seed(0))
FRAMES = torch.rand(T, N, 3, 4, 4, generator=torch.Generator().manual_seed(1)) * 2
LABEL = torch.tensor([1, 3])


class Net(nn.Module):
    """A backbone of one layer; two outputs, to be a tuple."""

    def __init__(self, spiking: bool = False) -> None:
        super().__init__()
        self.spiking = spiking
        self.fc = nn.Linear(48, 24)
        self.sn = neuron.IFNode(step_mode="m") if spiking else nn.Tanh()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.sn(2 * self.fc(x.flatten(-3)))
        return x, x


class Double(nn.Module):
    """A neck."""

    def forward(self, feats: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(2 * feat for feat in feats)


class Head(nn.Module):
    """A head that averages over time, if there is any."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(24, K)

    def pre_logits(self, feats: tuple[Tensor, ...]) -> Tensor:
        return feats[-1]

    def forward(self, feats: tuple[Tensor, ...]) -> Tensor:
        return self.fc(self.pre_logits(feats))

    def loss(self, feats: tuple[Tensor, ...], batch: dict[str, Any]) -> dict[str, Tensor]:
        score = self(feats)
        score = score.mean(0) if score.dim() == 3 else score
        loss = nn.functional.cross_entropy(score, batch.get("score", batch.get("label")))
        return {"loss": loss, "accuracy": (score.argmax(1) == score.argmax(1)).float() * 100}

    def predict(self, feats: tuple[Tensor, ...], batch: Any = None) -> dict[str, Tensor]:
        score = self(feats)
        return {"pred_score": score.mean(0) if score.dim() == 3 else score}


def classifier(spiking: bool = False, **parts: Any) -> ImageClassifier:
    torch.manual_seed(0)
    encoder = {"type": "Repeat", "T": T} if spiking else None
    parts = {"neck": Double(), "head": Head(), "encoder": encoder, **parts}
    return ImageClassifier(Net(spiking), **parts)


# the objective


def test_only_what_is_called_a_loss_counts() -> None:
    losses = {
        "loss": torch.tensor([1.0, 3.0]),
        "loss_rate": [torch.tensor([1.0, 2.0]), torch.tensor(4.0)],
        "rate_loss": torch.tensor(0.5),
        "glossy": torch.tensor(100.0),
        "lossless": 100.0,
        "hits": torch.tensor([1, 0]),
    }
    total, log = parse_losses(losses)
    assert float(total) == 2.0 + 5.5 + 0.5
    assert float(log["loss"]) == 8.0 and float(log["loss_rate"]) == 5.5
    assert float(log["glossy"]) == 100.0 and float(log["hits"]) == 0.5


def test_the_log_holds_no_graph() -> None:
    w = torch.ones(3, requires_grad=True)
    total, log = parse_losses({"loss": w * 2, "loss_w": w})
    total.backward()
    assert w.grad is not None and w.grad.tolist() == [1.0] * 3
    assert not any(value.requires_grad for value in log.values())


@pytest.mark.parametrize(
    ("losses", "error", "text"),
    [
        ({}, ValueError, "there are none"),
        ({"glossy": 1.0}, ValueError, "no entry is a loss.*glossy"),
        ({"loss": "big"}, TypeError, "loss must be a tensor"),
        ({"loss": []}, TypeError, "loss must be a tensor"),
    ],
)
def test_an_objective_that_is_none(losses: dict, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        parse_losses(losses)


# modes


@pytest.mark.parametrize("spiking", [False, True], ids=["ann", "snn"])
def test_modes(spiking: bool) -> None:
    model = classifier(spiking)
    out = model(IMAGE)
    assert out.shape == ((T, N, K) if spiking else (N, K))
    losses = model(IMAGE, LABEL, mode="loss")
    assert losses["loss"].requires_grad and losses["accuracy"].shape == (N,)
    again = model({"inputs": IMAGE, "label": LABEL}, mode="loss")
    assert torch.equal(losses["loss"], again["loss"])
    assert model(IMAGE, mode="predict")["pred_score"].shape == (N, K)


def test_modes_and_parts_that_are_missing() -> None:
    headless = classifier(head=None)
    assert isinstance(headless(IMAGE), tuple)
    for mode in ("loss", "predict"):
        with pytest.raises(RuntimeError, match=f"mode='{mode}' needs a head"):
            headless(IMAGE, LABEL, mode=mode)
    with pytest.raises(RuntimeError, match="stage='pre_logits' needs a head"):
        headless.extract_feat(IMAGE, stage="pre_logits")
    with pytest.raises(RuntimeError, match="no mode 'train'; it has tensor, loss, predict"):
        classifier()(IMAGE, mode="train")
    with pytest.raises(NotImplementedError, match="TaskModel does not define extract_feat"):
        TaskModel()(IMAGE)
    with pytest.raises(NotImplementedError, match="TaskModel does not define loss"):
        TaskModel()(IMAGE, mode="loss")
    with pytest.raises(TypeError, match="needs a backbone"):
        ImageClassifier(None)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("spiking", [False, True], ids=["ann", "snn"])
def test_features_of_every_stage(spiking: bool) -> None:
    model = classifier(spiking)
    lead = (T, N) if spiking else (N,)
    raw, doubled = model.extract_feat(IMAGE, "backbone"), model.extract_feat(IMAGE)
    assert isinstance(raw, tuple) and raw[-1].shape == (*lead, 24)
    assert torch.equal(doubled[-1], 2 * raw[-1])
    assert torch.equal(model.extract_feat(IMAGE, "pre_logits"), doubled[-1])
    mean = model.extract_feat(IMAGE, "backbone", time="mean")
    expected = raw[-1].mean(0) if spiking else raw[-1]
    assert torch.equal(mean[-1], expected)
    scores = model.tensor(IMAGE, time="mean")
    torch.testing.assert_close(scores, model(IMAGE).mean(0) if spiking else model(IMAGE))


def test_other_stages_and_times() -> None:
    with pytest.raises(ValueError, match="stage must be one of backbone, neck, pre_logits"):
        classifier().extract_feat(IMAGE, stage="head")
    with pytest.raises(ValueError, match="time must be one of keep, mean"):
        classifier().extract_feat(IMAGE, time="sum")


def test_a_model_without_a_neck() -> None:
    model = classifier(neck=None)
    assert torch.equal(model.extract_feat(IMAGE)[0], model.extract_feat(IMAGE, "backbone")[0])


# time


@pytest.mark.parametrize("train", [True, False])
def test_states_are_reset_at_every_call(train: bool) -> None:
    model = classifier(spiking=True).train(train)
    assert torch.equal(model(IMAGE), model(IMAGE))
    first = model(IMAGE[:1])  # another batch size
    torch.testing.assert_close(first, model(IMAGE)[:, :1])
    assert torch.equal(model(IMAGE, LABEL, mode="loss")["loss"], model(
        IMAGE, LABEL, mode="loss")["loss"])  # fmt: skip


def test_a_stream_in_chunks_is_the_whole_stream() -> None:
    model = classifier(spiking=True, encoder=None)
    with torch.no_grad():
        whole = model.predict(FRAMES)["pred_score"]
        model.predict(FRAMES[:1])
        parts = [model.predict(frame[None], reset=False)["pred_score"] for frame in FRAMES[1:]]
        first = model.predict(FRAMES[:1])["pred_score"]
    torch.testing.assert_close(torch.stack([first, *parts]).mean(0), whole)
    later = model.predict(FRAMES[1:2])["pred_score"]
    assert not torch.equal(later, parts[0])  # from a fresh state it is another answer


def test_axes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"no neurons and takes \[N, C, H, W\], got \(3, 2,"):
        classifier()(FRAMES)
    with pytest.raises(ValueError, match="have a time axis already"):
        classifier(spiking=True)(FRAMES)
    with pytest.raises(ValueError, match="give the model an encoder such as"):
        classifier(spiking=True, encoder=None)(IMAGE)
    with pytest.raises(ValueError, match="an encoder makes sequences, but the network has no neur"):
        classifier(encoder={"type": "Repeat", "T": 4})


def test_a_backbone_that_says_nothing_about_time_gets_what_comes() -> None:
    class Video(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            return (x.mean((-3, -2, -1)),)

    model = ImageClassifier(Video())
    assert model(FRAMES)[0].shape == (T, N)
    encoded = ImageClassifier(Video(), encoder={"type": "Repeat", "T": 5})
    assert encoded(IMAGE)[0].shape == (5, N)
    assert encoded.extract_feat(IMAGE, time="mean")[0].shape == (N,)


def test_firing_rates_can_be_part_of_the_objective() -> None:
    plain = classifier(spiking=True)
    model = classifier(spiking=True, rate_loss=SpikeRateLoss(target=0.9, weight=2.0))
    losses = model(IMAGE, LABEL, mode="loss")
    torch.testing.assert_close(losses["loss"], plain(IMAGE, LABEL, mode="loss")["loss"])
    rate = model.extract_feat(IMAGE, "backbone")[-1].mean()
    torch.testing.assert_close(losses["loss_rate"], 2 * (rate - 0.9) ** 2)


# steps


@pytest.mark.parametrize("spiking", [False, True], ids=["ann", "snn"])
def test_training_lowers_the_loss(spiking: bool) -> None:
    model = classifier(spiking)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    history = []
    for _ in range(40):
        total, log = model.train_step((IMAGE, LABEL))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        history.append(float(log["loss"]))
    assert history[-1] < 0.5 * history[0]


def test_evaluation_has_no_gradient_and_the_same_preprocessing() -> None:
    model = classifier(data_preprocessor={"mean": [0.5] * 3, "std": [0.5] * 3})
    for step in (model.val_step, model.test_step):
        score = step({"inputs": IMAGE, "label": LABEL})["pred_score"]
        assert not score.requires_grad
        torch.testing.assert_close(score, model.predict(2 * IMAGE - 1)["pred_score"])


def test_batches_are_mixed_as_train_cfg_says() -> None:
    model = classifier(
        train_cfg={"augments": {"type": "Mixup", "alpha": 1.0}},
        data_preprocessor={"num_classes": K},
    )
    torch.manual_seed(0)
    batch = model.preprocess((IMAGE, LABEL), training=True)
    assert "score" in batch and not torch.equal(batch["inputs"], IMAGE)
    assert float(model.train_step((IMAGE, LABEL))[1]["loss"]) > 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"train_cfg": {"augment": 1}}, "unknown: augment"),
        ({"train_cfg": {"augments": []}, "data_preprocessor": nn.Identity()}, "a config as"),
        (
            {"train_cfg": {"augments": []}, "data_preprocessor": {"batch_augments": {}}},
            "given twice",
        ),
        ({"pretrained": "a.pt", "init_cfg": {"type": "Normal"}}, "pretrained or init_cfg"),
    ],
)
def test_arguments_that_contradict_each_other(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        classifier(**arguments)


# plain modules


@pytest.mark.parametrize("spiking", [False, True], ids=["ann", "snn"])
def test_copies_and_modes(spiking: bool) -> None:
    model = classifier(spiking)
    model.train_step((IMAGE, LABEL))  # states in a graph must not stand in the way
    assert model.eval() is model and model.train() is model
    twin = copy.deepcopy(model)
    stored = pickle.loads(pickle.dumps(model))
    for other in (twin, stored):
        assert torch.equal(other(IMAGE), model(IMAGE))
    assert list(model.state_dict()) == [
        "backbone.fc.weight", "backbone.fc.bias", "head.fc.weight", "head.fc.bias",
    ]  # fmt: skip
    other = classifier(spiking)
    nn.init.zeros_(other.head.fc.weight)
    assert str(other.load_state_dict(model.state_dict(), strict=True)).startswith("<All keys")
    assert torch.equal(other(IMAGE), model(IMAGE))


def test_pretrained_weights(tmp_path: Any) -> None:
    model = classifier()
    torch.save({"state_dict": model.state_dict()}, tmp_path / "weights.pt")
    other = classifier(pretrained=str(tmp_path / "weights.pt"))
    nn.init.zeros_(other.head.fc.weight)
    other.init_weights()
    assert torch.equal(other(IMAGE), model(IMAGE))


def test_a_model_without_preprocessor() -> None:
    model = classifier()
    model.data_preprocessor = None
    assert torch.equal(model.preprocess(IMAGE)["inputs"], IMAGE)
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    assert buffer.tell()

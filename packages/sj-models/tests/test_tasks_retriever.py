from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from sj_models.ranking_metrics import hit_rate
from sj_models.tasks import ImageToImageRetriever
from sj_models.tasks.retriever import cosine_similarity
from sj_neurons import neuron

T, N, M, D = 4, 3, 6, 5
QUERY = torch.rand(N, D, generator=torch.Generator().manual_seed(0))
GALLERY = torch.rand(M, D, generator=torch.Generator().manual_seed(1))


class Spiking(nn.Module):
    spiking = True

    def __init__(self) -> None:
        super().__init__()
        self.sn = neuron.IFNode(step_mode="m", v_reset=None)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return (self.sn(x.flatten(2)),)


def images(n: int = N) -> Tensor:
    return torch.rand(n, 3, 2, 2, generator=torch.Generator().manual_seed(n))


def test_the_gallery_is_ranked_by_similarity() -> None:
    model = ImageToImageRetriever(nn.Identity(), GALLERY, topk=2)
    found = model.predict(QUERY)
    for n in range(N):
        angles = torch.stack([torch.cosine_similarity(QUERY[n], g, dim=0) for g in GALLERY])
        torch.testing.assert_close(found["pred_score"][n], angles)
        assert found["pred_label"][n].tolist() == angles.argsort(descending=True)[:2].tolist()
    assert ImageToImageRetriever(nn.Identity(), GALLERY)(QUERY, mode="predict")[
        "pred_label"
    ].shape == (N, M)


def test_images_find_themselves_by_their_firing_rates() -> None:
    gallery = images(M)
    model = ImageToImageRetriever(
        Spiking(), DataLoader(TensorDataset(gallery), batch_size=4, collate_fn=first_field),
        encoder={"type": "Repeat", "T": 16},
    )  # fmt: skip
    found = model.val_step(gallery)
    assert found["pred_label"][:, 0].tolist() == list(range(M))
    assert hit_rate(found["pred_score"], torch.eye(M), topk=1)[1] == 100.0
    rates = model.extract_feat(gallery)
    assert rates.shape == (M, 12) and float(rates.max()) <= 1.0
    torch.testing.assert_close(rates, gallery.flatten(1), atol=1 / 16, rtol=0)
    assert torch.equal(rates, model.extract_feat(gallery))  # states start anew


def first_field(samples: list[tuple[Tensor, ...]]) -> Tensor:
    return torch.stack([sample[0] for sample in samples])


def test_frames_of_events_need_no_encoder() -> None:
    frames = torch.rand(T, N, 2, 2, 2)
    model = ImageToImageRetriever(Spiking(), torch.rand(M, 8))
    assert model.predict(frames)["pred_score"].shape == (N, M)
    whole = model.extract_feat(frames)
    model.extract_feat(frames[:2])
    late = model.extract_feat(frames[2:], reset=False)
    early = model.extract_feat(frames[:2])
    torch.testing.assert_close((late + early) / 2, whole)


def test_silence_is_like_nothing() -> None:
    similarity = cosine_similarity(torch.zeros(1, D), GALLERY)
    assert torch.equal(similarity, torch.zeros(1, M))


def test_features_come_from_a_file(tmp_path: Path) -> None:
    torch.save(GALLERY, tmp_path / "gallery.pt")
    model = ImageToImageRetriever(nn.Identity(), str(tmp_path / "gallery.pt"))
    assert model.prototype_vecs is None
    direct = ImageToImageRetriever(nn.Identity(), GALLERY)
    assert torch.equal(model.predict(QUERY)["pred_score"], direct.predict(QUERY)["pred_score"])
    torch.save({"a": GALLERY}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"other.pt: prototypes must be a tensor \[M, D\]"):
        ImageToImageRetriever(nn.Identity(), tmp_path / "other.pt").predict(QUERY)


def test_rows_stand_where_sample_idx_says() -> None:
    loader = [
        {"inputs": GALLERY[[4, 0, 2]], "meta": {"sample_idx": [4, 0, 2]}},
        {"inputs": GALLERY[[5, 1, 3]], "meta": {"sample_idx": torch.tensor([5, 1, 3])}},
    ]
    model = ImageToImageRetriever(nn.Identity(), loader)
    assert torch.equal(model.prepare_prototype(), GALLERY)
    assert "prototype_vecs" not in model.state_dict()


def test_training_makes_the_features_of_a_loader_anew() -> None:
    net = nn.Linear(D, D)
    model = ImageToImageRetriever(net, [GALLERY[:3], GALLERY[3:]]).eval()
    before = model.prepare_prototype()
    assert model.prepare_prototype() is before
    model.train()
    with torch.no_grad():
        net.weight.mul_(2)
    torch.testing.assert_close(model.prepare_prototype(), net(GALLERY).detach())
    assert net.training  # left as it was
    assert not model.prepare_prototype().requires_grad
    fixed = ImageToImageRetriever(net, GALLERY)
    assert fixed.train().prototype_vecs is not None


class Head(nn.Module):
    def loss(self, feats: tuple[Tensor, ...], batch: Any) -> dict[str, Tensor]:
        return {"loss": nn.functional.cross_entropy(feats[-1], batch["label"])}


def test_encoders_in_a_row_are_trained_by_a_head() -> None:
    model = ImageToImageRetriever([nn.Flatten(), nn.Linear(12, D)], GALLERY, head=Head())
    assert list(model.state_dict()) == ["image_encoder.1.weight", "image_encoder.1.bias"]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    first = None
    for _ in range(10):
        total, log = model.train_step((images(), torch.tensor([0, 1, 2])))
        first = first or float(log["loss"])
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    assert float(log["loss"]) < first
    assert model(images()).shape == (N, D)


def test_copies() -> None:
    model = ImageToImageRetriever(nn.Identity(), GALLERY, topk=3)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other.predict(QUERY)["pred_label"], model.predict(QUERY)["pred_label"])
    assert model.eval() is model


def test_any_similarity() -> None:
    model = ImageToImageRetriever(
        nn.Identity(), GALLERY, similarity_fn=lambda q, p: -torch.cdist(q, p)
    )
    assert model.predict(GALLERY)["pred_label"][:, 0].tolist() == list(range(M))


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"topk": 0}, ValueError, "topk must be positive, or -1"),
        ({"similarity_fn": "euclid"}, ValueError, "must be 'cosine_similarity' or a function"),
        ({"similarity_fn": 3}, TypeError, "similarity_fn must be a function"),
        ({"prototype": torch.rand(3)}, ValueError, r"must be a tensor \[M, D\], got shape \(3,\)"),
        ({"prototype": "none.pt"}, FileNotFoundError, "no file of prototypes: none.pt"),
        ({"prototype": 3}, TypeError, "prototype must be a tensor .* got int"),
        ({"prototype": iter([GALLERY])}, TypeError, "more than once"),
        ({"image_encoder": None}, TypeError, "needs an image_encoder"),
        ({"image_encoder": []}, TypeError, "at least one part"),
        ({"image_encoder": [None]}, TypeError, "none may be None"),
    ],
)
def test_what_is_refused(arguments: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        ImageToImageRetriever(**{"image_encoder": nn.Identity(), "prototype": GALLERY, **arguments})


@pytest.mark.parametrize(
    ("loader", "text"),
    [
        ([], "no batches"),
        ([{"inputs": GALLERY, "meta": {"sample_idx": [0, 1]}}], "must have 6 entries"),
        ([{"inputs": GALLERY, "meta": {"sample_idx": [0] * M}}], "each of 0 to 5 once"),
    ],
)
def test_loaders_that_make_no_gallery(loader: list[Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        ImageToImageRetriever(nn.Identity(), loader).predict(QUERY)


def test_the_gallery_may_come_later() -> None:
    model = ImageToImageRetriever(nn.Identity())
    with pytest.raises(RuntimeError, match="call set_prototype first"):
        model.predict(QUERY)
    model.set_prototype(GALLERY)
    assert model.predict(GALLERY)["pred_label"][:, 0].tolist() == list(range(M))
    model.set_prototype([QUERY])
    assert model.predict(QUERY)["pred_score"].shape == (N, N)


def test_features_and_prototypes_of_different_length() -> None:
    with pytest.raises(ValueError, match=r"features \(3, 12\) do not match prototypes \(6, 5\)"):
        ImageToImageRetriever(nn.Flatten(), GALLERY).predict(images())
    with pytest.raises(RuntimeError, match="mode='loss' needs a head"):
        ImageToImageRetriever(nn.Flatten(), GALLERY)(images(), mode="loss")

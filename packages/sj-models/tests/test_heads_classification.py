from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from sj_models.build import build
from sj_models.heads import ClsHead, LinearClsHead
from sj_models.losses import CrossEntropyLoss, L1Loss, TETLoss
from sj_neurons import functional, neuron

T, N, K = 4, 3, 5
SCORES = torch.randn(T, N, K, generator=torch.Generator().manual_seed(0))
LABEL = torch.tensor([4, 0, 2])
BATCH = {"label": LABEL}


def test_without_time_nothing_is_decoded():
    head = ClsHead(decode="last")
    torch.testing.assert_close(head.decoded(SCORES[0]), SCORES[0])
    found = head.predict((SCORES[0],))
    torch.testing.assert_close(found["pred_score"].sum(1), torch.ones(N))
    assert (found["pred_label"] == SCORES[0].argmax(1)).all()


@pytest.mark.parametrize("decode", ["mean", "sum", "last", "max"])
def test_loss_and_prediction_use_the_decoded_scores(decode):
    head = ClsHead(decode=decode)
    decoded = head.decoded(SCORES)
    assert head((SCORES,)).shape == (T, N, K)
    expected = CrossEntropyLoss()(decoded, LABEL)
    torch.testing.assert_close(head.loss((SCORES,), BATCH)["loss"], expected)
    torch.testing.assert_close(head.predict((SCORES,))["pred_score"], decoded.softmax(1))


def test_any_time_decoding_predicts_at_each_step_and_trains_all_of_them():
    head = ClsHead(decode="cummean", cal_acc=True)
    found = head.predict((SCORES,))
    assert found["pred_score"].shape == (T, N, K)
    assert found["pred_label"].shape == (T, N)
    losses = head.loss((SCORES,), BATCH)
    prefixes = [CrossEntropyLoss()(SCORES[: t + 1].mean(0), LABEL) for t in range(T)]
    torch.testing.assert_close(losses["loss"], torch.stack(prefixes).mean())
    final = (SCORES.mean(0).argmax(1) == LABEL).float().mean() * 100
    assert losses["accuracy_top-1"] == final


def test_a_loss_of_steps_gets_them_undecoded():
    loss = TETLoss(lamb=0.1)
    head = ClsHead(loss, decode="last")
    torch.testing.assert_close(head.loss((SCORES,), BATCH)["loss"], loss(SCORES, LABEL))
    with pytest.raises(ValueError, match="TETLoss: expected scores"):
        head.loss((SCORES[0],), BATCH)


def test_membrane_readout_integrates_the_scores():
    head = ClsHead(readout={"type": "NonSpikingLIFNode", "tau": 4.0})
    assert head.decode == "last"
    v = torch.zeros(N, K)
    for o in SCORES:
        v = v + (o - v) / 4
    for _ in range(2):  # nothing is left from the call before
        torch.testing.assert_close(head.predict((SCORES,))["pred_score"], v.softmax(1))
    functional.reset_net(head)
    largest = ClsHead(readout=neuron.NonSpikingIFNode(), decode="max").step_scores((SCORES,))
    torch.testing.assert_close(largest, SCORES.cumsum(0))
    assert isinstance(ClsHead(readout="membrane").readout, neuron.NonSpikingLIFNode)


def test_readout_reaches_heads_that_define_forward_themselves():
    class Twice(ClsHead):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.fc = nn.Linear(K, K)

        def forward(self, feats):
            return self.fc(self.pre_logits(feats))

    head = Twice(readout=neuron.NonSpikingIFNode(), decode="last")
    summed = head.fc(SCORES).sum(0)
    torch.testing.assert_close(head.predict((SCORES,))["pred_score"], summed.softmax(1))


def test_soft_labels_win_over_labels():
    score = torch.rand(N, K)
    head = ClsHead(CrossEntropyLoss(use_soft=True))
    found = head.loss((SCORES[0],), {"label": LABEL, "score": score})["loss"]
    torch.testing.assert_close(found, CrossEntropyLoss(use_soft=True)(SCORES[0], score))
    l1 = ClsHead({"type": "L1Loss"}).loss((SCORES[0],), {"score": score})["loss"]
    torch.testing.assert_close(l1, L1Loss()(SCORES[0], score, avg_factor=N))


def test_accuracy_of_negative_logits():
    head = ClsHead(cal_acc=True, topk=(1, 2))
    scores = torch.tensor([[-1.0, -2.0, -3.0], [-3.0, -1.0, -2.0]])
    losses = head.loss((scores,), {"label": torch.tensor([0, 2])})
    assert {name: losses[name].item() for name in losses if name != "loss"} == {
        "accuracy_top-1": 50.0, "accuracy_top-2": 100.0,
    }  # fmt: skip
    assert ClsHead(topk=3).topk == (3,)
    with pytest.raises(ValueError, match="set cal_acc=False with soft labels"):
        ClsHead(CrossEntropyLoss(use_soft=True), cal_acc=True).loss(
            (scores,), {"score": torch.rand(2, 3)}
        )


def test_equal_scores_give_the_first_class():
    found = ClsHead().predict((torch.zeros(2, K),))
    assert found["pred_label"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"decode": "median"}, ValueError, "ClsHead: decode must be one of"),
        ({"readout": "integrator"}, ValueError, "readout must be None, 'membrane' or a neuron"),
        ({"readout": neuron.LIFNode()}, TypeError, "a neuron that never fires.*got LIFNode"),
        (
            {"readout": neuron.NonSpikingIFNode(decode="last-mem")},
            ValueError,
            "leave decode to the head",
        ),
        ({"loss": {"type": "CrossEntropyLos"}}, KeyError, "CrossEntropyLoss"),
        ({"topk": (1, 0)}, ValueError, r"topk must be 1 or more, got \(1, 0\)"),
        ({"topk": "5"}, ValueError, "topk must be 1 or more, got '5'"),
        ({"topk": (), "cal_acc": True}, ValueError, "topk must be 1 or more"),
    ],
)
def test_wrong_options(options, error, message):
    with pytest.raises(error, match=message):
        ClsHead(**options)


def test_wrong_inputs():
    with pytest.raises(ValueError, match=r"neither 'score' .* nor 'label' .* but mask"):
        ClsHead().loss((SCORES,), {"mask": LABEL})
    with pytest.raises(ValueError, match="but nothing"):
        ClsHead().loss((SCORES,), {})
    with pytest.raises(ValueError, match=r"3 samples, but 'label' has shape \(2,\)"):
        ClsHead().loss((SCORES,), {"label": LABEL[:2]})
    with pytest.raises(ValueError, match="pool positions before the head"):
        ClsHead().predict((SCORES[None],))
    with pytest.raises(ValueError, match=r"with T > 0, got shape \(0,"):
        ClsHead().predict((SCORES[:0],))
    with pytest.raises(ValueError, match="have no time axis"):
        ClsHead(readout="membrane").predict((SCORES[0],))


def test_copies_and_modes():
    head = build({"type": "LinearClsHead", "num_classes": K, "in_channels": 4, "loss": TETLoss()})
    assert isinstance(head, LinearClsHead)
    x = (torch.rand(T, N, 4),)
    for other in (copy.deepcopy(head), pickle.loads(pickle.dumps(head))):
        torch.testing.assert_close(other(x), head(x))
    assert head.eval() is head
    assert head.train() is head

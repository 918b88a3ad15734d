from __future__ import annotations

import copy

import pytest
import torch
from torch.nn import functional as F

from sj_models.targets.vector_quantizer import NormEMAVectorQuantizer, cosine_k_means

V, D = 5, 3
Z = torch.randn(2, D, 4, 4, generator=torch.Generator().manual_seed(0))


def quantiser(**options) -> NormEMAVectorQuantizer:
    torch.manual_seed(0)
    return NormEMAVectorQuantizer(V, D, **options)


def test_each_vector_gets_the_word_of_the_smallest_angle():
    quantise = quantiser().eval()
    z_q, _, indices = quantise(Z)
    vectors = F.normalize(Z.movedim(1, -1), dim=-1).flatten(0, 2)
    words = quantise.embedding.weight
    assert (indices == (vectors @ words.T).argmax(1)).all()
    torch.testing.assert_close(z_q.movedim(1, -1).flatten(0, 2), words[indices])


def test_gradient_passes_straight_through_and_words_get_none():
    quantise = quantiser(beta=0.0).eval()
    z = Z.clone().requires_grad_()
    target = torch.randn_like(Z)
    (quantise(z).z_q * target).sum().backward()
    plain = Z.clone().requires_grad_()
    (F.normalize(plain, dim=1) * target).sum().backward()
    torch.testing.assert_close(z.grad, plain.grad)
    assert quantise.embedding.weight.grad is None


def test_half_precision_features_keep_their_type():
    quantise = quantiser()
    found = quantise(Z.bfloat16())
    assert found.z_q.dtype == found.loss.dtype == torch.bfloat16
    assert quantise.embedding.weight.dtype == torch.float32


def test_evaluation_changes_nothing():
    quantise = quantiser().eval()
    before = copy.deepcopy(quantise.state_dict())
    for _ in range(2):
        quantise(Z)
    torch.testing.assert_close(quantise.state_dict(), before, rtol=0, atol=0)
    assert not quantise.embedding.initted


def test_words_follow_the_data_in_training():
    quantise = quantiser(decay=0.5, quantize_kmeans_init=False)
    first = quantise(Z).loss
    for _ in range(20):
        last = quantise(Z).loss
    assert last < first
    norms = quantise.embedding.weight.norm(dim=1)
    torch.testing.assert_close(norms, torch.ones(V))
    assert quantise.cluster_size.sum().item() == pytest.approx(32, rel=1e-3)


def test_words_without_members_stay():
    quantise = quantiser(decay=0.5, quantize_kmeans_init=False)
    words = F.normalize(torch.tensor([[1.0, 0, 0]] + [[-1.0, 0, 0.1]] * 4), dim=1)
    quantise.embedding.weight.copy_(words)
    z = torch.tensor([1.0, 0.2, 0.0]).view(1, 3, 1, 1)
    assert quantise(z).indices.tolist() == [0]
    torch.testing.assert_close(quantise.embedding.weight[1:], words[1:])
    moved = F.normalize(0.5 * words[0] + 0.5 * F.normalize(z.flatten(), dim=0), dim=0)
    torch.testing.assert_close(quantise.embedding.weight[0], moved)


def test_first_batch_of_training_sets_the_words_once():
    quantise = quantiser()
    quantise(Z)
    assert quantise.embedding.initted
    counts = torch.bincount(quantise.eval()(Z).indices, minlength=V)
    assert counts.sum() == 32
    reloaded = quantiser()
    reloaded.load_state_dict(quantise.state_dict())
    assert reloaded.embedding.initted


def test_clusters_find_separate_directions():
    torch.manual_seed(1)
    centres = torch.eye(3)
    labels = torch.arange(60) % 3
    vectors = F.normalize(centres[labels] + 0.05 * torch.randn(60, 3), dim=1)
    means, sizes = cosine_k_means(vectors, 3)
    if sizes.sort().values.tolist() == [20, 20, 20]:  # a start may hold two of one centre
        assert (means @ centres).amax(1).min() > 0.99
    assert sizes.sum() == 60
    few, sizes = cosine_k_means(vectors[:2], 4)
    assert few.shape == (4, 3)
    assert sizes.sum() == 2


def test_errors_and_repr():
    for options in ({"num_embed": 0}, {"embed_dims": 0}, {"decay": 1.5}):
        with pytest.raises(ValueError, match="must be 1 or more and decay in"):
            NormEMAVectorQuantizer(**({"num_embed": V, "embed_dims": D} | options))
    for shape in ((2, D + 1, 4, 4), (2, D, 4)):
        with pytest.raises(ValueError, match=r"expected features \[N, 3, h, w\]"):
            quantiser()(torch.rand(shape))
    with pytest.raises(ValueError, match="no vectors to start from"):
        cosine_k_means(torch.zeros(0, 3), 2)
    assert "num_embed=5, embed_dims=3, beta=1.0, decay=0.99" in repr(quantiser())

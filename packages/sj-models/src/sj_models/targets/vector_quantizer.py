"""Vector quantiser whose code words follow the data instead of a gradient.

    index    = word nearest to z / |z|                             squared distance
    z_q      = z + (e_index - z).detach()                          straight through
    loss     = beta mean((e_index.detach() - z)^2)                 z normalised
    training only:
    size_k   = decay size_k + (1 - decay) count_k
    e_k      = norm(decay e_k + (1 - decay) norm(mean of the z with word k))
               (words without members keep their value as that mean)

In evaluation nothing changes. Source: van den Oord et al., "Neural discrete representation
learning", NeurIPS 2017, appendix A; normalised as in Peng et al., "BEiT v2", arXiv:2208.06366.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["CodeBook", "NormEMAVectorQuantizer", "Quantized", "cosine_k_means"]


class Quantized(NamedTuple):
    """Quantised features `[N, D, h, w]`, the loss, and the index of each word `[N h w]`."""

    z_q: Tensor
    loss: Tensor
    indices: Tensor


class CodeBook(nn.Module):
    """Code words `weight` `[V, D]` of length 1, and whether they have seen data (`initted`)."""

    initted: Tensor

    def __init__(self, num_embed: int, embed_dims: int, initted: bool) -> None:
        super().__init__()
        words = F.normalize(torch.randn(num_embed, embed_dims), dim=-1)
        self.weight = nn.Parameter(words, requires_grad=False)
        self.register_buffer("initted", torch.tensor([float(initted)]))


class NormEMAVectorQuantizer(nn.Module):
    """Replaces each vector of a feature map by the nearest code word.

    Args:
        num_embed: V, number of code words.
        embed_dims: D, their width.
        beta: factor of the loss.
        decay: how slowly words follow the data, in [0, 1].
        quantize_kmeans_init: start from a clustering of the first batch of training.

    Raises:
        ValueError: sizes below 1, a decay outside [0, 1], or features that do not fit.
    """

    cluster_size: Tensor

    def __init__(
        self,
        num_embed: int,
        embed_dims: int,
        beta: float = 1.0,
        decay: float = 0.99,
        quantize_kmeans_init: bool = True,
    ) -> None:
        super().__init__()
        if min(num_embed, embed_dims) < 1 or not 0 <= decay <= 1:
            raise ValueError(
                "NormEMAVectorQuantizer: num_embed and embed_dims must be 1 or more and decay in "
                f"[0, 1], got {num_embed}, {embed_dims} and {decay}"
            )
        self.num_embed = num_embed
        self.embed_dims = embed_dims
        self.beta = beta
        self.decay = decay
        self.register_buffer("cluster_size", torch.zeros(num_embed))
        self.embedding = CodeBook(num_embed, embed_dims, initted=not quantize_kmeans_init)

    def forward(self, z: Tensor) -> Quantized:
        """Quantise features `[N, D, h, w]`."""
        if z.dim() != 4 or z.shape[1] != self.embed_dims:
            raise ValueError(
                f"NormEMAVectorQuantizer: expected features [N, {self.embed_dims}, h, w], got "
                f"shape {tuple(z.shape)}"
            )
        z = F.normalize(z.movedim(1, -1), dim=-1)
        words = self.embedding.weight
        vectors = z.detach().flatten(0, 2).to(words.dtype)
        if self.training and not self.embedding.initted:
            self._start_from(vectors)
        indices = torch.cdist(vectors, words).argmin(1)
        nearest = words[indices].view_as(z).to(z.dtype)
        if self.training:
            self._follow(vectors, indices)
        loss = self.beta * F.mse_loss(z, nearest)
        return Quantized((z + (nearest - z).detach()).movedim(-1, 1), loss, indices)

    @torch.no_grad()
    def _start_from(self, vectors: Tensor) -> None:
        means, counts = cosine_k_means(vectors, self.num_embed)
        self.embedding.weight.copy_(means)
        self.cluster_size.copy_(counts)
        self.embedding.initted.fill_(1)

    @torch.no_grad()
    def _follow(self, vectors: Tensor, indices: Tensor) -> None:
        words = self.embedding.weight
        counts = torch.bincount(indices, minlength=self.num_embed).to(words.dtype)
        sums = torch.zeros_like(words).index_add_(0, indices, vectors)
        self.cluster_size.lerp_(counts, 1 - self.decay)
        used = (counts > 0).unsqueeze(1)
        means = torch.where(used, F.normalize(sums, dim=-1), words)
        words.copy_(F.normalize(torch.lerp(words, means, 1 - self.decay), dim=-1))

    def extra_repr(self) -> str:
        return (
            f"num_embed={self.num_embed}, embed_dims={self.embed_dims}, beta={self.beta}, "
            f"decay={self.decay}"
        )


def cosine_k_means(vectors: Tensor, clusters: int, iterations: int = 10) -> tuple[Tensor, Tensor]:
    """Directions of clusters `[clusters, D]`, and how many vectors each has.

    Args:
        vectors: `[M, D]`, of length 1.
        clusters: how many; more than M start from repeated vectors.
        iterations: rounds of assigning and averaging.

    Raises:
        ValueError: no vectors.
    """
    count = len(vectors)
    if count == 0:
        raise ValueError("cosine_k_means: no vectors to start from")
    order = torch.randperm(count, device=vectors.device)
    means = vectors[order[torch.arange(clusters, device=vectors.device) % count]]
    sizes = vectors.new_zeros(clusters)
    for _ in range(iterations):
        nearest = (vectors @ means.T).argmax(1)
        sizes = torch.bincount(nearest, minlength=clusters).to(vectors.dtype)
        sums = torch.zeros_like(means).index_add_(0, nearest, vectors)
        means = torch.where((sizes > 0).unsqueeze(1), F.normalize(sums, dim=-1), means)
    return means, sizes

"""Image-to-image retrieval: rank the images of a gallery by their similarity to a query.

    feature  = last output of the encoder; of a spiking one its firing rate, the mean over T
    score    = cosine similarity of the query and each prototype      [N, M]
    order    = indices by falling score

Prototypes are the features of the gallery.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..build import build_part
from .base import TaskModel, require_spiking

__all__ = ["ImageToImageRetriever", "cosine_similarity"]

Similarity = Callable[[Tensor, Tensor], Tensor]


def cosine_similarity(query: Tensor, prototype: Tensor) -> Tensor:
    """Cosine of the angle between `[N, D]` and `[M, D]`, as `[N, M]`; 0 where all are silent."""
    return functional.normalize(query, dim=-1) @ functional.normalize(prototype, dim=-1).T


class ImageToImageRetriever(TaskModel):
    """Encoder and gallery.

    Args:
        image_encoder: a module or config, or a list of them that run one after the other.
        prototype: features `[M, D]`, the path of a file with them (a tensor saved by torch), or an
            iterable of batches (a loader) whose features are computed when first needed, and again
            after training; a batch may say in `meta` which rows it fills: `sample_idx`. None leaves
            it to :meth:`set_prototype`.
        head: for training: `head.loss(feats, batch)`.
        pretrained: path of a checkpoint for the whole model.
        similarity_fn: `'cosine_similarity'`, or a function of `[N, D]` and `[M, D]` to `[N, M]`.
        train_cfg: not used; it is here for configs that have the key.
        data_preprocessor: module or config; `ClsDataPreprocessor` if it has no type.
        topk: how many indices a prediction has; -1 for all.
        init_cfg: how :meth:`init_weights` fills the parameters.
        encoder: makes `[T, N, C, H, W]` of images for a spiking image encoder.

    Raises:
        TypeError: another kind of prototype or similarity.
        ValueError: an unknown similarity, or `topk` of 0; on a call: features that do not fit.
        FileNotFoundError: no file of prototypes.
    """

    prototype_vecs: Tensor | None
    modes: ClassVar[tuple[str, ...]] = ("tensor", "loss", "predict")

    def __init__(
        self,
        image_encoder: Any,
        prototype: Tensor | str | Path | Iterable[Any] | None = None,
        head: nn.Module | dict[str, Any] | None = None,
        pretrained: str | None = None,
        similarity_fn: str | Similarity = "cosine_similarity",
        train_cfg: dict[str, Any] | None = None,
        data_preprocessor: nn.Module | dict[str, Any] | None = None,
        topk: int = -1,
        init_cfg: Any = None,
        *,
        encoder: nn.Module | dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            data_preprocessor=data_preprocessor,
            encoder=encoder,
            pretrained=pretrained,
            init_cfg=init_cfg,
        )
        if topk == 0 or topk < -1:
            raise ValueError(f"topk must be positive, or -1 for all, got {topk}")
        self.image_encoder = _encoder(image_encoder)
        self.head = build_part(head, path="head")
        self.similarity = _similarity(similarity_fn)
        self.topk = topk
        self.register_buffer("prototype_vecs", None, persistent=False)
        self.set_prototype(prototype)
        require_spiking(type(self).__name__, self.encoder, self.spiking)

    @property
    def spiking(self) -> bool | None:
        first = self.image_encoder
        while isinstance(first, nn.Sequential) and len(first):
            first = first[0]
        return getattr(first, "spiking", None)

    def set_prototype(self, prototype: Tensor | str | Path | Iterable[Any] | None) -> None:
        """Another gallery; see the argument of the class."""
        self.prototype = None if prototype is None else _source(prototype)
        self.prototype_vecs = self.prototype if isinstance(self.prototype, Tensor) else None

    def train(self, mode: bool = True) -> Self:
        if mode and not isinstance(self.prototype, Tensor | Path):
            self.prototype_vecs = None  # the weights that made them are about to change
        return super().train(mode)

    def extract_feat(self, inputs: Tensor, reset: bool = True) -> Tensor:
        """Features `[N, D]`; firing rates of a spiking encoder."""
        feats = self.tensor(inputs, reset)
        feat = feats[-1] if isinstance(feats, tuple | list) else feats
        return feat.mean(0) if self.spiking or self.encoder is not None else feat

    def tensor(self, inputs: Tensor, reset: bool = True) -> Any:
        """The output of the image encoder."""
        return self.image_encoder(self.as_sequence(inputs, reset))

    def loss(self, inputs: Tensor, batch: Any) -> dict[str, Any]:
        """Losses and metrics of the head."""
        head = self.required("head", "mode='loss'")
        feats = self.tensor(inputs)
        return head.loss(feats if isinstance(feats, tuple | list) else (feats,), batch)

    def matching(self, feat: Tensor) -> Tensor:
        """Similarity `[N, M]` of features `[N, D]` to all prototypes."""
        vectors = self.prepare_prototype()
        if feat.dim() != 2 or feat.shape[1] != vectors.shape[1]:
            raise ValueError(
                f"features {tuple(feat.shape)} do not match prototypes {tuple(vectors.shape)}: "
                "expected [N, D] with one D"
            )
        return self.similarity(feat, vectors)

    def predict(
        self, inputs: Tensor, batch: Any = None, *, reset: bool = True
    ) -> dict[str, Tensor]:
        """The best matches of each query.

        Args:
            inputs: `[N, C, H, W]` or `[T, N, C, H, W]`.
            batch: not needed.
            reset: False goes on from the states of the last call.

        Returns:
            `pred_label` `[N, topk]`, indices by falling similarity, and `pred_score` `[N, M]`, the
            similarity to every prototype, in the order of the prototypes.
        """
        score = self.matching(self.extract_feat(inputs, reset))
        order = score.argsort(dim=1, descending=True, stable=True)
        return {
            "pred_label": order if self.topk < 0 else order[:, : self.topk],
            "pred_score": score,
        }

    @torch.no_grad()
    def prepare_prototype(self) -> Tensor:
        """The features of the gallery `[M, D]`, computed once.

        Raises:
            RuntimeError: there is no gallery.
        """
        if self.prototype is None:
            raise RuntimeError("there are no images to compare with; call set_prototype first")
        if self.prototype_vecs is None:
            if isinstance(self.prototype, Path):
                vectors = torch.load(self.prototype, map_location="cpu", weights_only=True)
                self.prototype_vecs = _vectors(vectors, str(self.prototype)).to(self._device())
            else:
                self.prototype_vecs = self._features_of(self.prototype)
        return self.prototype_vecs

    def _features_of(self, loader: Iterable[Any]) -> Tensor:
        was_training = self.training
        # not self.eval(): train() would throw away what is being made here
        self.image_encoder.eval()
        rows: list[Tensor] = []
        places: list[Tensor] = []
        count = 0
        try:
            for data in loader:
                batch = self.preprocess(data)
                feats = self.extract_feat(batch["inputs"])
                index = _sample_index(batch, count, len(feats))
                count += len(feats)
                rows.append(feats)
                places.append(index)
        finally:
            self.image_encoder.train(was_training)
        if not rows:
            raise ValueError("the loader of prototypes has no batches")
        place = torch.cat(places)
        if sorted(place.tolist()) != list(range(count)):
            raise ValueError(f"sample_idx of the prototypes must be each of 0 to {count - 1} once")
        return torch.cat(rows)[place.argsort().to(rows[0].device)]

    def _device(self) -> torch.device | None:
        parameter = next(self.parameters(), None)
        return None if parameter is None else parameter.device


def _encoder(image_encoder: Any) -> nn.Module:
    if isinstance(image_encoder, list | tuple):
        parts = [build_part(x, path=f"image_encoder[{i}]") for i, x in enumerate(image_encoder)]
        if not parts or None in parts:
            raise TypeError("image_encoder: a list needs at least one part, and none may be None")
        return nn.Sequential(*parts)
    encoder = build_part(image_encoder, path="image_encoder")
    if encoder is None:
        raise TypeError("ImageToImageRetriever needs an image_encoder")
    return encoder


def _similarity(similarity: str | Similarity) -> Similarity:
    if similarity == "cosine_similarity":
        return cosine_similarity
    if isinstance(similarity, str):
        raise ValueError(
            f"similarity_fn must be 'cosine_similarity' or a function, got {similarity!r}"
        )
    if not callable(similarity):
        raise TypeError(f"similarity_fn must be a function, got {type(similarity).__name__}")
    return similarity


def _source(prototype: Any) -> Tensor | Path | Iterable[Any]:
    if isinstance(prototype, Tensor):
        return _vectors(prototype, "prototype")
    if isinstance(prototype, str | Path):
        path = Path(prototype)
        if not path.is_file():
            raise FileNotFoundError(f"no file of prototypes: {path}")
        return path
    if isinstance(prototype, dict):
        return build_part(prototype, path="prototype")
    if isinstance(prototype, Iterable) and not isinstance(prototype, Iterator):
        return prototype
    raise TypeError(
        "prototype must be a tensor [M, D], a path, or a loader that can be read more than once, "
        f"got {type(prototype).__name__}"
    )


def _vectors(vectors: Any, where: str) -> Tensor:
    if not isinstance(vectors, Tensor) or vectors.dim() != 2 or not len(vectors):
        got = f"shape {tuple(vectors.shape)}" if isinstance(vectors, Tensor) else type(vectors)
        raise ValueError(f"{where}: prototypes must be a tensor [M, D], got {got}")
    return vectors.detach().float()


def _sample_index(batch: dict[str, Any], first: int, count: int) -> Tensor:
    found = (batch.get("meta") or {}).get("sample_idx")
    if found is None:
        return torch.arange(first, first + count)
    index = torch.as_tensor(found).cpu().long()
    if index.shape != (count,):
        raise ValueError(f"sample_idx must have {count} entries, got shape {tuple(index.shape)}")
    return index

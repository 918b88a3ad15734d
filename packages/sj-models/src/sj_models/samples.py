"""The data contract: what a batch is, and how other forms become one.

A batch is a dictionary of tensors, so that a step has no loop over samples:

    inputs   [N, C, H, W], [T, N, C, H, W] with time first, or a list of views of one batch
    label    [N]           class indices
    score    [N, K]        soft labels
    mask     [N, h, w] or [N, L]   which patches are hidden
    meta     anything per batch that no computation needs, such as `sample_idx`

`label`, `score`, `mask` and `meta` may be left out. :func:`as_batch` also takes a pair
`(inputs, label)`, a bare tensor, and a list of objects per sample with `gt_label`, `gt_score` or
`mask`, as config-driven frameworks have them.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["BATCH_KEYS", "Batch", "as_batch", "batch_size", "stack_samples"]

Batch = dict[str, Any]
BATCH_KEYS = ("inputs", "label", "score", "mask", "meta")
_FIELDS = {"gt_label": "label", "gt_score": "score", "mask": "mask"}
_ALREADY = "a batch has the keys inputs, label, score, mask and meta"


def as_batch(data: Any, samples: Any = None) -> Batch:
    """A checked batch from any of the accepted forms; tensors are not copied.

    Args:
        data: a batch, a mapping with `inputs` and `data_samples`, a pair (inputs, label), or
            inputs alone: a tensor, or a list of tensors of one shape `[C, H, W]` to be stacked.
        samples: labels that came separately: a mapping with batch keys, a tensor of labels `[N]`
            or scores `[N, K]`, or a list with one object per sample.

    Raises:
        TypeError: another form.
        ValueError: an unknown key, or labels that do not fit the inputs.

    Example:
        >>> import torch
        >>> batch = as_batch((torch.rand(2, 3, 8, 8), torch.tensor([1, 0])))
        >>> {key: tuple(value.shape) for key, value in batch.items()}
        {'inputs': (2, 3, 8, 8), 'label': (2,)}
    """
    if isinstance(data, Mapping):
        batch = dict(data)
        found = batch.pop("data_samples", None)
        if found is not None and samples is not None:
            raise ValueError("labels were given twice: in data_samples and as an argument")
        samples = found if samples is None else samples
    elif isinstance(data, tuple) and len(data) == 2:
        if samples is not None:
            raise ValueError("labels were given twice: in the pair and as an argument")
        batch, samples = {"inputs": data[0]}, data[1]
    else:
        batch = {"inputs": data}
    for key, value in _labels(samples).items():
        if key in batch and key != "meta":
            raise ValueError(f"{key} was given twice: in the batch and as an argument")
        batch[key] = value
    return _checked(batch)


def batch_size(batch: Mapping[str, Any]) -> int | None:
    """N as the labels and masks say it, or None if there are none."""
    for key in ("label", "score", "mask"):
        if isinstance(batch.get(key), Tensor):
            return int(batch[key].shape[0])
    return None


def stack_samples(samples: Sequence[Any]) -> Batch:
    """One batch (without inputs) from objects per sample.

    Args:
        samples: objects or mappings with any of `gt_label` (a number), `gt_score` `[K]` and `mask`
            `[h, w]`; `metainfo`, a mapping, and `sample_idx` go to `meta`.

    Raises:
        ValueError: some samples have a field and others do not, or none has any.
    """
    batch: Batch = {}
    for field, key in _FIELDS.items():
        found = [value for s in samples if (value := _field(s, field)) is not None]
        if found and len(found) != len(samples):
            raise ValueError(f"{len(found)} of {len(samples)} samples have {field}: all or none")
        if found:
            batch[key] = _stacked(field, found)
    meta = [_meta(sample) for sample in samples]
    if any(meta):
        # a set would lose the order that the samples give the names
        names = dict.fromkeys(name for info in meta for name in info)
        batch["meta"] = {name: [info.get(name) for info in meta] for name in names}
    if samples and not batch:
        kinds = ", ".join(sorted({type(s).__name__ for s in samples}))
        raise ValueError(f"no sample of type {kinds} has {', '.join(_FIELDS)} or metainfo")
    return batch


def _labels(samples: Any) -> Batch:
    if samples is None:
        return {}
    if isinstance(samples, Mapping):
        # a whole batch may stand for its labels: the inputs came by themselves
        return {key: value for key, value in samples.items() if key != "inputs"}
    if isinstance(samples, Tensor):
        return {"score" if samples.dim() == 2 and samples.is_floating_point() else "label": samples}
    if isinstance(samples, Sequence) and not isinstance(samples, str):
        if samples and all(isinstance(s, int) and not isinstance(s, bool) for s in samples):
            return {"label": torch.tensor(samples)}
        return stack_samples(samples)
    raise TypeError(
        "labels must be a mapping with label, score or mask, a tensor, or a list of samples, got "
        f"{type(samples).__name__}"
    )


def _checked(batch: Batch) -> Batch:
    for key in batch:
        if key not in BATCH_KEYS:
            near = difflib.get_close_matches(str(key), BATCH_KEYS, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"unknown key {key!r} in a batch{hint} ({_ALREADY})")
    if "inputs" not in batch:
        raise ValueError(f"a batch needs inputs; it has {', '.join(batch) or 'nothing'}")
    batch["inputs"] = _inputs(batch["inputs"])
    if "label" in batch:
        batch["label"] = _label(batch["label"])
    score = batch.get("score")
    if score is not None and not (isinstance(score, Tensor) and score.dim() == 2):
        raise ValueError(f"score must be a tensor [N, K], got {_shape(score)}")
    sizes = {
        key: len(batch[key]) for key in ("label", "score", "mask") if batch.get(key) is not None
    }
    views = batch["inputs"] if isinstance(batch["inputs"], list) else [batch["inputs"]]
    for view in views:
        for key, size in sizes.items():
            if size not in view.shape[:2]:
                raise ValueError(
                    f"{key} is for {size} samples, but inputs {tuple(view.shape)} have neither "
                    "that batch size nor, with time first, that second axis"
                )
    return batch


def _inputs(inputs: Any) -> Any:
    if isinstance(inputs, Tensor):
        return inputs
    if isinstance(inputs, Sequence) and inputs and all(isinstance(x, Tensor) for x in inputs):
        # images of a list are stacked; several views, each with a batch axis, stay apart
        if inputs[0].dim() <= 3:
            if len({tuple(x.shape) for x in inputs}) > 1:
                shapes = ", ".join(str(tuple(x.shape)) for x in inputs[:4])
                raise ValueError(f"images of one batch must have one shape, got {shapes}")
            return torch.stack(list(inputs))
        return list(inputs)
    raise TypeError(f"inputs must be a tensor or a list of tensors, got {type(inputs).__name__}")


def _label(label: Any) -> Tensor:
    label = label if isinstance(label, Tensor) else torch.as_tensor(label)
    if label.dim() == 2 and label.shape[1] == 1:
        label = label.squeeze(1)
    if label.dim() != 1 or label.is_floating_point():
        raise ValueError(
            f"label must hold class indices [N], got {_shape(label)}; soft labels [N, K] are score"
        )
    return label.long()


def _shape(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{tuple(value.shape)} of {value.dtype}"
    return type(value).__name__


def _field(sample: Any, name: str) -> Any:
    if isinstance(sample, Mapping):
        return sample.get(name)
    return getattr(sample, name, None)


def _meta(sample: Any) -> dict[str, Any]:
    info = _field(sample, "metainfo")
    meta = dict(info) if isinstance(info, Mapping) else {}
    index = _field(sample, "sample_idx")
    return meta if index is None else {**meta, "sample_idx": index}


def _stacked(field: str, values: Sequence[Any]) -> Tensor:
    tensors = [torch.as_tensor(value) for value in values]
    if field == "gt_label":
        if any(t.numel() != 1 for t in tensors):
            raise ValueError("gt_label must be one class per sample; several are a gt_score")
        return torch.stack([t.reshape(()) for t in tensors]).long()
    if len({tuple(t.shape) for t in tensors}) > 1:
        shapes = ", ".join(str(tuple(t.shape)) for t in tensors[:4])
        raise ValueError(f"{field} must have one shape in a batch, got {shapes}")
    stacked = torch.stack(tensors)
    return stacked.float() if field == "gt_score" else stacked

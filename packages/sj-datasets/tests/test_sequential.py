from __future__ import annotations

import numpy as np
import pytest

from sj_datasets.sequential import SequentialView

C, H, W = 2, 3, 4
IMAGE = np.arange(C * H * W).reshape(C, H, W)


class Images:
    targets = (5,)
    classes = ("a",)

    def __init__(self, image):
        self.image = image

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.image, self.targets[index]


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize(
    ("by", "shape", "step"),
    [
        ("row", (H, C * W), lambda t: IMAGE[:, t, :].ravel()),
        ("column", (W, C * H), lambda t: IMAGE[:, :, t].ravel()),
        ("pixel", (H * W, C), lambda t: IMAGE[:, t // W, t % W]),
    ],
)
def test_a_step_is_a_row_a_column_or_a_pixel(kind, by, shape, step):
    image = (
        IMAGE
        if kind == "numpy"
        else pytest.importorskip("torch", reason="tensors need torch").from_numpy(IMAGE)
    )
    view = SequentialView(Images(image), by=by)
    sequence, label = view[0]
    assert type(sequence) is type(image)
    assert tuple(sequence.shape) == shape
    assert label == 5
    for t in range(shape[0]):
        np.testing.assert_array_equal(np.asarray(sequence[t]), step(t))


def test_an_image_without_channels_has_one():
    columns = SequentialView(Images(IMAGE[0]), by="column")[0][0]
    np.testing.assert_array_equal(columns, IMAGE[0].T)


def test_labels_and_length_are_those_of_the_dataset():
    view = SequentialView(Images(IMAGE))
    assert (len(view), view.targets, view.classes) == (1, (5,), ("a",))


def test_what_is_no_image_is_refused():
    with pytest.raises(ValueError, match="by must be"):
        SequentialView(Images(IMAGE), by="diagonal")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"sample 0 .* shape \[24\]"):
        SequentialView(Images(IMAGE.ravel()))[0]
    with pytest.raises(ValueError, match="sample 0"):
        SequentialView(Images(3))[0]

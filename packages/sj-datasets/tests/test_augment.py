from __future__ import annotations

import random

import numpy as np
import pytest

from sj_datasets.spike_camera import Augmentor, augment

SQUARE = np.arange(2 * 3 * 3).reshape(2, 3, 3)
WIDE = np.arange(2 * 2 * 4).reshape(2, 2, 4)


def test_modes_are_the_symmetries_of_a_square():
    a = SQUARE
    expected = [
        a, a.transpose(0, 2, 1), a[:, ::-1], np.rot90(a, 3, (1, 2)), a[:, :, ::-1],
        np.rot90(a, 1, (1, 2)), a[:, ::-1, ::-1], a[:, ::-1, ::-1].transpose(0, 2, 1),
    ]  # fmt: skip
    for mode, frames in enumerate(expected):
        np.testing.assert_array_equal(augment(a, mode), frames)
    assert len({augment(a, mode).tobytes() for mode in range(8)}) == 8


def test_frames_that_are_not_square_keep_their_size():
    for mode in range(8):
        np.testing.assert_array_equal(augment(WIDE, mode), augment(WIDE, mode - mode % 2))
        assert augment(WIDE, mode).shape == WIDE.shape


def test_stream_and_image_share_crop_and_mode():
    frames = np.arange(40.0).reshape(1, 5, 8)
    augmentor = Augmentor((3, 3), rng=0)
    seen = set()
    for _ in range(60):
        spike, image = augmentor(frames.repeat(4, axis=0), frames)
        np.testing.assert_array_equal(spike, image.repeat(4, axis=0))
        assert image.shape == (1, 3, 3)
        seen.add(image.tobytes())
    assert len(seen) > 40


def test_a_crop_may_be_as_large_as_the_frame():
    augmentor = Augmentor(WIDE.shape[1:], rng=0)
    assert augmentor(WIDE, WIDE[:1])[0].shape == WIDE.shape
    assert Augmentor()(WIDE, WIDE[:1])[1].shape == (1, 2, 4)


def test_seeds_decide():
    def draw(rng: random.Random | int | None) -> list[bytes]:
        augmentor = Augmentor((2, 2), rng)
        return [augmentor(SQUARE, SQUARE[:1])[0].tobytes() for _ in range(10)]

    assert draw(1) == draw(1) == draw(random.Random(1)) != draw(2)
    state = random.getstate()
    random.seed(1)
    drawn = draw(None)
    random.setstate(state)
    assert drawn == draw(1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: augment(SQUARE[0], 0), r"\[T, H, W\]"),
        (lambda: augment(SQUARE, 8), r"0\.\.7"),
        (lambda: Augmentor((0, 3)), "positive"),
        (lambda: Augmentor((4, 3))(SQUARE, SQUARE), "exceeds the frames, 3x3"),
        (lambda: Augmentor()(SQUARE, WIDE), "one size"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()

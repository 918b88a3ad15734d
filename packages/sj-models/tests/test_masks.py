from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_models.masks import BEiTMaskGenerator, SimMIMMaskGenerator


@settings(max_examples=60)
@given(st.data())
def test_block_masks_hide_exactly_the_wanted_number(data):
    height, width = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 8))
    count = data.draw(st.integers(0, height * width))
    smallest = data.draw(st.integers(1, 20))
    aspect = data.draw(st.floats(0.05, 1))
    hide = BEiTMaskGenerator((height, width), count, smallest, max(count, smallest), aspect)
    mask = hide(generator=torch.Generator().manual_seed(data.draw(st.integers(0, 99))))
    assert mask.shape == (height, width)
    assert mask.dtype == torch.bool
    assert mask.sum() == count


def test_no_rectangle_that_fits_still_ends():
    # rectangles of 100 patches do not fit into 4 x 4
    hide = BEiTMaskGenerator(4, 7, min_num_patches=100, max_num_patches=200)
    assert hide().sum() == 7


def test_blocks_hang_together():
    hide = BEiTMaskGenerator(14, 75)
    generator = torch.Generator().manual_seed(0)
    same = 0
    for mask in hide(20, generator):
        same += int((mask[:, 1:] == mask[:, :-1]).sum()) + int((mask[1:] == mask[:-1]).sum())
    share = same / (20 * 2 * 13 * 14)
    chance = (75 / 196) ** 2 + (121 / 196) ** 2
    assert share > chance + 0.2


def test_every_place_can_be_hidden():
    masks = BEiTMaskGenerator(6, 8)(200, torch.Generator().manual_seed(0))
    assert masks.any(0).all()
    assert not masks.all(0).any()


@pytest.mark.parametrize(
    "hide", [BEiTMaskGenerator(6, 9), SimMIMMaskGenerator(24, 8, 4)], ids=["block", "simmim"]
)
def test_randomness_comes_from_the_generator(hide):
    first, second = (hide(3, torch.Generator().manual_seed(5)) for _ in range(2))
    assert (first == second).all()
    torch.manual_seed(0)
    one = hide()
    torch.manual_seed(0)
    assert (hide() == one).all()
    assert hide(0).shape == (0, *one.shape)
    assert hide(0).dtype == torch.bool


@given(st.integers(1, 5), st.integers(1, 3), st.floats(0, 1))
def test_simmim_hides_whole_cells_rounded_up(cells, scale, ratio):
    hide = SimMIMMaskGenerator(cells * scale * 4, scale * 4, 4, ratio)
    mask = hide()
    coarse = mask.unflatten(0, (cells, scale)).unflatten(2, (cells, scale)).movedim(1, 2)
    full = coarse.flatten(2).float().mean(-1)
    assert set(full.flatten().tolist()) <= {0.0, 1.0}
    assert ratio * cells**2 - 1e-5 <= full.sum().item() < ratio * cells**2 + 1


def test_share_that_is_whole_but_for_rounding():
    assert SimMIMMaskGenerator(40, 4, 4, 0.55).num_hidden == 55


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_masking_patches": 17}, "num_masking_patches must be from 0 to 16, got 17"),
        ({"num_masking_patches": -1}, "from 0 to 16, got -1"),
        ({"min_num_patches": 0}, "no rectangles have between 0 and None patches"),
        ({"max_num_patches": 2}, "no rectangles have between 4 and 2 patches"),
        ({"min_aspect": 0}, "no ratios between min_aspect=0 and max_aspect=None"),
        ({"min_aspect": 0.5, "max_aspect": 0.4}, "no ratios between"),
        ({"min_aspect": 2.0}, "no ratios between"),
        ({"input_size": (1, 2, 3)}, "expected one number or"),
    ],
)
def test_wrong_block_masks(arguments, message):
    with pytest.raises(ValueError, match=message):
        BEiTMaskGenerator(**({"input_size": 4, "num_masking_patches": 8} | arguments))


@pytest.mark.parametrize("sizes", [(190, 32, 4), (192, 32, 5), (0, 32, 4)])
def test_wrong_simmim_masks(sizes):
    with pytest.raises(ValueError, match="must divide mask_patch_size"):
        SimMIMMaskGenerator(*sizes)
    with pytest.raises(ValueError, match=r"mask_ratio must be in \[0, 1\]: 1.5"):
        SimMIMMaskGenerator(mask_ratio=1.5)

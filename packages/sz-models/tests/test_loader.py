from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sj_datasets.spike_camera import BaseDataset, BaseDatasetConfig, save_vidar_dat
from sz_models.datasets import DATASET, DATASETS, build_dataloader, build_dataset_name
from sz_models.pipeline import PipelineConfig


def dataset(root: Path, split: str = "test", lengths: tuple[int, ...] = (5, 5, 5)) -> BaseDataset:
    folder = root / split / "spike"
    folder.mkdir(parents=True)
    for i, length in enumerate(lengths):
        spikes = np.zeros((length, 4, 8), np.uint8)
        spikes[:, 0, i] = 1
        save_vidar_dat(folder / f"{i}.dat", spikes)
    cfg = BaseDatasetConfig(root_dir=root, height=4, width=8, with_img=False)
    return BaseDataset(cfg).build_source(split)


def order(batches: list[dict]) -> list[int]:
    return [int(row.argmax()) for batch in batches for row in batch["spike"][:, 0, 0]]


@pytest.mark.parametrize("workers", [0, 1])
def test_test_batches_keep_their_order(tmp_path, workers):
    batches = list(build_dataloader(dataset(tmp_path), PipelineConfig(bs_test=2, nw_test=workers)))
    assert [list(batch["spike"].shape) for batch in batches] == [[2, 5, 4, 8], [1, 5, 4, 8]]
    assert batches[0]["gt_img"].shape == (2, 1, 4, 8)
    assert batches[0]["spike"].dtype == batches[0]["rate"].dtype == torch.float32
    torch.testing.assert_close(batches[0]["rate"], torch.tensor([0.6, 0.6]))
    assert order(batches) == [0, 1, 2]


def test_training_batches_are_shuffled(tmp_path):
    cfg = PipelineConfig(_mode="train_mode")
    cfg.bs_train, cfg.nw_train = 3, 0  # pyright: ignore[reportAttributeAccessIssue]
    loader = build_dataloader(dataset(tmp_path, "train"), cfg)
    torch.manual_seed(0)
    orders = {tuple(order(list(loader))) for _ in range(20)}
    assert len(orders) > 1
    assert {len(batch["spike"]) for batch in loader} == {3}


def test_the_training_split_is_not_shuffled_for_measurement(tmp_path):
    loader = build_dataloader(dataset(tmp_path, "train"), PipelineConfig())
    assert order(list(loader)) == [0, 1, 2]


def test_streams_of_different_lengths_need_a_length(tmp_path):
    data = dataset(tmp_path, lengths=(5, 7))
    with pytest.raises(ValueError, match=r"spike differs .* set spike_length_test"):
        list(build_dataloader(data, PipelineConfig(bs_test=2)))
    assert len(list(build_dataloader(data, PipelineConfig()))) == 2


@pytest.mark.parametrize("cfg", [PipelineConfig(bs_test=0), PipelineConfig(nw_test=-1)])
def test_bad_sizes_are_refused(tmp_path, cfg):
    with pytest.raises(ValueError, match="bs_test must be at least 1 and nw_test at least 0"):
        build_dataloader(dataset(tmp_path), cfg)


def test_the_split_must_be_built(tmp_path):
    with pytest.raises(RuntimeError, match="build_source"):
        build_dataloader(BaseDataset(BaseDatasetConfig()), PipelineConfig())


def test_every_constant_is_a_dataset():
    names = {value for key, value in vars(DATASET).items() if key.isupper()}
    assert names == {*DATASETS, "realworld"}
    for name in names:
        assert isinstance(build_dataset_name(name), BaseDataset)

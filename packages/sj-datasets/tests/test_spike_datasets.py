from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from sj_datasets import SpikeStream, save_vidar_dat
from sj_datasets.errors import FormatError
from sj_datasets.fake import SyntheticDataWarning
from sj_datasets.spike_camera import (
    DATASETS,
    REDS_BASE,
    UHSR,
    BaseDataset,
    BaseDatasetConfig,
    RealData,
    RealDataConfig,
    REDS_BASEConfig,
    SZData,
    SZDataConfig,
    UHSRConfig,
    build_dataset_cfg,
    build_dataset_name,
    read_gray_image,
    write_gray_image,
    write_uhsr,
)

T, H, W = 9, 4, 8
NAMES = ("a", "b", "c")


def stream(number: int, n_frames: int = T) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 2, (n_frames, H, W), dtype=np.uint8)


def fill(folder: Path, spike: str = "spike", gt: str = "gt", names: tuple[str, ...] = NAMES):
    """A split: stream k is stream(k), its image has light k / 10."""
    for part in (spike, gt):
        (folder / part).mkdir(parents=True)
    for number, name in enumerate(names):
        save_vidar_dat(folder / spike / f"{name}.dat", stream(number))
        write_gray_image(folder / gt / f"{name}.png", np.full((H, W), number / 10))
    return folder


def config(root: Path, **options: object) -> BaseDatasetConfig:
    return BaseDatasetConfig(root_dir=root, height=H, width=W, **options)  # type: ignore[arg-type]


@pytest.fixture
def root(tmp_path) -> Path:
    fill(tmp_path / "train")
    fill(tmp_path / "test", names=("x", "y"))
    return tmp_path


def test_samples_are_stream_image_and_rate(root):
    dataset = BaseDataset(config(root)).build_source("train")
    assert len(dataset) == 3
    for number, sample in enumerate(dataset):
        assert sorted(sample) == ["gt_img", "rate", "spike"]
        np.testing.assert_array_equal(sample["spike"], stream(number))
        np.testing.assert_allclose(sample["gt_img"], np.full((1, H, W), number / 10), atol=0.002)
        assert sample["spike"].dtype == sample["gt_img"].dtype == np.float32
        assert sample["rate"] == 0.6
        assert sample["spike"].flags.c_contiguous
    assert len(BaseDataset(config(root)).build_source()) == 2
    assert "train" in repr(dataset)


def test_indices_are_those_of_a_sequence(root):
    dataset = BaseDataset(config(root)).build_source("train")
    np.testing.assert_array_equal(dataset[-1]["spike"], stream(2))
    with pytest.raises(IndexError, match="sample 3 is outside"):
        dataset[3]
    with pytest.raises(RuntimeError, match="call build_source"):
        BaseDataset(config(root))[0]
    assert "not built" in repr(BaseDataset(config(root)))


@pytest.mark.parametrize(("length", "first"), [(-1, 0), (9, 0), (5, 2), (4, 2), (1, 4), (8, 0)])
def test_the_central_frames_are_taken(root, length, first):
    cfg = config(root, spike_length_train=length, spike_length_test=1)
    spike = BaseDataset(cfg).build_source("train")[0]["spike"]
    n_frames = T if length == -1 else length
    np.testing.assert_array_equal(spike, stream(0)[first : first + n_frames])
    assert len(BaseDataset(cfg).build_source("test")[0]["spike"]) == 1


def test_streams_that_are_too_short_are_named(root):
    dataset = BaseDataset(config(root, spike_length_test=10)).build_source()
    with pytest.raises(ValueError, match=r"x\.dat holds 9 frames, spike_length_test asks for 10"):
        dataset[0]
    with pytest.raises(ValueError, match="positive or -1"):
        BaseDataset(config(root, spike_length_test=0)).build_source()[0]


@pytest.mark.parametrize("use_cache", [False, True])
def test_without_images_the_mean_stands_in(root, use_cache):
    cfg = config(root, with_img=False, spike_length_train=5, use_cache=use_cache)
    sample = BaseDataset(cfg).build_source("train")[1]
    np.testing.assert_allclose(sample["gt_img"][0], stream(1)[2:7].mean(axis=0), rtol=1e-6)
    dataset = BaseDataset(cfg).build_source("train")
    np.testing.assert_array_equal(dataset.get_img(1), sample["gt_img"])


def test_a_cache_gives_the_same_samples_without_files(root):
    plain = [*BaseDataset(config(root, spike_length_train=5)).build_source("train")]
    cached = BaseDataset(config(root, spike_length_train=5, use_cache=True)).build_source("train")
    for file in (root / "train").rglob("*.*"):
        file.unlink()
    for expected, sample in zip(plain, cached, strict=True):
        np.testing.assert_array_equal(sample["spike"], expected["spike"])
        np.testing.assert_array_equal(sample["gt_img"], expected["gt_img"])
        sample["spike"][:], sample["gt_img"][:] = 7, 7
    np.testing.assert_array_equal(cached[0]["spike"], plain[0]["spike"])
    np.testing.assert_array_equal(cached[0]["gt_img"], plain[0]["gt_img"])


def test_datasets_travel_to_workers(root):
    dataset = BaseDataset(config(root, use_cache=True)).build_source("train")
    other = pickle.loads(pickle.dumps(dataset))
    np.testing.assert_array_equal(other[2]["spike"], dataset[2]["spike"])


def test_augmentation_is_for_training_only(root):
    cfg = config(root, use_aug=True, crop_size=(3, 5))
    sample = BaseDataset(cfg).build_source("train")[0]
    assert sample["spike"].shape == (T, 3, 5)
    assert sample["gt_img"].shape == (1, 3, 5)
    assert sample["spike"].flags.c_contiguous
    assert BaseDataset(cfg).build_source("test")[0]["spike"].shape == (T, H, W)


# Pairing


def test_equal_names_pair_whatever_the_folders_hold(root):
    write_gray_image(root / "train" / "gt" / "aa.png", np.zeros((H, W)))
    with pytest.warns(UserWarning, match="images without a stream: aa"):
        dataset = BaseDataset(config(root)).build_source("train")
    assert [p.stem for p in dataset.img_list] == list(NAMES)


def test_other_names_pair_by_position(root):
    for image in (root / "train" / "gt").iterdir():
        image.rename(image.with_name(f"sharp_{image.stem}.jpeg"))
    dataset = BaseDataset(config(root)).build_source("train")
    assert [p.stem for p in dataset.img_list] == ["sharp_a", "sharp_b", "sharp_c"]


def test_what_cannot_be_paired_is_refused(root):
    (root / "train" / "gt" / "b.png").unlink()
    with pytest.raises(ValueError, match=r"3 streams but 2 images.*no image for b"):
        BaseDataset(config(root)).build_source("train")

    class Unpaired(BaseDataset):
        def prepare_data(self):
            self.spike_list = self.get_spike_files(root)

    with pytest.raises(ValueError, match="with_img=False"):
        Unpaired(config(root)).build_source("train")


def test_missing_folders_and_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere"):
        BaseDataset(config(tmp_path / "nowhere")).build_source()
    with pytest.raises(FileNotFoundError, match="no streams for split 'test'"):
        BaseDataset(config(tmp_path)).build_source()
    with pytest.raises(ValueError, match="name a folder"):
        BaseDataset(config(tmp_path)).build_source("../train")


# The other datasets


def test_reds_pairs_by_name(root):
    cfg = REDS_BASEConfig(root_dir=root, height=H, width=W, spike_length_test=9)
    assert (REDS_BASEConfig().spike_length_train, cfg.rate) == (41, 0.6)
    write_gray_image(root / "test" / "gt" / "0.png", np.zeros((H, W)))
    dataset = REDS_BASE(cfg).build_source()
    assert [p.name for p in dataset.img_list] == ["x.png", "y.png"]
    cfg.with_img = False
    assert REDS_BASE(cfg).build_source().img_list == []
    cfg.with_img = True
    (root / "test" / "gt" / "y.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 images are missing, the first is .*y\.png"):
        REDS_BASE(cfg).build_source()


def test_real_data_are_one_folder(tmp_path):
    save_vidar_dat(tmp_path / "a.dat", stream(0))
    cfg = RealDataConfig(root_dir=str(tmp_path), height=H, width=W)
    for split in ("train", "test"):
        sample = RealData(cfg).build_source(split)[0]
        assert sample["rate"] == 1.0
        np.testing.assert_allclose(sample["gt_img"][0], stream(0).mean(axis=0), rtol=1e-6)
    cfg.with_img = True
    with pytest.raises(ValueError, match="no images"):
        RealData(cfg).build_source()


def test_uhsr_recordings_are_cropped(tmp_path):
    spikes = np.zeros((201, 250, 250), np.uint8)
    spikes[:, :, ::50] = 1
    spikes[200] = 1
    (tmp_path / "test").mkdir()
    write_uhsr(tmp_path / "test" / "a.npz", spikes)
    sample = UHSR(UHSRConfig(root_dir=tmp_path)).build_source()[0]
    np.testing.assert_array_equal(sample["spike"], spikes[:200, 13:237, 13:237])
    assert sample["gt_img"].shape == (1, 224, 224)
    with pytest.raises(ValueError, match="no images"):
        UHSR(UHSRConfig(root_dir=tmp_path, with_img=True)).build_source()


def test_sz_data_have_their_own_folders(tmp_path):
    fill(tmp_path / "train", "spike_data", "sharp_data")
    cfg = SZDataConfig(root_dir=tmp_path, height=H, width=W)
    assert len(SZData(cfg).build_source("train")) == 3


# One's own


def test_a_dataset_of_ones_own(tmp_path):
    @dataclass
    class YourDatasetConfig(BaseDatasetConfig):
        dataset_name: str = "yourdataset"
        root_dir: str | Path = tmp_path
        with_img: bool = False
        rate: float = 1

    class YourDataset(BaseDataset):
        def __init__(self, cfg: BaseDatasetConfig):
            super().__init__(cfg)

        def prepare_data(self):
            self.spike_dir = self.cfg.root_dir / self.split
            self.spike_list = self.get_spike_files(self.spike_dir)

        def get_spike_files(self, path: Path):
            return sorted(path.glob("*.npy"))

        def load_spike(self, idx: int):
            return np.load(self.spike_list[idx])

    (tmp_path / "test").mkdir()
    values = np.random.default_rng(0).random((5, 3, 3)).astype(np.float32)
    np.save(tmp_path / "test" / "a.npy", values)
    for use_cache in (False, True):
        cfg = YourDatasetConfig(dataset_cls_local=YourDataset, use_cache=use_cache)
        dataset = build_dataset_cfg(cfg)
        dataset.build_source("test")
        np.testing.assert_array_equal(dataset[0]["spike"], values)


def test_streams_are_lazy_until_they_are_cut(root):
    dataset = BaseDataset(config(root)).build_source("train")
    assert isinstance(dataset.load_spike(0), SpikeStream)


# By name


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_is_built_by_name(name):
    dataset = build_dataset_name(name)
    assert dataset.cfg.dataset_name == name
    assert type(build_dataset_cfg(dataset.cfg)) is type(dataset)


def test_names_are_forgiving_up_to_a_point():
    assert isinstance(build_dataset_name("realworld"), RealData)
    with pytest.raises(ValueError, match=r"no dataset 'red_base'; did you mean 'reds_base'\?"):
        build_dataset_name("red_base")
    with pytest.raises(ValueError, match="There are base, reds_base"):
        build_dataset_cfg(BaseDatasetConfig(dataset_name="nothing"))


# Synthetic


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_can_be_synthetic(tmp_path, name):
    dataset = build_dataset_name(name)
    cfg = dataset.cfg
    cfg.root_dir = tmp_path / name
    cfg.spike_length_train = cfg.spike_length_test = 5
    if name != "uhsr":
        cfg.height, cfg.width = 16, 24
    dataset.write_fake((2, 1), n_frames=6 if name == "uhsr" else 100)
    for split in ("train", "test"):
        with pytest.warns(SyntheticDataWarning):
            dataset.build_source(split)
        assert len(dataset) == (3 if name == "realdata" else 2 if split == "train" else 1)
        sample = dataset[0]
        assert sample["spike"].shape == (5, cfg.height, cfg.width)
        if cfg.with_img:
            stream = np.asarray(dataset.load_spike(0))
            image = read_gray_image(dataset.img_list[0])
            assert stream.mean() / cfg.rate == pytest.approx(image.mean(), rel=0.1)
    with pytest.raises(FileExistsError, match="not empty"):
        dataset.write_fake()


def test_fake_writes_once_and_only_where_nothing_is(tmp_path, monkeypatch, root):
    calls, write_fake = [], BaseDataset.write_fake
    monkeypatch.setattr(
        BaseDataset,
        "write_fake",
        lambda self: (calls.append(1), write_fake(self, (1, 1), n_frames=10)),
    )
    cfg = config(tmp_path / "new", fake=True)
    for _ in range(2):
        with pytest.warns(SyntheticDataWarning, match="synthetic copy of base"):
            BaseDataset(cfg).build_source()
    assert calls == [1]
    marker = tmp_path / "new" / "FAKE.json"
    marker.write_text(marker.read_text().replace("true", "false"))  # as if stopped on the way
    cfg.fake = False
    with pytest.warns(SyntheticDataWarning):
        BaseDataset(cfg).build_source()
    assert calls == [1, 1]
    marker.write_text("{")
    with pytest.raises(FormatError, match=r"FAKE\.json: damaged"):
        BaseDataset(cfg).build_source()
    with pytest.raises(FileExistsError, match="need a folder of their own"):
        BaseDataset(config(root, fake=True)).build_source()


def test_own_pictures_are_asked_for_without_image_files_too(root):
    class Darkest(BaseDataset):
        def get_img(self, idx):
            return self.get_spike(idx).min(axis=0, keepdims=True)

    for use_cache in (False, True):
        dataset = Darkest(config(root, with_img=False, use_cache=use_cache)).build_source("train")
        sample = dataset[2]
        np.testing.assert_array_equal(sample["gt_img"][0], sample["spike"].min(axis=0))


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan")])
def test_rates_that_images_cannot_be_divided_by_are_refused(root, rate):
    with pytest.raises(ValueError, match="rate must be positive"):
        BaseDataset(config(root, rate=rate)).build_source("train")


def test_hidden_files_are_no_streams(root):
    for part, suffix in (("spike", "dat"), ("gt", "png")):
        (root / "train" / part / f"._a.{suffix}").write_bytes(b"resource fork")
    (root / "train" / "gt" / "b.png").rename(root / "train" / "gt" / "b.PNG")
    dataset = BaseDataset(config(root)).build_source("train")
    assert [file.name for file in dataset.spike_list] == ["a.dat", "b.dat", "c.dat"]
    assert [file.name for file in dataset.img_list] == ["a.png", "b.PNG", "c.png"]

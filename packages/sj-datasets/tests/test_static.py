from __future__ import annotations

import gzip
import hashlib
import pickle
import tarfile

import numpy as np
import pytest

from sj_datasets.download import Resource, ResourceSet
from sj_datasets.errors import FormatError
from sj_datasets.formats.cifar10 import write_cifar10
from sj_datasets.formats.idx import write_idx
from sj_datasets.static import CIFAR10, MNIST, FashionMNIST

pytestmark = pytest.mark.filterwarnings("ignore:(?s).*synthetic")


def write_digits(folder, part="t10k", n=12, suffix=""):
    folder.mkdir(parents=True, exist_ok=True)
    images = np.random.default_rng(0).integers(0, 256, (n, 28, 28), np.uint8)
    labels = (np.arange(n) % 10).astype(np.uint8)
    write_idx(folder / f"{part}-images-idx3-ubyte{suffix}", images)
    write_idx(folder / f"{part}-labels-idx1-ubyte{suffix}", labels)
    return images, labels


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(
    ("dataset", "place"),
    [(MNIST, "MNIST/raw"), (MNIST, "raw"), (MNIST, "."), (FashionMNIST, "FashionMNIST/raw")],
)
def test_files_are_found_where_people_keep_them(tmp_path, dataset, place, suffix):
    images, labels = write_digits(tmp_path / place, suffix=suffix)
    data = dataset(tmp_path, train=False)
    np.testing.assert_array_equal(data.images, images)
    assert data.targets == labels.tolist()
    assert len(data) == 12


def test_an_image_is_a_float_array_in_0_to_1(tmp_path):
    images, _ = write_digits(tmp_path)
    image, label = MNIST(tmp_path, train=False)[3]
    assert image.shape == (1, 28, 28)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image[0], images[3] / 255, rtol=1e-6)
    assert label == 3
    assert type(label) is int
    with pytest.raises(TypeError, match="slice"):
        MNIST(tmp_path, train=False)[:3]  # type: ignore[index]


def test_a_transform_gets_the_bytes_and_may_change_them(tmp_path):
    images, _ = write_digits(tmp_path)

    def invert(image):
        assert image.dtype == np.uint8
        np.subtract(255, image, out=image)
        return image

    data = MNIST(tmp_path, train=False, transform=invert, target_transform=str)
    for _ in range(2):
        image, label = data[1]
        np.testing.assert_array_equal(image, 255 - images[1])
        assert label == "1"
    plain = data.with_transform(None)
    assert plain.images is data.images
    assert plain[1][1] == 1
    assert plain[1][0].dtype == np.float32


def test_datasets_can_be_pickled(tmp_path):
    write_digits(tmp_path)
    data = MNIST(tmp_path, train=False)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(data))[2][0], data[2][0])
    assert repr(data) == f"MNIST(12 test images, {tmp_path})"


def test_missing_files_are_named_with_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"train-images.*MNIST/raw.*download=True.*fake"):
        MNIST(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"test_batch\.bin"):
        CIFAR10(tmp_path, train=False)
    (tmp_path / "cifar-10-batches-py").mkdir()
    with pytest.raises(FileNotFoundError, match="pickled one is not read"):
        CIFAR10(tmp_path)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((3, 28), np.uint8), np.zeros(3, np.uint8), "expected 3 dimensions"),
        (np.zeros((3, 28, 28), np.int32), np.zeros(3, np.uint8), "uint8, got 3 of int32"),
        (np.zeros((3, 28, 28), np.uint8), np.zeros(2, np.uint8), "2 labels for 3 images"),
        (np.zeros((3, 28, 28), np.uint8), np.full(3, 10, np.uint8), r"label 10, expected 0\.\.9"),
    ],
)
def test_files_of_another_kind_are_refused(tmp_path, images, labels, message):
    write_idx(tmp_path / "train-images-idx3-ubyte", images)
    write_idx(tmp_path / "train-labels-idx1-ubyte", labels)
    with pytest.raises(FormatError, match=message):
        MNIST(tmp_path)


def test_coloured_images(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (10, 32, 32, 3), np.uint8)
    (tmp_path / "cifar-10-batches-bin").mkdir()
    for i in range(5):
        write_cifar10(
            tmp_path / f"cifar-10-batches-bin/data_batch_{i + 1}.bin",
            images[2 * i : 2 * i + 2],
            np.array([i, i + 1]),
        )
    data = CIFAR10(tmp_path)
    np.testing.assert_array_equal(data.images, images)
    assert data.targets == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]
    image, _ = data[4]
    assert image.shape == (3, 32, 32)
    np.testing.assert_allclose(image[1], images[4, :, :, 1] / 255, rtol=1e-6)
    assert data.with_transform(np.shape)[0] == ((32, 32, 3), 0)


@pytest.mark.parametrize("dataset", [MNIST, FashionMNIST, CIFAR10])
def test_synthetic_copies_can_be_learned(tmp_path, dataset):
    train, test = (dataset(tmp_path, train=part, fake=True) for part in (True, False))
    assert len(train) == 2000
    assert len(test) == 500
    assert sorted(set(train.targets)) == list(range(10))
    assert len(dataset(tmp_path)) == 2000  # what is there is used without fake=True
    assert train.is_fake
    # blurred nearest neighbour: the digits are shifted
    a, b = (
        np.abs(np.fft.fft2(d.images.reshape(len(d), *d.images.shape[1:3], -1).mean(-1)))[:, :8, :8]
        for d in (train, test)
    )
    a, b = (x.reshape(len(x), -1) for x in (a, b))
    nearest = (b @ a.T - np.square(a).sum(1) / 2).argmax(1)
    assert (np.array(train.targets)[nearest] == test.targets).mean() > 0.8


@pytest.fixture
def publish(tmp_path, monkeypatch):
    """Serve published files from a folder, through the mirror variable."""
    mirror = tmp_path / "mirror"

    def put(dataset: str, files: list[str]) -> None:
        folder = mirror / dataset
        entries = tuple(
            Resource(name, hashlib.md5((folder / name).read_bytes()).hexdigest(), ())
            for name in files
        )
        published = ResourceSet(dataset, "page", True, entries)
        monkeypatch.setattr("sj_datasets.download.resources", lambda name: published)
        monkeypatch.setenv("SJ_DATASETS_MIRROR", str(mirror))

    put.mirror = mirror  # type: ignore[attr-defined]
    return put


def test_digits_are_downloaded_once(tmp_path, publish):
    for part in ("train", "t10k"):
        write_digits(publish.mirror / "MNIST", part, suffix=".gz")
    names = sorted(path.name for path in (publish.mirror / "MNIST").iterdir())
    publish("MNIST", names)
    root = tmp_path / "a" / "b"
    for train in (True, False):
        assert len(MNIST(root, train=train, download=True)) == 12
    assert (root / "MNIST/raw" / names[0]).is_file()
    assert gzip.decompress((root / "MNIST/raw" / names[0]).read_bytes())


def test_photographs_are_downloaded_and_unpacked(tmp_path, publish):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    write_cifar10(folder / "test_batch.bin", np.zeros((3, 32, 32, 3), np.uint8), np.arange(3))
    archive = publish.mirror / "CIFAR10" / "cifar-10-binary.tar.gz"
    archive.parent.mkdir(parents=True)
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder.name)
    publish("CIFAR10", [archive.name])
    assert CIFAR10(tmp_path / "new", train=False, download=True).targets == [0, 1, 2]


def test_published_files_are_known():
    for dataset in (MNIST, FashionMNIST, CIFAR10):
        assert dataset.downloadable()
        assert all(md5 for _, _, md5 in dataset.resource_url_md5())
        assert dataset.split_arguments() == [{"train": True}, {"train": False}]
    assert CIFAR10.resource_url_md5()[0][2] == "c32a1d4ab5d03f1284b67883e8d87530"

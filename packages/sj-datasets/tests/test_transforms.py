"""Laws of all transforms: containers, types, bounds and order are kept."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_datasets import transforms
from sj_datasets.events import Events
from sj_datasets.transforms import (
    NDA,
    Compose,
    DropByArea,
    DropByCount,
    DropByTime,
    EventDrop,
    RandomCutout,
    RandomFlip,
    RandomRoll,
    RandomRotate,
    RandomShear,
    RandomTemporalDelete,
    SpatialJitter,
    TimeJitter,
)

few = settings(max_examples=25)

H, W = 12, 20

EVENT_TRANSFORMS = [
    DropByArea(0.5, rng=0),
    DropByCount((0.1, 0.9), rng=0),
    DropByTime(0.3, rng=0),
    EventDrop(rng=0),
    SpatialJitter(2.0, rng=0),
    TimeJitter(100.0, rng=0),
]
BOTH = [
    RandomCutout(5, rng=0),
    RandomFlip("horizontal", 1.0),
    RandomFlip("polarity", 1.0),
    RandomFlip("time", 1.0),
    RandomFlip("vertical", 0.5, rng=0),
    RandomRoll(4, rng=0),
    RandomRoll((2, 7), rng=0),
    RandomRotate(40, rng=0),
    RandomShear(0.4, rng=0),
    NDA(2, 2, rng=0),
    NDA(1, 4, flip=False, rng=0),
]


def events(n: int = 200, seed: int = 0) -> Events:
    rng = np.random.default_rng(seed)
    return Events.from_arrays(
        t=np.sort(rng.integers(1000, 9000, n)),
        x=rng.integers(0, W, n),
        y=rng.integers(0, H, n),
        p=rng.integers(0, 2, n),
        sensor_size=(H, W),
    )


@pytest.mark.parametrize("transform", EVENT_TRANSFORMS + BOTH, ids=repr)
@few
@given(n=st.integers(0, 60), seed=st.integers(0, 99))
def test_events_stay_on_the_sensor_in_their_time_and_in_order(transform, n, seed):
    given_events = events(n, seed)
    before = given_events.array.copy()
    changed = transform(given_events)
    assert isinstance(changed, Events)  # which checks that all lie on the sensor
    assert changed.sensor_size == (H, W)
    assert changed.count <= n
    assert np.all(np.diff(changed["t"]) >= 0)
    if changed.count:
        assert before["t"].min() <= changed["t"].min() <= changed["t"].max() <= before["t"].max()
        assert changed["p"].max() <= 1
    np.testing.assert_array_equal(given_events.array, before)  # the sample itself is not changed


@pytest.mark.parametrize("transform", EVENT_TRANSFORMS + BOTH, ids=repr)
def test_a_dict_of_arrays_stays_one_and_keeps_its_types(transform):
    columns = {
        name: events()[name].astype(dtype)
        for name, dtype in {"t": np.uint32, "x": np.uint8, "y": np.int16, "p": np.int8}.items()
    }
    sized = pickle.loads(pickle.dumps(transform))
    _set_size(sized)
    changed = sized(columns)
    assert type(changed) is dict
    assert {k: v.dtype for k, v in changed.items()} == {k: v.dtype for k, v in columns.items()}
    assert len({len(v) for v in changed.values()}) == 1


def _set_size(transform: object) -> None:
    if hasattr(transform, "sensor_size"):
        transform.sensor_size = (H, W)
    parts = [*getattr(transform, "choices", ()), getattr(transform, "flip", None)]
    for part in filter(None, parts):
        _set_size(part)


@pytest.mark.parametrize("transform", BOTH, ids=repr)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_frames_keep_shape_and_type_and_are_not_changed_in_place(transform, dtype):
    frames = np.random.default_rng(0).integers(0, 9, (3, 2, H, W)).astype(dtype)
    before = frames.copy()
    changed = transform(frames)
    assert changed.shape == frames.shape
    assert changed.dtype == frames.dtype
    np.testing.assert_array_equal(frames, before)


@pytest.mark.parametrize("transform", [*BOTH, RandomTemporalDelete(2, False, rng=0)], ids=repr)
def test_tensors_are_changed_like_arrays(transform):
    torch = pytest.importorskip("torch", reason="tensors need torch")
    frames = np.random.default_rng(0).random((3, 2, H, W)).astype(np.float32)
    fresh = pickle.dumps(transform)
    changed = pickle.loads(fresh)(torch.from_numpy(frames))
    assert isinstance(changed, torch.Tensor)
    if transform._random._origin is not None:
        np.testing.assert_array_equal(changed.numpy(), pickle.loads(fresh)(frames))


@pytest.mark.parametrize("transform", EVENT_TRANSFORMS, ids=repr)
def test_frames_are_refused_by_transforms_of_events(transform):
    with pytest.raises(TypeError, match="not on frames"):
        transform(np.zeros((2, 2, H, W)))


@pytest.mark.parametrize("transform", [*EVENT_TRANSFORMS, *BOTH], ids=repr)
@pytest.mark.parametrize("sample", [3, [1, 2], {"a": np.zeros(2)}, np.zeros(3)])
def test_other_samples_are_refused(transform, sample):
    with pytest.raises(TypeError, match=r"expected events|need the arrays"):
        transform(sample)


@pytest.mark.parametrize(
    "transform",
    [RandomRoll(1), RandomRotate(5), RandomCutout(3), SpatialJitter(1), DropByArea(0.5)],
    ids=repr,
)
def test_the_sensor_size_must_be_known_and_right(transform):
    columns = events().columns()
    with pytest.raises(ValueError, match="give sensor_size"):
        transform(columns)
    transform.sensor_size = (H, 3)
    with pytest.raises(ValueError, match="outside the sensor"):
        transform(columns)


def test_a_seed_repeats_the_draws():
    first, second = (EventDrop(rng=5) for _ in range(2))
    for seed in range(6):
        assert first(events(50, seed)) == second(events(50, seed))


def test_a_generator_is_used_as_it_is():
    generator = np.random.default_rng(3)
    RandomRoll(5, rng=generator)(events())
    assert generator.bit_generator.state != np.random.default_rng(3).bit_generator.state


def test_without_a_seed_the_draws_follow_numpys_global_state():
    outcomes = []
    for _ in range(2):
        np.random.seed(4)  # noqa: NPY002
        outcomes.append(DropByCount(0.5)(events()))
    assert outcomes[0] == outcomes[1]
    assert DropByCount(0.5)(events()) != outcomes[0]


def test_another_process_draws_otherwise(monkeypatch):
    transforms_here = [RandomRoll(9, rng=1), RandomRoll(9, rng=np.random.default_rng(1))]
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert len({t(events()).array.tobytes() for t in [RandomRoll(9, rng=1), *transforms_here]}) > 1
    again = RandomRoll(9, rng=1)  # at home there
    assert again(events()) == RandomRoll(9, rng=1)(events())


WORKERS = """
import multiprocessing, sys, numpy as np
from sj_datasets.transforms import RandomTemporalDelete
def work(transform, results):
    for _ in range(4):
        results.put(tuple(transform(np.arange(64)).tolist()))
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    kinds = (None, 7, np.random.default_rng(7))
    for rng in kinds if sys.argv[1] == 'fork' else kinds[1:2]:
        results = context.Queue()
        transform = RandomTemporalDelete(32, False, rng=rng)
        workers = [context.Process(target=work, args=(transform, results)) for _ in range(2)]
        for worker in workers:
            worker.start()
        drawn = {results.get() for _ in range(8)}
        for worker in workers:
            worker.join()
        assert len(drawn) == 8, (rng, len(drawn))
"""


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_workers_do_not_repeat_each_other(tmp_path, start):
    script = tmp_path / "workers.py"
    script.write_text(WORKERS)
    subprocess.run([sys.executable, str(script), start], check=True, timeout=60)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: RandomFlip("diagonal"), ValueError, "axis"),
        (lambda: RandomFlip("time", 1.5), ValueError, "probability"),
        (lambda: RandomRoll(-1), ValueError, "max_shift"),
        (lambda: RandomRotate(-1), ValueError, "max_degrees"),
        (lambda: RandomShear(-1), ValueError, "max_factor"),
        (lambda: RandomCutout(-1), ValueError, "length"),
        (lambda: DropByTime(1.5), ValueError, "ratio"),
        (lambda: DropByCount((0.5, 0.2)), ValueError, "ratio"),
        (lambda: SpatialJitter(-1), ValueError, "std"),
        (lambda: TimeJitter(float("nan")), ValueError, "std"),
        (lambda: NDA(4), ValueError, "magnitude"),
        (lambda: NDA(1, 5), ValueError, "count"),
        (lambda: RandomTemporalDelete(-1, True), ValueError, "T_remain"),
        (lambda: Compose([3]), TypeError, "callable"),
        (lambda: RandomRoll(1, rng="a"), TypeError, "rng"),
        (lambda: RandomRoll(1, rng=True), TypeError, "rng"),
        (lambda: RandomRoll(1, rng=-1), ValueError, "seed"),
    ],
)
def test_arguments_are_checked(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_compose_goes_from_left_to_right():
    both = Compose([lambda x: x + 1, lambda x: 2 * x])
    assert both(3) == 8
    assert repr(Compose([NDA()])) == "Compose([NDA(magnitude=1, count=1)])"


def test_every_public_name_exists():
    assert all(hasattr(transforms, name) for name in transforms.__all__)

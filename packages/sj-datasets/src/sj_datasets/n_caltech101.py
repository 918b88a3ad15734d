"""N-Caltech101: still images seen by a moving event camera."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import numpy as np

from .download import extract
from .events import Events
from .fake import synthetic_events
from .folder import Conversion
from .formats.atis import read_atis, write_atis
from .layouts import files_below, zipped
from .split_folders import UnsplitFolder

__all__ = ["NCALTECH101_CLASSES", "NCaltech101"]

NCALTECH101_CLASSES: tuple[str, ...] = tuple(
    """BACKGROUND_Google Faces_easy Leopards Motorbikes accordion airplanes anchor ant barrel bass
    beaver binocular bonsai brain brontosaurus buddha butterfly camera cannon car_side ceiling_fan
    cellphone chair chandelier cougar_body cougar_face crab crayfish crocodile crocodile_head cup
    dalmatian dollar_bill dolphin dragonfly electric_guitar elephant emu euphonium ewer ferry
    flamingo flamingo_head garfield gerenuk gramophone grand_piano hawksbill headphone hedgehog
    helicopter ibis inline_skate joshua_tree kangaroo ketch lamp laptop llama lobster lotus
    mandolin mayfly menorah metronome minaret nautilus octopus okapi pagoda panda pigeon pizza
    platypus pyramid revolver rhino rooster saxophone schooner scissors scorpion sea_horse snoopy
    soccer_ball stapler starfish stegosaurus stop_sign strawberry sunflower tick trilobite umbrella
    watch water_lilly wheelchair wild_cat windsor_chair wrench yin_yang""".split()  # noqa: SIM905 - a list would fill pages
)
"""The 100 kinds of objects and the background, in the order of their labels."""


class NCaltech101(UnsplitFolder):
    """Caltech101's images on a screen, seen by an event camera that moves three times.

    180 x 240 pixels (H x W), 8709 recordings of about 300 ms: 100 kinds of objects and one of
    background pictures (the class Faces of Caltech101 is left out), every folder of the archive
    being a class. There is no published split; :func:`sj_datasets.split_to_train_test_set` makes
    one. Timestamp overflows in the recordings are undone. Files are handed out by hand only;
    licence CC BY 4.0.

    Orchard, Jayawant, Cohen, Thakor: Converting static image datasets to spiking neuromorphic
    datasets using saccades, Frontiers in Neuroscience 9:437, 2015.

    Args:
        root: folder of this dataset.
        data_type: ``"event"`` or ``"frame"``.
        **options: see :class:`NeuromorphicDatasetFolder`, as the arguments before.
    """

    splits: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def get_H_W(cls) -> tuple[int, int]:
        return 180, 240

    @classmethod
    def extract_downloaded_files(cls, download_root: Path, extract_root: Path) -> None:
        extract(download_root / "Caltech101.zip", extract_root)  # not the annotations

    @classmethod
    def conversions(cls, extract_root: Path) -> Iterable[Conversion]:
        for source in files_below(extract_root / "Caltech101", ".bin"):
            yield Conversion(source, (f"{source.parent.name}/{source.stem}",))

    @classmethod
    def convert(cls, conversion: Conversion) -> Iterable[Events]:
        yield read_atis(conversion.source)

    @classmethod
    def write_fake(cls, download_root: Path, rng: np.random.Generator) -> None:
        with zipped(download_root / "Caltech101.zip") as folder:
            for label, name in enumerate(NCALTECH101_CLASSES):
                (folder / "Caltech101" / name).mkdir(parents=True)
                for number in (1, 2):
                    events = synthetic_events(
                        label, n_events=300, sensor_size=cls.get_H_W(), duration=300_000, rng=rng
                    )
                    file = folder / "Caltech101" / name / f"image_{number:04d}.bin"
                    write_atis(file, events)

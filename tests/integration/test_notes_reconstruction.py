"""The notes on Spike-Zoo's models: every code block runs on a recording, on any machine.

The blocks are read from the notes and run one after the other in one namespace.  Only their imports
change, ``.cuda()``, and the place of the file that the reader is told to add to the package; the
weights that they name are generated.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
import textwrap
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest
import torch
from torch import nn

import sz_models as sz
from sj_datasets.spike_camera import BaseDatasetConfig, read_gray_image
from sz_models.pipeline import EnsemblePipeline, EnsemblePipelineConfig

HEIGHT, WIDTH, RATE = 250, 400, 0.6
RELEASED = "spikezoo/models/weights/v023/base.pth"
(
    CONFIG,
    METHODS,
    IMAGE,
    MODES,
    OTHERS,
    OWN_MODEL,
    OWN_NETWORK,
    FIRST_WAY,
    SECOND_WAY,
    STIR_CONFIG,
    STIR_MODEL,
) = range(11)

Names = dict[str, Any]


@pytest.fixture(scope="module")
def blocks(shared: Path) -> list[str]:
    """The code blocks of the notes with imports of this package."""
    notes = next((shared / "seeds").glob("000_*.txt"), None)
    if notes is None:
        pytest.skip(f"the notes are not in {shared}")
    found = re.findall(
        r"^\.\. code-block:: python\n\n(.*?)(?=^\S|\Z)", notes.read_text("utf-8"), re.M | re.S
    )
    assert len(found) == 11
    return [_ported(textwrap.dedent(block)) for block in found]


def _ported(code: str) -> str:
    code = code.replace("import spikezoo as sz", "import sz_models as sz")
    code = re.sub(r"from spikezoo\.models\.yourmodel_model import", "from yourmodel import", code)
    code = re.sub(r"from spikezoo\.models\.\w+ import", "from sz_models import", code)
    return code.replace(".cuda()", ".to(device)")


@pytest.fixture
def names() -> Names:
    """What the blocks take for granted."""
    return {
        "dataclass": dataclasses.dataclass,
        "field": dataclasses.field,
        "Optional": Optional,
        "nn": nn,
        "torch": torch,
        "device": torch.device("cuda" if torch.cuda.is_available() else "cpu"),
        "BaseModel": sz.BaseModel,
        "BaseModelConfig": sz.BaseModelConfig,
    }


@pytest.fixture
def folder(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder with the recording, and weights where the notes look for them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("SZ_MODELS_WEIGHTS", str(tmp_path / "weights"))
    (tmp_path / "data").symlink_to(shared / "data" / "spike-camera", target_is_directory=True)
    torch.manual_seed(0)
    model = sz.BaseModel(sz.BaseModelConfig()).build_network()
    for path in (Path(RELEASED), Path("weights/v023/base.pth")):
        path.parent.mkdir(parents=True)
        model.save_network(path)
    return tmp_path


def run(code: str, names: Names) -> Names:
    exec(compile(code, "<notes>", "exec"), names)
    return names


def image_of(model: sz.BaseModel, n_frames: int = 101) -> torch.Tensor:
    """``[1, 1, H, W]`` of a corner of the recording."""
    spikes = sz.load_vidar_dat("data/data.dat", HEIGHT, WIDTH, out_format="tensor")
    part = spikes[None, 100 : 100 + n_frames, :48, :64]
    with torch.inference_mode():
        return model(part.to(model.device))


def test_the_configuration_has_the_fields_of_the_notes(blocks, names):
    theirs = run(blocks[CONFIG], names)["BaseModelConfig"]()
    ours = sz.BaseModelConfig()
    for field in dataclasses.fields(theirs):
        assert getattr(ours, field.name) == getattr(theirs, field.name)


def test_the_model_has_the_methods_of_the_notes(blocks):
    signatures = re.findall(r"def (\w+)\(([^)]*)\)", blocks[METHODS])
    assert len(signatures) == 14
    for name, text in signatures:
        expected = re.findall(r"(\w+)(?::[^,\[]*(?:\[[^\]]*\])?(?: = \S+)?)?,?", text)
        given = list(inspect.signature(getattr(sz.BaseModel, name)).parameters)
        assert given == [e for e in expected if e], name


def test_an_image_of_the_recording(blocks, names, folder, capsys):
    names = run(blocks[IMAGE], names)
    assert names["recon_img"].shape == (1, 1, HEIGHT, WIDTH)
    assert "torch.Size([1, 301, 250, 400])" in capsys.readouterr().out


def test_the_ways_to_build_a_network(blocks, names, folder):
    pieces = re.split(r"^# \d\. .*\n", blocks[MODES], flags=re.M)[1:]
    built = [run(piece, dict(names))["net"] for piece in pieces]
    assert [model.net.training for model in built] == [False, True, False, False]
    kept = torch.load(RELEASED, weights_only=True)
    for model, loaded in zip(built, (False, False, True, True), strict=True):
        state = model.net.state_dict()
        assert all(torch.equal(state[k].cpu(), kept[k]) for k in kept) == loaded
    torch.testing.assert_close(image_of(built[2]), image_of(built[3]))


def test_the_other_models(blocks, names, folder):
    run(blocks[OTHERS], names)
    pairs = re.findall(r"import (\w+), ?(\w+)", blocks[OTHERS])
    assert len(pairs) == 9
    for model, config in pairs:
        cfg = names[config]()
        built = names[model](cfg).build_network("debug")
        image = image_of(built, max(101, cfg.model_length))
        assert image.shape == (1, 1, 48, 64)
        assert bool(image.isfinite().all())


def add_to_the_package(blocks: list[str]) -> None:
    """Steps 1 to 4 of the first way, in the working folder instead of the package."""
    Path("yourmodel.py").write_text(blocks[OWN_MODEL], "utf-8")
    network = Path("archs/yourmodel/arch/net.py")
    network.parent.mkdir(parents=True)
    network.write_text(blocks[OWN_NETWORK], "utf-8")


def test_a_model_of_your_own_in_files(blocks, names, folder, monkeypatch):
    add_to_the_package(blocks)
    monkeypatch.delitem(sys.modules, "yourmodel", raising=False)
    model = run(blocks[FIRST_WAY], names)["net"]
    assert type(model.net).__name__ == "YourNet"
    assert model.cfg.model_params == {"inDim": 41}
    assert image_of(model).shape == (1, 1, 48, 64)


def own(blocks: list[str], names: Names) -> Names:
    """Steps 2 and 4, in one file."""
    return run(blocks[OWN_NETWORK], run(blocks[OWN_MODEL], names))


def test_a_model_of_your_own_by_its_classes(blocks, names, folder):
    names = run(blocks[SECOND_WAY], own(blocks, names))
    model = names["net"]
    assert type(model) is names["YourModel"]
    assert type(model.net) is names["YourNet"]
    released = sz.build_model_name("base").build_network("eval", "v023")  # the same weights
    torch.testing.assert_close(image_of(model), image_of(released))


def test_a_published_network_in_a_wrapper(blocks, names, folder):
    code = f"{blocks[STIR_CONFIG]}\n{blocks[STIR_MODEL]}"
    names = run(code, names)
    torch.manual_seed(0)
    cfg = names["STIRConfig"](model_length=61)
    wrapper = names["STIR"](cfg).build_network("train")
    spikes = sz.load_vidar_dat("data/data.dat", HEIGHT, WIDTH, out_format="tensor")
    rate = torch.tensor([RATE])
    padded = wrapper.preprocess_spike(spikes[None])
    assert padded.shape == (1, 61, 256, 400)
    assert torch.equal(padded[:, :, 250:], padded[:, :, 244:250])
    assert wrapper.postprocess_img(padded).shape == (1, 61, 250, 400)
    small = {"spike": spikes[None, :, :32, :48], "rate": rate}
    batch = wrapper.feed_to_device(small)
    image = wrapper.get_outputs_dict(batch)["recon_img"]
    assert image.shape == (1, 1, 32, 48)
    image.mean().backward()
    ours = sz.build_model_name("stir").build_network("train")
    ours.net.load_state_dict(wrapper.net.state_dict())
    torch.testing.assert_close(ours.get_outputs_dict(batch)["recon_img"], image)


def test_your_own_model_beside_others(blocks, names, folder, tmp_path):
    names = own(blocks, names)
    model_cfg = names["YourModelConfig"](
        model_cls_local=names["YourModel"], arch_cls_local=names["YourNet"], ckpt_path=RELEASED
    )
    cfg = EnsemblePipelineConfig(
        save_folder=tmp_path / "results", exp_name="notes", metric_names=["psnr", "ssim"]
    )
    pipeline = EnsemblePipeline(cfg, ["tfp", "tfi", "gtfp", model_cfg], BaseDatasetConfig())
    options = {"rate": RATE, "img_path": "data/data.png"}
    images = pipeline.infer_from_file("data/data.dat", HEIGHT, WIDTH, **options)
    assert list(images) == ["tfp", "tfi", "gtfp", "yourmodel"]
    folder = pipeline.folder.path / "infer_from_file" / "data.dat"
    pictures = {path.stem for path in folder.glob("*.png")}
    assert pictures == {*images, "sharp_img"}
    rows = (folder / "metrics.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["model", *images]
    truth = read_gray_image("data/data.png")
    image = (images["tfp"][0, 0].cpu() / RATE).clamp(0, 1)
    assert float(rows[1].split(",")[1]) == pytest.approx(sz.psnr(image, truth))


LENGTHS = {"spikeclip": 200, "bsf": 61, "stir": 61}
NETWORKS = ("base", "spikeclip", "wgse", "ssml", "ssir", "spk2imgnet", "stir", "bsf")


@pytest.mark.parametrize("name", [*NETWORKS, "yourmodel"])
def test_a_step_of_training_by_the_hooks(blocks, names, folder, name):
    """The order in which a trainer calls them: device, outputs, losses, pictures, metrics."""
    torch.manual_seed(0)
    if name == "yourmodel":
        names = own(blocks, names)
        model = names["YourModel"](names["YourModelConfig"](arch_cls_local=names["YourNet"]))
    else:
        model = sz.build_model_name(name)
    model.build_network("train")
    spikes = sz.load_vidar_dat("data/data.dat", HEIGHT, WIDTH, out_format="tensor")
    truth = torch.from_numpy(read_gray_image("data/data.png"))
    length = LENGTHS.get(name, 41)
    start = 150 - length // 2
    corner = (slice(96, 120), slice(160, 192))
    batch = model.feed_to_device(
        {
            "spike": spikes[(None, slice(start, start + length), *corner)],
            "gt_img": truth[(None, None, *corner)],
            "rate": torch.tensor([RATE]),
        }
    )
    optimizer = torch.optim.Adam(model.net.parameters(), lr=1e-3)
    seen = []
    for _ in range(4):
        outputs = model.get_outputs_dict(batch)
        losses, numbers = model.get_loss_dict(outputs, batch, {"l1": 1.0})
        loss = torch.stack(list(losses.values())).sum()
        assert np.isfinite(list(numbers.values())).all()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(loss.item())
        if name == "ssir":
            model.reset_state()
    assert min(seen[1:]) < seen[0]
    image, paired = model.get_paired_imgs(batch, outputs)
    assert image.shape == paired.shape == (1, 1, 24, 32)
    assert set(model.get_visual_dict(batch, outputs)) >= {"recon_img"}

"""Weights from memory, files and addresses, into models that differ from them."""

import argparse
import hashlib
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace

import pytest
import torch

from sj_models import spiking_resnet, weights
from sj_models.classifier import make
from sj_models.parametric_lif_net import MNISTNet
from sj_models.weights import load_weights

SMALL = {"channels": 2, "spiking_neuron": "IF"}


@pytest.fixture
def state():
    torch.manual_seed(1)
    return {key: torch.rand_like(v) if v.dim() else v for key, v in net().state_dict().items()}


def net(**arguments) -> MNISTNet:
    return MNISTNet(**{**SMALL, **arguments})


def with_weights(given, **arguments) -> MNISTNet:
    return make(MNISTNet, {**SMALL, **arguments}, weights=given)


def equal(model, state) -> bool:
    own = model.state_dict()
    return all(torch.equal(own[key], value) for key, value in state.items())


def test_from_memory_and_files(state, tmp_path):
    file = tmp_path / "net.pth"
    torch.save(state, file)
    for given in (state, file, str(file)):
        model = with_weights(given)
        assert equal(model, state)
        assert set(model.weights_report.loaded) == set(state)


@pytest.mark.parametrize("wrapper", ["model", "state_dict", "model_state_dict", "net"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
def test_from_checkpoints_of_parallel_and_compiled_models(
    state, tmp_path, monkeypatch, wrapper, prefix
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    file = tmp_path / "checkpoint.pth"
    trained = {f"{prefix}{key}": value for key, value in state.items()}
    torch.save({wrapper: trained, "epoch": 3, "args": argparse.Namespace(lr=0.1)}, file)
    for given in (file, file.as_uri()):
        assert equal(make(MNISTNet, SMALL, weights=given, progress=False), state)


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A folder, and its address on a server of our own."""
    folder = tmp_path / "served"
    folder.mkdir()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_from_addresses_and_enums(state, served):
    folder, address = served
    torch.save(state, folder / "net.pth")
    digest = hashlib.sha256((folder / "net.pth").read_bytes()).hexdigest()[:8]
    (folder / "net.pth").rename(folder / f"net-{digest}.pth")
    url = f"{address}/net-{digest}.pth"
    for given in (url, SimpleNamespace(url=url)):
        model = with_weights(given)
        assert equal(model, state)
        assert model.weights_report.source == f"net-{digest}.pth"


def test_a_damaged_download_is_refused(state, served):
    folder, address = served
    torch.save(state, folder / "net-00000000.pth")
    with pytest.raises(RuntimeError, match="invalid hash value"):
        with_weights(f"{address}/net-00000000.pth")


def test_pretrained_asks_for_the_published_file(monkeypatch):
    asked = []

    def serve(url, **options):
        asked.append((url, options["check_hash"], options["weights_only"]))
        return ann

    monkeypatch.setattr(weights, "load_state_dict_from_url", serve)
    with torch.device("meta"):
        arguments = {"spiking_neuron": "IF"}
        ann = spiking_resnet.spiking_resnet18(**arguments).state_dict()
        spiking_resnet.spiking_resnet18(pretrained=True, **arguments)
    source = "https://download.pytorch.org/models/resnet18-f37072fd.pth"
    assert asked == [(source, True, True)]
    with torch.device("meta"):
        spiking_resnet.spiking_resnet18(weights="IMAGENET1K_V1", **arguments)
    assert asked == [(source, True, True)] * 2


def test_parametric_neurons_keep_their_values(state):
    model = with_weights(state, spiking_neuron="PLIF", init_tau=3.0)
    assert equal(model, state)
    assert model.weights_report.neurons == tuple(f"conv_fc.{i}.w" for i in (2, 6, 11, 14))
    assert model.conv_fc[2].tau == pytest.approx(3.0)


def test_spiking_weights_hold_those_of_the_neurons_too():
    trained = net(spiking_neuron="PLIF", init_tau=3.0)
    model = with_weights(trained.state_dict(), spiking_neuron="PLIF")
    assert model.conv_fc[2].tau == pytest.approx(3.0)
    assert model.weights_report.neurons == ()


def test_other_classes_replace_the_last_layer_only(state):
    model = with_weights(state, num_classes=3)
    last = ("conv_fc.13.weight", "conv_fc.13.bias")
    assert model.weights_report.replaced == last
    assert equal(model, {key: value for key, value in state.items() if key not in last})


def test_other_channels_take_the_mean_of_the_first_layer(state):
    state["conv_fc.0.weight"] = torch.rand(2, 3, 3, 3)
    model = with_weights(state, in_channels=2)
    assert model.weights_report.adapted == ("conv_fc.0.weight",)
    first = model.conv_fc[0].weight
    assert torch.equal(first[:, 0], first[:, 1])
    torch.testing.assert_close(first.sum(1), state["conv_fc.0.weight"].sum(1))


def test_the_stem_for_small_images_is_replaced():
    with torch.device("meta"):
        ann = spiking_resnet.spiking_resnet18(spiking_neuron="IF").state_dict()
        model = spiking_resnet.spiking_resnet18(
            spiking_neuron="IF", weights=ann, small_images=True, num_classes=10
        )
    replaced = ("conv1.weight", "fc.weight", "fc.bias")
    assert model.weights_report.replaced == replaced


def test_what_was_not_asked_to_differ_must_fit(state):
    small = {key: value for key, value in state.items() if key != "conv_fc.1.bias"}
    cases = {
        r"conv_fc.13.weight \(100, 2048\), here \(30, 2048\)": (net(num_classes=3), state),
        r"conv_fc.1.bias \(not in the file\)": (net(), small),
        r"extra \(not in the model\)": (net(), {**state, "extra": torch.zeros(1)}),
    }
    for message, (model, given) in cases.items():
        before = {key: value.clone() for key, value in model.state_dict().items()}
        with pytest.raises(ValueError, match=f"the state dict does not fit the model: {message}"):
            load_weights(model, given)
        assert equal(model, before)


def test_without_strictness_the_differences_are_reported(state):
    given = {key: value for key, value in state.items() if key != "conv_fc.1.bias"}
    report = load_weights(net(), {**given, "extra": torch.zeros(1)}, strict=False)
    assert (report.missing, report.unexpected) == (("conv_fc.1.bias",), ("extra",))


def test_sources_that_are_none(tmp_path):
    text, words, cut, whole = (tmp_path / f"{name}.pth" for name in ("list", "words", "cut", "net"))
    torch.save([1, 2], text)
    words.write_text("hello world")
    torch.save(net(), whole)
    cut.write_bytes(whole.read_bytes()[:3000])
    (tmp_path / "empty.pth").touch()
    cases = [
        (words, ValueError, "words.pth is no file of weights"),
        (cut, ValueError, "cut.pth is no file of weights, or it is damaged"),
        (tmp_path / "empty.pth", ValueError, "empty.pth is no file of weights"),
        (whole, ValueError, r"net.pth holds more than tensors.*save net.state_dict\(\)"),
        ({1: torch.zeros(1)}, ValueError, "the state dict holds no state dict"),
        (tmp_path / "absent.pth", FileNotFoundError, "no file .*absent.pth"),
        (text, ValueError, "list.pth holds no state dict"),
        ({"a": 1}, ValueError, "the state dict holds no state dict"),
        (3, TypeError, "weights must be a URL, a path"),
    ]
    for given, error, message in cases:
        with pytest.raises(error, match=message):
            with_weights(given)
    with pytest.raises(ValueError, match="not both"):
        make(MNISTNet, SMALL, weights={}, pretrained=True, name="vgg11")

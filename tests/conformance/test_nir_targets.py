"""Published networks against the chips that they were run on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import sj_nir
from sj_nir import targets


def test_the_cnn_that_ran_on_speck_fits_once_it_is_quantised(shared: Path) -> None:
    # the N-MNIST network of the NIR paper, written by sinabs for Speck
    path = shared / "conformance/nir/real/cnn_sinabs.nir"
    found = targets.check(path, "speck2f")
    assert {finding.limit.what for finding in found} == {"weights"}
    assert {finding.node for finding in found} == {"0", "2", "5", "9", "11"}
    made = targets.quantise(sj_nir.read_graph(path), 8)
    for name in ("speck2e", "speck2f", "loihi2", "spinnaker2"):  # what the paper names for it
        assert targets.check(made, name) == []


def test_the_recurrent_network_fits_the_chips_that_ran_it(shared: Path) -> None:
    path = shared / "conformance/nir/real/braille_noDelay_bias_zero.nir"
    made = targets.quantise(sj_nir.read_graph(path), 8)
    assert targets.check(made, "loihi2") == targets.check(made, "spinnaker2") == []
    # for a chip that resets by subtraction there is another version of the network
    assert {f.limit.what for f in targets.check(made, "xylo_audio2")} == {"reset"}
    x_seq = np.load(path.with_suffix(".npz"))["in"][:, None]
    found = targets.compare(path, made, x_seq, 1e-4)
    assert all(error.sqnr > 30 for error in found.fields)
    assert found.spikes[0].first > 0

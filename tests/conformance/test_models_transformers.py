"""Recorded spikes and outputs of the spiking transformers with weights made from their names."""

import pytest

from sj_models import QKFormer, SpikeDrivenTransformer, Spikformer, create_model

BUILDERS = {
    "spikformer_ti": lambda: create_model(
        "spikformer_ti", T=4, img_size_h=64, img_size_w=64, num_classes=10
    ),
    "spikformer_tiny_custom": lambda: Spikformer(
        T=4, img_size_h=64, img_size_w=64, num_classes=10, embed_dims=64, num_heads=4, depths=2
    ),
    "qkformer_tiny_custom": lambda: QKFormer(
        T=4, num_classes=10, embed_dims=64, num_heads=(2, 2, 4), depths=(1, 1, 1), output="mean"
    ),
    "sdt_tiny_custom": lambda: SpikeDrivenTransformer(
        T=4, num_classes=10, embed_dims=64, num_heads=4, depths=2, output="mean"
    ),
}


@pytest.mark.parametrize("name", BUILDERS)
def test_spikes_of_every_layer_and_output(name, recorded_model):
    recorded = recorded_model(name, BUILDERS[name]())
    for backend in ("torch", "auto"):
        recorded.check(backend)

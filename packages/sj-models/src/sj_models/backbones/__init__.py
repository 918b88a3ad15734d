"""Backbones of models built from a config: a tensor in, a tuple of features out."""

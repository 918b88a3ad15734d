"""Weight files: where they are, getting them, and loading them without running code from them."""

from .loading import load_weights
from .pickled import convert_pickled_weights
from .release import released_weights, weights_folder

__all__ = ["convert_pickled_weights", "load_weights", "released_weights", "weights_folder"]

"""Target generators: what a masked model has to predict, made of its inputs without gradient."""

from .hog import HOGGenerator
from .vector_quantizer import NormEMAVectorQuantizer
from .vqkd import VQKD

__all__ = ["VQKD", "HOGGenerator", "NormEMAVectorQuantizer"]

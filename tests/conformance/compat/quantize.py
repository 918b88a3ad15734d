from sj_neurons.quantize import *  # noqa: F403

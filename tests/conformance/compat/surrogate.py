from sj_neurons.surrogate import *  # noqa: F403

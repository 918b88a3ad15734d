from sj_neurons.functional import *  # noqa: F403

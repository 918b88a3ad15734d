from sj_neurons.neuron import *  # noqa: F403

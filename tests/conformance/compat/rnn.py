from sj_layers.rnn import *  # noqa: F403

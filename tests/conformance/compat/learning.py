from sj_layers.learning import *  # noqa: F403

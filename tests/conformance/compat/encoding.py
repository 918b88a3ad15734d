from sj_layers.encoding import *  # noqa: F403

from sj_layers import *  # noqa: F403

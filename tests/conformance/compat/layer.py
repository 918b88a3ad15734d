from sj_layers import *
from sj_layers.attention import *
from sj_layers.norm import *
from sj_layers.spike_count import *
from sj_layers.weight_standardization import *

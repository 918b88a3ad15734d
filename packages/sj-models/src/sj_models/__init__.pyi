from . import csnn as csnn
from . import spiking_resnet as spiking_resnet
from .create import create_model as create_model
from .create import describe_model as describe_model
from .create import list_models as list_models
from .csnn import CSNN as CSNN
from .neurons import neuron_factory as neuron_factory
from .spiking_resnet import SpikingResNet as SpikingResNet
from .spiking_resnet import spiking_resnet18 as spiking_resnet18
from .zoo import ModelRecord as ModelRecord

__version__: str

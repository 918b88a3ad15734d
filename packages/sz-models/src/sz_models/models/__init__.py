"""Models behind one interface; importing this package fills the table of built-in names."""

from ..archs import base as _base_net
from ..archs import bsf as _bsf_net
from ..archs import gtfp as _gtfp_net
from ..archs import isi as _isi_net
from ..archs import spikeclip as _spikeclip_net
from ..archs import spk2imgnet as _spk2imgnet_net
from ..archs import ssir as _ssir_net
from ..archs import ssml as _ssml_net
from ..archs import stir as _stir_net
from ..archs import tfi as _tfi_net
from ..archs import tfp as _tfp_net
from ..archs import wgse as _wgse_net
from ..config import BaseModelConfig
from ..registry import METHOD, add_built_in
from .base import BaseModel
from .bsf import BSF, BSFConfig
from .gtfp import GTFPConfig, GTFPModel
from .isi import ISIConfig, ISIModel
from .spikeclip import SpikeCLIP, SpikeCLIPConfig
from .spk2imgnet import Spk2ImgNet, Spk2ImgNetConfig
from .ssir import SSIR, SSIRConfig
from .ssml import SSML, SSMLConfig
from .stir import STIR, STIRConfig
from .tfi import TFIConfig, TFIModel
from .tfp import TFPConfig, TFPModel
from .wgse import WGSE, WGSEConfig
from .windowed import WindowedModel

__all__ = [
    "BSF",
    "SSIR",
    "SSML",
    "STIR",
    "WGSE",
    "BSFConfig",
    "BaseModel",
    "BaseModelConfig",
    "GTFPConfig",
    "GTFPModel",
    "ISIConfig",
    "ISIModel",
    "SSIRConfig",
    "SSMLConfig",
    "STIRConfig",
    "SpikeCLIP",
    "SpikeCLIPConfig",
    "Spk2ImgNet",
    "Spk2ImgNetConfig",
    "TFIConfig",
    "TFIModel",
    "TFPConfig",
    "TFPModel",
    "WGSEConfig",
    "WindowedModel",
]

add_built_in(METHOD.BASE, BaseModel, BaseModelConfig, _base_net.BaseNet)
add_built_in(METHOD.TFP, TFPModel, TFPConfig, _tfp_net.TFPModel)
add_built_in(METHOD.TFI, TFIModel, TFIConfig, _tfi_net.TFIModel)
add_built_in(METHOD.GTFP, GTFPModel, GTFPConfig, _gtfp_net.GTFPModel)
add_built_in(METHOD.ISI, ISIModel, ISIConfig, _isi_net.ISIModel)
add_built_in(METHOD.SPIKECLIP, SpikeCLIP, SpikeCLIPConfig, _spikeclip_net.LRN)
add_built_in(METHOD.SPK2IMGNET, Spk2ImgNet, Spk2ImgNetConfig, _spk2imgnet_net.SpikeNet)
add_built_in(METHOD.WGSE, WGSE, WGSEConfig, _wgse_net.Dwt1dResnetX_TCN)
add_built_in(METHOD.STIR, STIR, STIRConfig, _stir_net.STIR)
add_built_in(METHOD.SSML, SSML, SSMLConfig, _ssml_net.DoubleNet)
add_built_in(METHOD.BSF, BSF, BSFConfig, _bsf_net.BSF)
add_built_in(METHOD.SSIR, SSIR, SSIRConfig, _ssir_net.SSIR)

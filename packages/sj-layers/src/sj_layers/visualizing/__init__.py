"""Pictures of spikes, potentials and feature maps (extra `plot`).

Every function draws through `matplotlib.pyplot`, so that `plt.savefig` works next, and returns
`(fig, ax)`; none of them calls `show()`.
"""

from .animation import save_spikes_to_gif
from .feature_map import plot_2d_feature_map
from .heatmap import plot_2d_bar_in_3d, plot_2d_heatmap
from .raster import plot_1d_spikes
from .trace import plot_one_neuron_v_s

__all__ = [
    "plot_1d_spikes",
    "plot_2d_bar_in_3d",
    "plot_2d_feature_map",
    "plot_2d_heatmap",
    "plot_one_neuron_v_s",
    "save_spikes_to_gif",
]

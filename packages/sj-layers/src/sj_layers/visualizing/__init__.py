"""Pictures of spikes, potentials and feature maps (extra `plot`).

Every function draws through `matplotlib.pyplot`, so that `plt.savefig` works next, and returns
`(fig, ax)`; none of them calls `show()`.
"""

from .feature_map import plot_2d_feature_map
from .raster import plot_1d_spikes

__all__ = ["plot_1d_spikes", "plot_2d_feature_map"]

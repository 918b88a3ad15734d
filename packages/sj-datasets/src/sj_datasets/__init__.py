"""Event-camera and spike-camera data: files, simulation, datasets. No torch needed."""

__version__ = "0.1.0"

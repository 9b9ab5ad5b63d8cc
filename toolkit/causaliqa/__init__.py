"""Causal image quality assessment and causal effect maps for PyTorch."""

__version__ = "0.1.0"

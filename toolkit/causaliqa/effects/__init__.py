"""Causal effects of input patches on a region of a restored image."""

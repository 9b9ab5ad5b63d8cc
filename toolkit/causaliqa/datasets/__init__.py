"""Labelled image pairs: manifests, and the data sets of the field."""

"""Helpers that know nothing of image quality."""

"""Helpers that know nothing of images: files, memory, text, figures, executors, progress."""

"""Metrics and labelled pairs to rows of scores, and rows to ranks."""

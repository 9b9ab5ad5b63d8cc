"""The graded set of the demo."""

import numpy as np

from causaliqa.builtin.datasets.graded import DISTORTIONS, write_graded_set
from causaliqa.io.images import load_image
from causaliqa.io.manifest import read_manifest


def test_the_set_is_complete_repeatable_and_graded(tmp_path):
    sets = [read_manifest(write_graded_set(tmp_path / name, images=2, side=64)) for name in ("a", "b")]
    first, again = sets
    assert len(first.pairs) == 2 * len(DISTORTIONS) * 5
    assert first.label_lower_better
    assert {p.type for p in first.pairs} == set(DISTORTIONS)
    for a, b in zip(first.pairs, again.pairs, strict=True):
        assert a.dist.read_bytes() == b.dist.read_bytes()
    errors: dict[tuple[str, str], list[float]] = {}
    for pair in first.pairs:
        error = float((load_image(pair.dist) - load_image(pair.ref)).square().mean())
        errors.setdefault((pair.ref.stem, pair.type), []).append(error)
    for series in errors.values():
        assert np.all(np.diff(series) > 0)
        assert series[0] > 0

"""Labelled image pairs: manifests, and the data sets of the field, registered through the hooks like any plugin's."""

from __future__ import annotations

from collections.abc import Iterable

from causaliqa.hookspecs import hookimpl
from causaliqa.specs import DatasetSpec, lazy

__all__ = ["causaliqa_datasets"]

_TERMS = "see the authors' terms"
_SETS = (
    # name, module, references, images, label, reference
    ("live", "live", 29, 779, "DMOS", "Sheikh et al., 2006, doi:10.1109/TIP.2006.881959"),
    ("csiq", "csiq", 30, 866, "DMOS", "Larson and Chandler, 2010, doi:10.1117/1.3267105"),
    ("tid2008", "tid", 25, 1700, "MOS", "Ponomarenko et al., 2009, Adv. of Modern Radioelectronics 10"),
    ("tid2013", "tid", 25, 3000, "MOS", "Ponomarenko et al., 2015, doi:10.1016/j.image.2014.10.009"),
    (
        "kadid10k",
        "kadid10k",
        81,
        10125,
        "DMOS where high is good",
        "Lin et al., 2019, doi:10.1109/QoMEX.2019.8743252",
    ),
    ("pipal", "pipal", 200, 23200, "Elo scores, training split", "Gu et al., 2020, arXiv:2007.12142"),
    ("pipal_val", "pipal", 25, 1000, "Elo scores, validation split", "Gu et al., 2020, arXiv:2007.12142"),
)


@hookimpl
def causaliqa_datasets() -> Iterable[DatasetSpec]:
    """Six archives of the field, read from the folders as their authors distribute them."""
    for name, module, references, images, label, reference in _SETS:
        yield DatasetSpec(
            name=name,
            factory=lazy(f"causaliqa.datasets.{module}:load_{name}"),
            verify=lazy(f"causaliqa.datasets.{module}:verify_{name}"),
            summary=f"{images:,} distorted images of {references} references, {label}",
            licence=_TERMS,
            reference=reference,
            references=references,
            images=images,
        )

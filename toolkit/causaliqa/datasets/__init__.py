"""Labelled image pairs: manifests, and the data sets of the field, registered through the hooks like any plugin's."""

from __future__ import annotations

from collections.abc import Iterable

from causaliqa.hookspecs import hookimpl
from causaliqa.specs import DatasetSpec, lazy

__all__ = ["causaliqa_datasets"]

_TERMS = "see the authors' terms"
_TID = "https://www.ponomarenko.info"
_PIPAL = ("elo", False, "Gu et al., 2020, arXiv:2007.12142", "https://github.com/HaomingCai/PIPAL-dataset")
_SETS = (
    # name, module, references, images, what is special, label, whether low is good, reference, where to get it
    (
        *("live", "live", 29, 779, "", "dmos", True, "Sheikh et al., 2006, doi:10.1109/TIP.2006.881959"),
        "https://live.ece.utexas.edu/research/quality/subjective.htm (release 2; ask the authors)",
    ),
    (
        *("csiq", "csiq", 30, 866, "", "dmos", True, "Larson and Chandler, 2010, doi:10.1117/1.3267105"),
        "https://s2.smu.edu/~eclarson/csiq.html",
    ),
    (
        *("tid2008", "tid", 25, 1700, "", "mos", False),
        *("Ponomarenko et al., 2009, Adv. of Modern Radioelectronics 10", f"{_TID}/tid2008.htm"),
    ),
    (
        *("tid2013", "tid", 25, 3000, "", "mos", False),
        *("Ponomarenko et al., 2015, doi:10.1016/j.image.2014.10.009", f"{_TID}/tid2013.htm"),
    ),
    (
        *("kadid10k", "kadid10k", 81, 10125, "its label is called dmos, but high is good", "dmos", False),
        *("Lin et al., 2019, doi:10.1109/QoMEX.2019.8743252", "https://database.mmsp-kn.de/kadid-10k-database.html"),
    ),
    ("pipal", "pipal", 200, 23200, "training split", *_PIPAL),
    ("pipal_val", "pipal", 25, 1000, "validation split", *_PIPAL),
    ("pipal_trainval", "pipal", 225, 24200, "both splits with public labels, in one folder", *_PIPAL),
)


@hookimpl
def causaliqa_datasets() -> Iterable[DatasetSpec]:
    """Six archives of the field, read from the folders as their authors distribute them."""
    for name, module, references, images, special, label, lower_better, reference, source in _SETS:
        summary = f"{images:,} distorted images of {references} references, {label.upper()}"
        yield DatasetSpec(
            name=name,
            factory=lazy(f"causaliqa.datasets.{module}:load_{name}"),
            verify=lazy(f"causaliqa.datasets.{module}:verify_{name}"),
            summary=f"{summary}; {special}" if special else summary,
            licence=_TERMS,
            reference=reference,
            references=references,
            images=images,
            label=label,
            label_lower_better=lower_better,
            labels_only=True,
            source=source,
        )

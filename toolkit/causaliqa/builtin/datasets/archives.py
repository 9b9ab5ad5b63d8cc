"""The archives by name, and their specs."""

from __future__ import annotations

from collections.abc import Mapping

from causaliqa.api.specs import DatasetSpec, lazy
from causaliqa.builtin.datasets import csiq, kadid10k, live, pipal, tid
from causaliqa.builtin.datasets._archive import Archive

__all__ = ["ARCHIVES", "spec_of"]

ARCHIVES: Mapping[str, Archive] = {
    archive.name: archive
    for archive in (
        live.ARCHIVE,
        csiq.ARCHIVE,
        tid.TID2008,
        tid.TID2013,
        kadid10k.ARCHIVE,
        pipal.PIPAL,
        pipal.PIPAL_VAL,
        pipal.PIPAL_TRAINVAL,
    )
}


def spec_of(archive: Archive) -> DatasetSpec:
    """Return the spec that makes an archive known by its name.

    Example:
        >>> spec_of(ARCHIVES["csiq"]).summary
        '866 distorted images of 30 references, DMOS'
    """
    summary = f"{archive.images:,} distorted images of {archive.references} references, {archive.label.upper()}"
    return DatasetSpec(
        name=archive.name,
        factory=lazy("causaliqa.builtin.datasets.load:load", archive=archive.name),
        verify=lazy("causaliqa.builtin.datasets.load:verify", archive=archive.name),
        summary=f"{summary}; {archive.note}" if archive.note else summary,
        licence="see the authors' terms",
        reference=archive.reference,
        references=archive.references,
        images=archive.images,
        label=archive.label,
        label_lower_better=archive.label_lower_better,
        labels_only=True,
        source=archive.source,
    )

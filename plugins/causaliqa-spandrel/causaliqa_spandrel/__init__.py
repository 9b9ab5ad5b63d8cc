"""A causaliqa plugin: any checkpoint that spandrel recognises is the restorer ``spandrel:FILE``."""

from __future__ import annotations

import causaliqa

__all__ = ["causaliqa_restorers"]


@causaliqa.hookimpl
def causaliqa_restorers() -> list[causaliqa.RestorerSpec]:
    """Announce all of them in one record; spandrel is imported when a file is opened."""
    return [
        causaliqa.RestorerSpec(
            name="spandrel",
            factory=causaliqa.lazy("causaliqa_spandrel.checkpoint:build"),
            summary="any checkpoint that spandrel recognises: spandrel:path/to/net.pth",
            licence="that of the checkpoint",
            reference="https://github.com/chaiNNer-org/spandrel",
            part="file",
        )
    ]

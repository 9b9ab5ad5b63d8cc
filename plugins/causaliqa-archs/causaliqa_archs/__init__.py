"""A causaliqa plugin: restoration networks of the literature, found out from their checkpoints or built by name."""

from __future__ import annotations

import causaliqa
from causaliqa_archs.table import ARCHITECTURES

__all__ = ["causaliqa_restorers"]


@causaliqa.hookimpl
def causaliqa_restorers() -> list[causaliqa.RestorerSpec]:
    """``archs:FILE`` for any checkpoint, and each architecture as ``archs.NAME``."""
    file = causaliqa.RestorerSpec(
        name="archs",
        factory=causaliqa.lazy("causaliqa_archs.restorer:build"),
        summary=f"a checkpoint of one of {len(ARCHITECTURES)} architectures, which is found out: archs:path/to/net.pth",
        licence="that of the checkpoint",
        part="file",
    )
    named = [
        causaliqa.RestorerSpec(
            name=f"archs.{name}",
            factory=causaliqa.lazy("causaliqa_archs.restorer:build_named", name=name),
            summary=f"{arch.summary}; random weights without checkpoint=FILE",
            licence="Apache-2.0",
            reference=arch.paper,
            scale=4 if arch.tasks[0] == "sr" else 1,
            tasks=arch.tasks,
        )
        for name, arch in ARCHITECTURES.items()
    ]
    return [file, *named]

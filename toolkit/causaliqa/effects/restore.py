"""Images restored by a network, to be compared: what ``causaliqa restore`` does."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.errors import CausaliqaError, InputError
from causaliqa.catalog.create import default_catalog
from causaliqa.effects.names import NetworkRequest, label_of
from causaliqa.effects.restore_run import RestoredImage, RestoreRun
from causaliqa.io.images import load_image
from causaliqa.io.pngs import png_note, write_png
from causaliqa.io.weights import sha256
from causaliqa.utils.devices import choose_device
from causaliqa.utils.memory import available
from causaliqa.utils.progress import progress_bar
from causaliqa.utils.text import brief

if TYPE_CHECKING:
    from torch import Tensor

    from causaliqa.api.protocols import Degradation, Restorer
    from causaliqa.catalog.catalog import Catalog
    from causaliqa.effects.tiles import Tiling

__all__ = ["restore", "restore_images"]

_LOG = logging.getLogger(__name__)

_SEAM = 1e-4
"""Largest difference of outputs in [0, 1] with and without tiles that is not told."""
_LOOKED_AT = 256
"""Side of the part of the first image on which the network is checked."""


@dataclass(kw_only=True)
class _Work:
    """A network that is ready, and what was found out about tiles."""

    run: RestoreRun
    network: Any
    degradation: Degradation
    settings: dict[str, Any]
    each: float = 0.0
    """Bytes that an inference takes per pixel; 0 until the network has seen an image."""
    tilings: dict[int, Tiling] = field(default_factory=dict)
    """By the side of a tile."""

    @classmethod
    def of(cls, run: RestoreRun, catalog: Catalog, device: str) -> _Work:
        import torch

        from causaliqa.effects.black_box import BlackBox

        degradation = run.network.degradation(catalog, run.degradation)
        network = BlackBox(run.network.restorer(catalog, device), degradation.scale, device)
        made = {"degradation": label_of(run.degradation or run.network.task), "seed": run.seed}
        settings = {
            "restorer": run.network.label,
            "network": network.fingerprint,
            "scale": network.scale,
            "device": network.device.type,
            "torch": torch.__version__,
            "tile": run.tile,
            "overlap": run.overlap,
            "degraded": made if run.degrade else None,
        }
        return cls(run=run, network=network, degradation=degradation, settings=settings)

    def note(self, source: Path) -> str:
        """Return what an output holds about its making."""
        return json.dumps({**self.settings, "image": sha256(source)}, sort_keys=True)

    def truth_note(self, source: Path) -> str:
        """Return what a cut photograph holds: the same for every network of a scale."""
        return json.dumps({"truth": sha256(source), "scale": self.network.scale}, sort_keys=True)

    def is_done(self, source: Path, path: Path) -> bool:
        """Say whether everything is there that belongs to an image.

        Raises:
            InputError: what is there is of another run.
        """
        done = self._is_written(path, self.note(source))
        if self.run.truth is not None:
            done = self._is_written(Path(self.run.truth) / path.name, self.truth_note(source)) and done
        return done

    def _is_written(self, path: Path, wanted: str) -> bool:
        if not path.exists():
            return False
        there = png_note(path)
        if there == wanted or self.run.overwrite:
            return there == wanted
        way = "choose another folder, or --overwrite (overwrite=True) what is there"
        try:
            old, new = dict(json.loads(there)), json.loads(wanted)
        except (ValueError, TypeError):
            raise InputError(f"{path} is there already and no output of this command; {way}") from None
        differ = ", ".join(key for key in new if old.get(key) != new[key])
        raise InputError(f"{path} was made by another run: {differ} differ; repeat that run's settings, {way}")

    def make(self, source: Path, path: Path, seen: Callable[[int, int], None]) -> RestoredImage:
        """Restore one image and write it."""
        from causaliqa.effects.tiles import middle, pixel_memory, restored

        img = load_image(source)[0]
        if self.run.degrade:
            clean, img = img, self.degradation.degrade(img, self.run.seed)
        if not self.each:
            self.network.look(middle(img, _LOOKED_AT))
            self.each = pixel_memory(self.network, img)
        tiling = self._tiling(img, source)
        out = restored(self.network, img, tiling, seen)
        if not bool(out.isfinite().all()):
            bad = int((~out.isfinite()).sum())
            raise CausaliqaError(f"network returned {bad} values that are no numbers, expected values in [0, 1]")
        if self.run.truth is not None:
            cut = clean[:, : out.shape[1], : out.shape[2]]
            write_png(cut, Path(self.run.truth) / path.name, self.truth_note(source))
        write_png(out, path, self.note(source))
        return RestoredImage(source=source, path=path, tiles=len(tiling.tiles(*img.shape[-2:])) if tiling else 1)

    def _tiling(self, img: Tensor, source: Path) -> Tiling | None:
        """Return how an image is divided; None if it is not. What is found on the first one holds for all."""
        from causaliqa.effects.tiles import choose_tiling, fitting_side

        fitting = fitting_side(available(str(self.network.device)), self.each, *img.shape[-2:])
        side = fitting if self.run.tile == "auto" else self.run.tile
        if side is None or max(img.shape[-2:]) <= side:
            return None
        whole = fitting is None
        if side not in self.tilings:
            tiling, change = choose_tiling(self.network, img, side, self.run.overlap, whole=whole)
            self.tilings[side] = tiling
            self._tell(tiling, change, source, whole=whole)
        return self.tilings[side]

    def _tell(self, tiling: Tiling, change: float, source: Path, *, whole: bool) -> None:
        said = f"tiles of {tiling.side} input pixels, overlap {tiling.overlap}"
        against = "of the whole image" if whole else "of larger tiles"
        if change <= _SEAM:
            _LOG.info("%s: the output is that %s within %.1g", said, against, max(change, 1e-7))
            return
        _LOG.warning(
            "%s: the output differs from that %s by up to %.2g of 1 (%.1f gray levels of 255, one tile of %s): the "
            "network sees farther than a tile, as global pooling does; pass larger tiles or, where memory allows, none",
            *(said, against, change, 255 * change, source.name),
        )


def restore_images(run: RestoreRun, *, progress: bool = True) -> Iterator[tuple[Path, RestoredImage | CausaliqaError]]:
    """Yield every image of a run with its output, or why there is none; one that fails does not stop the others.

    Args:
        run: what is asked.
        progress: show a progress bar on stderr.

    Raises:
        CausaliqaError: nothing can be restored: a name is unknown, the network cannot be built, or outputs of another
            run are in the way.
    """
    catalog = default_catalog()
    files = run.files()
    run.network.check_names(catalog, run.degradation)
    work = _Work.of(run, catalog, choose_device(run.device))
    done = {source for source, path in files if work.is_done(source, path)}
    with progress_bar(len(files), "restoring", "image", shown=progress) as bar:
        for source, path in files:
            outcome = _outcome(work, source, path, bar) if source not in done else None
            bar.update()
            yield source, outcome or RestoredImage(source=source, path=path, tiles=0)


def _outcome(work: _Work, source: Path, path: Path, bar: Any) -> RestoredImage | CausaliqaError:
    def seen(done: int, count: int) -> None:
        bar.set_postfix_str(f"tile {done} of {count}")

    try:
        return work.make(source, path, seen)
    except CausaliqaError as error:
        return type(error)(f"{source}: {error}") if str(source) not in str(error) else error
    except Exception as error:
        hint = "; pass smaller tiles" if "memory" in str(error).lower() or isinstance(error, MemoryError) else ""
        return CausaliqaError(f"{source}: {brief(error)}{hint}")


def restore(
    network: str | Restorer,
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    task: str | None = None,
    scale: int | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
    **settings: Any,
) -> list[RestoredImage]:
    """Restore an image, or every image of a folder, and write the outputs as PNG.

    Args:
        network: name of a restorer, ``"basicsr:ARCH:key=value"``, ``"path/to/file.py:factory"``, or any function or
            module ``(N, 3, h, w)`` in [0, 1] to ``(N, 3, s h, s w)``; it is evaluated in evaluation mode and left as it
            was.
        source: an image, or a folder of images, degraded already.
        out: folder of the outputs ``STEM.png``; or the PNG file of a single one. Outputs of the same call that are
            there are kept.
        task: ``"sr"``, ``"denoise"``, ``"derain"`` or a plugin's; gives the scale. Not needed with ``degradation``.
        scale: enlargement of ``"sr"``; by default that of the network's record, else 4.
        checkpoint: a ``.pth`` or ``.safetensors`` file of a network given by name.
        progress: show a progress bar on stderr.
        settings: further fields of :class:`RestoreRun`: ``degrade``, ``degradation``, ``seed``, ``truth``, ``tile``,
            ``overlap``, ``device``, ``overwrite``.

    Raises:
        CausaliqaError: an image cannot be restored. Outputs made before are kept, and the same call continues.

    Example:
        >>> import tempfile, torch
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = write_png(torch.rand(3, 16, 24), f"{folder}/small.png")
        ...     net = torch.nn.Upsample(scale_factor=2)
        ...     (made,) = restore(net, f"{folder}/small.png", f"{folder}/out", task="sr", scale=2, progress=False)
        ...     made.path.name, tuple(load_image(made.path).shape)
        ('small.png', (1, 3, 32, 48))
    """
    request = NetworkRequest(network=network, task=task, scale=scale, checkpoint=checkpoint)
    run = RestoreRun(network=request, source=source, out=out, **settings)
    made = []
    for _, outcome in restore_images(run, progress=progress):
        if isinstance(outcome, CausaliqaError):
            raise outcome
        made.append(outcome)
    return made

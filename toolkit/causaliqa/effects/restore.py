"""Images restored by a network, to be compared: what ``causaliqa restore`` does."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from causaliqa.api.errors import CausaliqaError, InputError
from causaliqa.catalog.create import default_catalog
from causaliqa.effects.names import NetworkRequest, label_of
from causaliqa.io.images import load_image
from causaliqa.io.pairing import file_pairs
from causaliqa.io.pngs import png_note, write_png
from causaliqa.io.weights import sha256
from causaliqa.utils.devices import choose_device
from causaliqa.utils.files import check_folder
from causaliqa.utils.memory import available
from causaliqa.utils.progress import progress_bar
from causaliqa.utils.text import brief

if TYPE_CHECKING:
    from torch import Tensor

    from causaliqa.api.protocols import Degradation, Restorer
    from causaliqa.catalog.catalog import Catalog
    from causaliqa.effects.tiles import Tiling

__all__ = ["RestoreRun", "RestoredImage", "restore", "restore_images"]

_LOG = logging.getLogger(__name__)

_SEAM = 1e-4
"""Largest difference of outputs in [0, 1] with and without tiles that is not told."""
_LOOKED_AT = 256
"""Side of the part of the first image on which the network is checked."""


@dataclass(frozen=True, kw_only=True)
class RestoreRun:
    """Everything that is asked of a run that restores images.

    Raises:
        InputError: the fields do not fit each other.

    Example:
        >>> request = NetworkRequest(network="tiny_edsr_x4", task="sr")
        >>> RestoreRun(network=request, source="small", out="large", tile=96).overlap is None
        True
    """

    network: NetworkRequest
    """The restoration network and its task."""
    source: str | os.PathLike[str]
    """An image, or a folder of images, degraded already unless ``degrade``."""
    out: str | os.PathLike[str]
    """Folder of the outputs ``STEM.png``; or the PNG file of a single one."""
    degrade: bool = False
    """Make the inputs from clean photographs first, by the degradation of the task."""
    degradation: str | Degradation | None = None
    """Degradation, NAME[:key=value,...], of --degrade; by default that of the task."""
    seed: int = 0
    """Seed of the noise or rain of --degrade, for every image the same, as for cem."""
    truth: str | None = None
    """Folder for the photographs of --degrade, cut to multiples of the scale, to compare the outputs with."""
    tile: int | Literal["auto"] = "auto"
    """Side of the part of an input that the network sees at once, in input pixels, overlap included; auto: the whole
    image, or tiles where memory is short."""
    overlap: int | None = None
    """Pixels of a tile on each side whose output is not used; by default the measured receptive radius."""
    device: str | None = None
    """Torch device; by default CUDA where there is one, else the CPU."""
    overwrite: bool = False
    """Replace outputs of another network or other settings, instead of refusing them."""

    def __post_init__(self) -> None:
        if self.tile != "auto" and (not isinstance(self.tile, int) or self.tile < 1):
            raise InputError(f"tile: got {self.tile!r}, expected auto or a whole number, 1 or more")
        if self.overlap is not None and self.overlap < 0:
            raise InputError(f"overlap: got {self.overlap}, expected 0 or more pixels")
        if self.overlap is not None and self.tile != "auto" and 2 * self.overlap >= self.tile:
            raise InputError(f"overlap: got {self.overlap}, expected less than half a tile of {self.tile} pixels")
        if self.seed < 0:
            raise InputError(f"seed: got {self.seed}, expected a whole number, 0 or more")
        if not self.degrade and self.truth is not None:
            raise InputError("truth: got a folder, but the images are no ground truth; pass degrade, too")

    def files(self) -> list[tuple[Path, Path]]:
        """Return every image and the file of its output.

        Raises:
            ImageError: there is no image, or two have the same stem.
            InputError: outputs would replace images, or cannot be written.
        """
        source, out = Path(self.source), Path(self.out)
        found = [path for path, _ in file_pairs(source, None)[0]]
        single = not source.is_dir() and out.suffix.lower() == ".png"
        check_folder(out.parent if single else out)
        files = [(path, out if single else out / f"{path.stem}.png") for path in found]
        truth = [Path(self.truth) / f"{path.stem}.png" for path in found] if self.truth is not None else []
        for written in (*(path for _, path in files), *truth):
            if any(written.exists() and written.samefile(path) for path in found):
                raise InputError(f"out: {written} is one of the images to restore, expected another folder")
        return files


@dataclass(frozen=True, kw_only=True)
class RestoredImage:
    """One image that was restored."""

    source: Path
    """The image."""
    path: Path
    """The output."""
    tiles: int = 1
    """Tiles that it was restored in; 0 where the output was there already."""


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
        made = {
            "degradation": label_of(run.degradation or run.network.task),
            "seed": run.seed,
        }
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

    def is_done(self, source: Path, path: Path) -> bool:
        """Say whether an output is there.

        Raises:
            InputError: it is that of another run.
        """
        if not path.exists():
            return False
        there, wanted = png_note(path), self.note(source)
        if there == wanted:
            return self.run.truth is None or (Path(self.run.truth) / path.name).exists()
        if self.run.overwrite:
            return False
        try:
            old = dict(json.loads(there))
        except ValueError:
            raise InputError(
                f"{path} is there already and no output of this command; choose another folder, or --overwrite "
                "(overwrite=True) it"
            ) from None
        new = json.loads(wanted)
        differ = [key for key in new if old.get(key) != new[key]]
        raise InputError(
            f"{path} was made by another run: {', '.join(differ) or 'settings'} differ; choose another folder, repeat "
            "that run's settings, or --overwrite (overwrite=True) what is there"
        )

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
            write_png(clean[:, : out.shape[1], : out.shape[2]], Path(self.run.truth) / path.name)
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

"""Several pairs at once: the scores of single pairs, from metrics that take batches and from those that do not."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from causaliqa.api.data import Pair, PairDataset
from causaliqa.evaluation.pair_score import BATCH_TOLERANCE, BatchScorer
from causaliqa.evaluation.prepared_pairs import PreparedPair
from causaliqa.evaluation.scoring import score_dataset

NAMES = ["psnr", "ssim", "gmsd", "causal_effnet_lite0", "calibrated_effnet_lite0"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Two references of two sizes, five images each, one of which is broken, one smaller than its reference."""
    folder, draw = tmp_path_factory.mktemp("set"), np.random.default_rng(0)
    pairs = []
    for r, size in enumerate([(96, 64), (64, 80)]):
        ref = draw.integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(ref).save(folder / f"r{r}.png")
        for k in range(5):
            img = np.clip(ref + draw.normal(0, 5 + 5 * k, ref.shape), 0, 255).astype(np.uint8)
            Image.fromarray(img[: -1 if (r, k) == (1, 3) else None]).save(folder / f"d{r}{k}.png")
            pairs.append(Pair(ref=folder / f"r{r}.png", dist=folder / f"d{r}{k}.png", label=float(k)))
    (folder / "d02.png").write_bytes(b"no image")
    order = draw.permutation(len(pairs))
    return PairDataset(name="s", pairs=tuple(pairs[k] for k in order), label="mos", label_lower_better=False)


def without_time(rows):
    return [dataclasses.replace(row, seconds=0.0, score=None) for row in rows]


@pytest.mark.parametrize("batch", [2, 3, 16])
def test_rows_are_those_of_single_pairs(dataset, batch):
    import causaliqa

    metrics = {name: causaliqa.create_metric(name, device="cpu") for name in NAMES}
    alone, together = (list(score_dataset(metrics, dataset, batch=size)) for size in (1, batch))
    assert without_time(alone) == without_time(together)
    assert [row.score is None for row in alone] == [row.score is None for row in together]
    assert sum(row.score is None for row in alone) == 2 * len(NAMES)
    for a, b in zip(alone, together, strict=True):
        assert a.score is None or abs(a.score - b.score) <= 2 * BATCH_TOLERANCE * max(1, abs(a.score))


def mae(img, ref):
    return (img - ref).abs().mean((1, 2, 3))


def alone_only(img, ref):
    if len(img) > 1:
        raise RuntimeError("no batches")
    return mae(img, ref)


def mean_of_the_batch(img, ref):
    return mae(img, ref).mean().expand(len(img))


def one_number(img, ref):
    return mae(img, ref).mean()


def nan_in_batches(img, ref):
    return mae(img, ref) if len(img) == 1 else mae(img, ref) * math.nan


def pairs_of(count, *, size=(8, 8)):
    draw = torch.Generator().manual_seed(0)
    return [
        PreparedPair(img=torch.rand(1, 3, *size, generator=draw), ref=torch.zeros(1, 3, *size)) for _ in range(count)
    ]


@pytest.mark.parametrize(
    ("metric", "takes"),
    [(mae, True), (alone_only, False), (mean_of_the_batch, False), (one_number, False), (nan_in_batches, False)],
)
def test_a_metric_is_given_batches_only_if_it_scores_them_like_single_pairs(metric, takes):
    sizes = []

    def counted(img, ref):
        sizes.append(len(img))
        return metric(img, ref)

    scorer, pairs = BatchScorer(), pairs_of(4)
    expected = [float(mae(pair.img, pair.ref)) for pair in pairs]
    for _ in range(3):
        assert scorer("m", counted, pairs) == pytest.approx(expected, abs=1e-7)
    assert scorer.takes_batches == {"m": takes}
    # Measured once: four alone, four at once; then batches alone, or none.
    assert sizes == ([1] * 4 + [4] + ([4, 4] if takes else [1] * 8))


def test_a_failure_in_a_batch_costs_its_own_pair_only():
    def fragile(img, ref):
        if (img > 2).any():
            raise ValueError("too bright")
        return mae(img, ref)

    scorer, pairs = BatchScorer(), pairs_of(3)
    assert len(scorer("m", fragile, pairs)) == 3
    broken = dataclasses.replace(pairs[1], img=pairs[1].img + 3)
    scores = scorer("m", fragile, [pairs[0], broken, pairs[2]])
    assert [isinstance(score, ValueError) for score in scores] == [False, True, False]
    assert scorer.takes_batches == {"m": True}


def test_pairs_with_masks_and_of_other_sizes_are_kept_apart():
    seen = []

    def metric(img, ref):
        seen.append(tuple(img.shape))
        return mae(img, ref)

    mask = torch.zeros(8, 8, dtype=torch.bool)
    mask[:4, :4] = True
    pairs = [*pairs_of(2), *pairs_of(2, size=(8, 9)), dataclasses.replace(pairs_of(1)[0], mask=mask)]
    scorer = BatchScorer()
    scorer("m", metric, pairs)
    seen.clear()
    scores = scorer("m", metric, pairs)
    assert sorted(seen) == [(1, 3, 4, 4), (2, 3, 8, 8), (2, 3, 8, 9)]
    assert scores[4] == pytest.approx(float(mae(pairs[4].img[..., :4, :4], pairs[4].ref[..., :4, :4])))


def test_large_images_make_small_batches():
    sizes = []

    def metric(img, ref):
        sizes.append(len(img))
        return mae(img, ref)

    pairs = pairs_of(5, size=(1024, 2048))
    scorer = BatchScorer()
    scorer.takes_batches["m"] = True
    scorer("m", metric, pairs)
    assert sizes == [2, 2, 1]


def test_reader_reads_a_reference_once(monkeypatch):
    from causaliqa.evaluation import image_reader

    read = []
    monkeypatch.setattr(image_reader, "load_image", lambda path: read.append(path) or torch.zeros(1, 3, 8, 8))
    with image_reader.ImageReader("cpu", threads=3) as reader:
        images = [reader.start_reference(Path("r.png")) for _ in range(3)] + [reader.start(Path("a.png"))]
        assert all(image().shape == (1, 3, 8, 8) for image in images)
    assert sorted(map(str, read)) == ["a.png", "r.png"]


def test_channels_one_by_one_are_the_mean_of_gray_scores(dataset):
    import causaliqa
    from causaliqa.evaluation.preparation import Preparation

    metrics = {"psnr": causaliqa.create_metric("psnr", device="cpu")}
    pair = next(pair for pair in dataset.pairs if pair.dist.name == "d10.png")
    rows = score_dataset(metrics, dataset, prepare=Preparation(channel="each"), batch=4)
    found = next(row.score for row in rows if row.dist.endswith("d10.png"))
    img, ref = (np.asarray(Image.open(path), float) / 255 for path in (pair.dist, pair.ref))
    assert found == pytest.approx(np.mean(-10 * np.log10(((img - ref) ** 2).mean((0, 1)))), abs=1e-3)  # pyiqa adds 1e-8


def test_labelled_sets_refuse_high_dynamic_range(dataset):
    from causaliqa import InputError
    from causaliqa.evaluation.preparation import Preparation

    with pytest.raises(InputError, match="hdr: got 'pu21', expected ordinary images"):
        list(score_dataset({"mae": mae}, dataset, prepare=Preparation(hdr="pu21")))


def test_a_metric_is_measured_once_for_several_data_sets(dataset):
    sizes = []

    def metric(img, ref):
        sizes.append(len(img))
        return mae(img, ref)

    metric.lower_better = True
    scorer = BatchScorer()
    for _ in range(2):
        list(score_dataset({"mae": metric}, dataset, batch=16, scorer=scorer))
    first, again = sizes[: len(sizes) - 2], sizes[-2:]
    assert scorer.takes_batches == {"mae": True}
    # The sound pairs of two sizes, four each: the first size alone and at once, then every size at once.
    assert first == [1] * 4 + [4, 4] and again == [4, 4]


def test_workers_measure_a_metric_once(dataset):
    from causaliqa.catalog.create import default_catalog
    from causaliqa.catalog.workers import WorkerContext, process_cache
    from causaliqa.evaluation.sharding import ScoreUnit
    from causaliqa.evaluation.worker import MetricRecipe, score_unit

    key = default_catalog().create_metric("psnr", device="cpu").key
    context = WorkerContext.of(default_catalog())
    recipe = MetricRecipe(context=context, requests=(("psnr", "psnr", key),), device="cpu")
    found = [process_cache(recipe).get("scorer")]
    for _ in range(2):
        score_unit(recipe, ScoreUnit(dataset=dataset, metrics=("psnr",), places=tuple(range(len(dataset)))))
        found.append(process_cache(recipe)["scorer"])
    assert found[0] is None and found[1] is found[2]

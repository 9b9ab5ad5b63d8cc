"""What pyiqa's metrics were trained on: complete, with sources, in well-formed names."""

import re

import pytest

from causaliqa.api.specs import DatasetSpec, MetricSpec
from causaliqa.catalog.create import default_catalog
from causaliqa.catalog.training import spec_problem
from causaliqa.interop.hooks import causaliqa_metrics, default_configs
from causaliqa.interop.training import TRAINING

UNKNOWN = {"msswd", "qrealign", "qrealign-mini", "qrealign-lite", "qrealign-pro"}
"""Metrics of which no source says what their weights were fitted to."""

ELSEWHERE = {
    *("a57", "ava", "bapps", "bid", "cgfiqa40k", "diffiqa", "fgrestore", "flive", "gfiqa20k", "koniq10k"),
    *("laion_logos", "livec", "lsvq", "ma17", "pieapp", "sac", "spaq", "urankerset"),
}
"""Data sets that the toolkit does not read; a new name here is a new data set, not another spelling."""


def test_every_metric_of_pyiqa_has_an_entry_and_no_entry_is_a_stranger():
    assert set(TRAINING) == {spec.name for spec in causaliqa_metrics()}
    assert {name for name, known in TRAINING.items() if known.trained_on is None} == UNKNOWN


@pytest.mark.parametrize("name", TRAINING)
def test_every_entry_has_a_source_and_well_formed_names(name):
    known = TRAINING[name]
    assert re.search(r"arXiv:\d{4}\.\d{4,5}|doi:10\.\d{4}/\S+|https://\S+\.\S+", known.source)
    assert set(known.trained_on or ()) <= ELSEWHERE | set(default_catalog().names(DatasetSpec))
    assert len(set(known.trained_on or ())) == len(known.trained_on or ())
    spec = default_catalog().get(MetricSpec, name).spec
    assert (spec.trained_on, spec.year, spec.reference) == known
    assert spec_problem(spec) == ""


@pytest.mark.parametrize(
    ("option", "names"),
    [("regressor_dataset", "arniqa*"), ("train_dataset", "maniqa nima-* tres*"), ("model_name", "topiq_* wadiqam_*")],
)
def test_the_table_agrees_with_pyiqas_configuration(option, names):
    """Where pyiqa's own option names a data set, the entry names the same one."""
    spelt = {"clive": "livec", "cgfiqa": "cgfiqa40k", "gfiqa": "gfiqa20k", "tid": "tid2013"}
    spelt |= {name: f"{name}10k" for name in ("koniq", "kadid")}
    found = 0
    for name, config in default_configs().items():
        value = config["metric_opts"].get(option)
        if value and any(re.fullmatch(glob.replace("*", ".*"), name) for glob in names.split()):
            (part,) = set(value.split("_")) & {*spelt, "live", "csiq", "flive", "spaq", "pipal", "ava"}
            assert TRAINING[name].trained_on == (spelt.get(part, part),)
            found += 1
    assert found >= 4


def test_aesthetic_and_musiq_names_say_their_data():
    assert {TRAINING[name].trained_on for name in ("musiq-ava", "nima", "topiq_iaa")} == {("ava",)}
    assert TRAINING["musiq-spaq"].trained_on == ("spaq",)
    assert TRAINING["lpips"].trained_on == TRAINING["lpips-vgg+"].trained_on == ("bapps",)
    assert TRAINING["psnr"].trained_on == TRAINING["niqe"].trained_on == ()

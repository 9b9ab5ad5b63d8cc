"""What metrics were fitted to, and which data sets hold images of that."""

from dataclasses import replace

import pytest

from causaliqa.api.errors import InputError
from causaliqa.api.specs import MetricSpec
from causaliqa.catalog.catalog import Catalog
from causaliqa.catalog.create import default_catalog
from causaliqa.catalog.host import PluginHost
from causaliqa.catalog.registry import load_registry
from causaliqa.catalog.training import has_seen, origins_of, parse_training, spec_problem, trained_on, training_text

SPEC = MetricSpec(name="m", factory=dict, summary="m", licence="MIT", lower_better=True, trained_on=("kadid10k",))


@pytest.mark.parametrize(
    ("dataset", "training", "expected"),
    [
        ("kadid10k", ("kadid10k",), True),
        ("KADID-10k", ("kadid10k",), True),
        ("KADID 10K", ("tid2013", "kadid"), True),
        ("tid2013", ("kadid10k",), False),
        ("tid2013", ("tid2008",), True),
        ("tid2008", ("tid2013",), True),
        ("pipal", ("pipal",), True),
        ("pipal_trainval", ("pipal",), True),
        ("pipal_val", ("pipal",), False),
        ("pipal_val", ("pipal_trainval",), True),
        ("clive", ("livec",), True),
        ("live", ("livec",), False),
        ("live", ("flive",), False),
        ("tid2013_real", ("tid2013",), False),
        ("live", (), False),
        ("live", None, None),
    ],
)
def test_a_data_set_is_matched_by_its_name(dataset, training, expected):
    assert has_seen(dataset, training) is expected


@pytest.mark.parametrize(
    ("origin", "training", "expected"),
    [
        ("tid2013", ("tid2013",), True),
        ("TID2013", ("tid2008",), True),
        ("csiq", ("tid2013",), False),
        ("csiq", ("tid2013_real",), True),
        ("csiq", None, None),
    ],
)
def test_where_images_come_from_can_be_declared(origin, training, expected):
    assert has_seen("tid2013_real", training, {"tid2013_real": origin, "other": "kadid10k"}) is expected


@pytest.mark.parametrize("names", [("kadid10k", "tid2013"), ("live",), (), None])
def test_text_and_names_are_inverse(names):
    assert parse_training(training_text(names), "x") == names


@pytest.mark.parametrize("value", ["KADID-10k", "a+", "", "a b", 3, ["A"], [1], None, True, {"a": 1}])
def test_anything_else_is_refused(value):
    with pytest.raises(InputError, match=r"^there: got .*, expected names of data sets"):
        parse_training(value, "there")


@pytest.mark.parametrize("item", ["a", "a=", "=b", "="])
def test_an_origin_is_two_names(item):
    with pytest.raises(InputError, match="expected NAME=SET"):
        origins_of(["a=b", item])


def test_an_option_that_loads_other_weights_of_pyiqa_makes_training_unknown():
    assert trained_on(SPEC, {"test_img_size": 384}, provider="pyiqa") == ("kadid10k",)
    assert trained_on(SPEC, {"pretrained_model_path": "mine.pth"}, provider="pyiqa") is None
    assert trained_on(SPEC, {"model": "x"}, provider="my-plugin 1.0") == ("kadid10k",)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"trained_on": "kadid10k"}, "expected a tuple"),
        ({"trained_on": ["kadid10k"]}, "expected a tuple"),
        ({"trained_on": ("KADID-10k",)}, "small letters"),
        ({"year": "2024"}, "expected the year"),
        ({"year": 24}, "expected the year"),
        ({"year": True}, "expected the year"),
        ({"trained_on": (), "year": 2024}, None),
        ({"trained_on": None}, None),
    ],
)
def test_facts_of_records_are_checked(change, words):
    problem = spec_problem(replace(SPEC, **change))
    assert (words in problem) if words else problem == ""


def test_our_own_metrics_say_what_they_were_fitted_to():
    known = default_catalog().registrations(MetricSpec)
    assert known["causal_vgg"].spec.trained_on == known["deepwsd"].spec.trained_on == ()
    assert has_seen("tid2013", known["calibrated_effnet_lite0"].spec.trained_on)
    assert all(found.spec.trained_on is not None for found in known.values() if found.provider == "causaliqa")


def test_registry_yaml_can_say_it(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "metrics:\n  msswd: {trained_on: [spcd]}\n  causal_vgg: {trained_on: none, year: 2025}\n"
        "  psnr: {trained_on: unknown}\n  not_installed: {year: 2020}\n"
    )
    known = Catalog(PluginHost(entry_points=lambda: []), load_registry(file)).registrations(MetricSpec)
    assert (known["msswd"].spec.trained_on, known["msswd"].spec.year) == (("spcd",), 2024)
    assert (known["causal_vgg"].spec.trained_on, known["causal_vgg"].spec.year) == ((), 2025)
    assert known["psnr"].spec.trained_on is None
    assert "not_installed" not in known

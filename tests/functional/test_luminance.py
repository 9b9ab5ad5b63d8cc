"""PU21 and PQ against independent implementations, whose values stand here."""

import numpy as np
import pytest

from causaliqa.functional.luminance import BRIGHTEST_VALUE, luminance, pq_to_luminance, pu21


# The authors' own Python code (github.com/gfxdisp/ColorVideoVDP, class PU, variant banding_glare), in double precision.
@pytest.mark.parametrize(
    ("light", "encoded"),
    [
        (0.005, 0.000000),
        (0.01, 0.372232),
        (0.1, 5.717074),
        (1, 36.543911),
        (10, 123.647484),
        (50, 212.787279),
        (100, 256.383897),
        (203, 303.800226),
        (1000, 420.096921),
        (4000, 527.493901),
        (10_000, 595.393920),
    ],
)
def test_pu21_of_the_authors(light, encoded):
    assert float(pu21(light)) == pytest.approx(encoded, abs=1e-6)


def test_light_that_pu21_was_not_fitted_to_is_the_nearest():
    assert pu21([0, 0.001, 20_000]).tolist() == pu21([0.005, 0.005, 10_000]).tolist()
    assert float(pu21(1e9)) / 256 == BRIGHTEST_VALUE == pytest.approx(2.32576, abs=1e-5)


def test_pu21_grows_and_is_never_negative():
    encoded = pu21(np.geomspace(0.006, 10_000, 5000))
    assert (np.diff(encoded) > 0).all()
    assert encoded.min() >= 0


# colour-science 0.4.7, eotf_ST2084; 100 and 203 cd/m² are the codes that ITU-R BT.2408 gives as 51 % and 58 %.
@pytest.mark.parametrize(
    ("code", "light"),
    [
        (0, 0),
        (0.1, 0.3245655914644875),
        (0.25, 5.154176009833007),
        (0.5, 92.24570899406527),
        (0.508078421517399, 100),
        (0.58068888, 202.9999979770076),
        (0.75, 983.3778555870275),
        (0.9, 3905.6446528344222),
        (1, 10_000),
    ],
)
def test_pq_of_an_independent_implementation(code, light):
    assert float(pq_to_luminance(code)) == pytest.approx(light, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("primaries", "green"), [("bt709", 0.715158), ("bt2020", 0.678)])
def test_luminance_is_a_weighted_mean(primaries, green):
    light = np.zeros((2, 3, 3))
    light[..., 1] = 1000
    found = luminance(light, primaries)
    assert found.shape == (2, 3, 1)
    assert found == pytest.approx(1000 * green)
    assert luminance(np.full((1, 1, 3), 5.0), primaries) == pytest.approx(5)

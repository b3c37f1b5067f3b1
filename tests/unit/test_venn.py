"""Two circles in true proportion: measured by counting points, not by the formula that made them."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mutuals_client.venn import Circles, centroid, extent, lens_area, proportional

sizes = st.integers(0, 10**9)


def integrated(circles: Circles) -> float:
    """The common area as the integral of the height both have along the line of centres."""
    begin = max(-circles.left, circles.distance - circles.right)
    end = min(circles.left, circles.distance + circles.right)
    if end <= begin:
        return 0.0
    # Dense at both ends, where a circle rises steeply.
    points = begin + (end - begin) * (1 - np.cos(np.linspace(0, pi, 4001))) / 2
    heights = np.minimum(
        np.sqrt(np.maximum(circles.left**2 - points**2, 0)),
        np.sqrt(np.maximum(circles.right**2 - (points - circles.distance) ** 2, 0)),
    )
    return float(2 * np.trapezoid(heights, points))


@settings(max_examples=150)
@given(sizes, sizes, st.floats(0, 1))
def test_areas_are_in_proportion(left: int, right: int, share: float) -> None:
    common = int(min(left, right) * share)
    circles = proportional(left, right, common)
    unit = max(left, right, 1) / pi
    assert circles.left**2 * pi * unit == pytest.approx(left, rel=0.005)
    assert circles.right**2 * pi * unit == pytest.approx(right, rel=0.005)
    # Half a percent of the overlap, down to a millionth of the picture, which nobody can see.
    assert integrated(circles) * unit == pytest.approx(common, rel=0.005, abs=max(left, right) * 1e-6)


@pytest.mark.parametrize(("left", "right"), [(1000, 1_000_000), (7, 7), (1, 10**9), (10**9, 1), (300, 299)])
def test_a_set_within_another_touches_from_inside(left: int, right: int) -> None:
    circles = proportional(left, right, min(left, right))
    assert circles.distance == abs(circles.left - circles.right)
    assert circles.crossing is None
    assert lens_area(circles.left, circles.right, circles.distance) == pytest.approx(
        pi * min(left, right) / max(left, right)
    )


@pytest.mark.parametrize(("left", "right"), [(1000, 1_000_000), (0, 5), (5, 0), (0, 0)])
def test_without_overlap_they_stand_apart(left: int, right: int) -> None:
    circles = proportional(left, right, 0)
    assert circles.distance >= circles.left + circles.right
    assert circles.crossing is None


def test_a_tiny_set_half_inside() -> None:
    circles = proportional(1000, 1_000_000, 500)
    assert circles.left == pytest.approx(0.0316, abs=1e-3)
    assert integrated(circles) / pi * 1_000_000 == pytest.approx(500, rel=0.005)
    crossing = circles.crossing
    assert crossing is not None
    along, height = crossing
    assert along**2 + height**2 == pytest.approx(circles.left**2)
    assert (along - circles.distance) ** 2 + height**2 == pytest.approx(circles.right**2)
    assert -circles.left < centroid(circles) < circles.left
    assert extent(circles) == (-circles.left, circles.distance + circles.right)


@pytest.mark.parametrize("sizes", [(5, 9, 6), (-1, 2, 0), (3, 3, -1)])
def test_what_no_two_sets_are(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="two sets"):
        proportional(*sizes)

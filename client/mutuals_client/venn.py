"""Two circles whose areas, and whose common area, are in proportion to two sets and their overlap.

circles = proportional(1000, 5000, 400)     # radii and distance, in any unit
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, cos, pi, sin, sqrt

_STEPS = 200


@dataclass(frozen=True)
class Circles:
    """The radii of both circles and the distance of their centres; the larger radius is 1."""

    left: float
    right: float
    distance: float

    @property
    def crossing(self) -> tuple[float, float] | None:
        """Where they cross, from the left centre: along the line of centres and above it. Nothing where they do not,
        because they are apart or one is inside the other.
        """
        if not abs(self.left - self.right) < self.distance < self.left + self.right:
            return None
        along = (self.distance**2 + self.left**2 - self.right**2) / (2 * self.distance)
        return along, half_chord(self.left, self.right, self.distance)


def proportional(left: int, right: int, common: int) -> Circles:
    """The circles for sets of ``left`` and ``right`` members, ``common`` in both.

    Without a common member they stand a little apart; where one set holds the other they touch from inside. Raises
    ValueError for a negative size, or an overlap larger than a set.
    """
    if min(left, right, common) < 0 or common > min(left, right):
        raise ValueError("these cannot be two sets and their overlap")
    largest = max(left, right, 1)
    one, other = sqrt(left / largest), sqrt(right / largest)
    if common == 0:
        return Circles(one, other, (one + other) * 1.06)
    if common == min(left, right):
        return Circles(one, other, abs(one - other))
    wanted = pi * common / largest
    near, far = abs(one - other), one + other
    for _ in range(_STEPS):  # the common area falls as the distance grows
        middle = (near + far) / 2
        if not near < middle < far:
            break
        if lens_area(one, other, middle) > wanted:
            near = middle
        else:
            far = middle
    return Circles(one, other, (near + far) / 2)


def lens_area(one: float, other: float, distance: float) -> float:
    """The area that circles of these radii have in common at this distance."""
    if distance >= one + other:
        return 0.0
    if distance <= abs(one - other):
        return pi * min(one, other) ** 2
    height = half_chord(one, other, distance)
    return _segment(one, other, distance, height) + _segment(other, one, distance, height)


def half_chord(one: float, other: float, distance: float) -> float:
    """Half the length of the line between the crossings, by Heron; exact also where the circles hardly touch."""
    product = (
        (one + other - distance)
        * (distance + one - other)
        * (distance - one + other)
        * (distance + one + other)
    )
    return sqrt(max(product, 0.0)) / (2 * distance)


def _segment(radius: float, other: float, distance: float, height: float) -> float:
    """What the common chord cuts off the circle of ``radius`` on the other's side."""
    # Factored, because the squares of two large and nearly equal lengths would cancel.
    along = ((distance - other) * (distance + other) + radius**2) / (2 * distance)
    angle = atan2(height, along)
    return radius**2 * (angle - sin(angle) * cos(angle))


def centroid(circles: Circles) -> float:
    """A point of the common area on the line of centres, from the left centre: the middle of where both are."""
    begin = max(-circles.left, circles.distance - circles.right)
    end = min(circles.left, circles.distance + circles.right)
    return (begin + end) / 2


def extent(circles: Circles) -> tuple[float, float]:
    """How far both together reach to the left and right of the left centre."""
    return min(-circles.left, circles.distance - circles.right), max(
        circles.left, circles.distance + circles.right
    )


__all__ = ["Circles", "centroid", "extent", "half_chord", "lens_area", "proportional"]

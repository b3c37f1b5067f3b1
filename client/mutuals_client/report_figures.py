"""The pictures of a run's report as inline SVG: each with a title and a description that say the same in words."""

from __future__ import annotations

from dataclasses import dataclass

from mutuals.agreement.page import text
from mutuals_client.venn import Circles, centroid, extent, proportional

WIDTH, MARGIN, TOP, BOTTOM = 420.0, 12.0, 58.0, 46.0
"""Of the picture, in its own units; the labels stand above and below the circles."""

LARGEST = 104.0
"""The largest radius drawn."""

_SMALL = 16.0
_NAME = 22


@dataclass(frozen=True)
class Sets:
    """Two sets by name and size, and how many members are in both."""

    left: str
    right: str
    left_size: int
    right_size: int
    common: int

    @property
    def circles(self) -> Circles:
        """To scale; an overlap that a store was made to say wrongly is drawn as large as it can be."""
        common = min(self.common, self.left_size, self.right_size)
        return proportional(self.left_size, self.right_size, common)


def venn_svg(sets: Sets) -> str:
    """The two sets as circles in true proportion."""
    circles = sets.circles
    begin, end = extent(circles)
    scale = min((WIDTH - 2 * MARGIN) / max(end - begin, 1e-9), LARGEST)
    height = TOP + 2 * scale * max(circles.left, circles.right) + BOTTOM
    middle = TOP + scale * max(circles.left, circles.right)
    origin = (WIDTH - (end - begin) * scale) / 2 - begin * scale
    other = origin + circles.distance * scale
    left, right = circles.left * scale, circles.right * scale
    description = (
        f"Two circles drawn to scale: {sets.left} with {sets.left_size:,} identifiers, {sets.right} with "
        f"{sets.right_size:,}, of which {sets.common:,} are in both."
    )
    parts = [
        f'<svg class="venn" viewBox="0 0 {WIDTH:.0f} {height:.1f}" role="img" '
        'aria-labelledby="venn-title venn-desc">',
        f'<title id="venn-title">The overlap of {text(sets.left)} and {text(sets.right)}</title>',
        f'<desc id="venn-desc">{text(description)}</desc>',
        f'<circle class="own" cx="{origin:.2f}" cy="{middle:.2f}" r="{left:.3f}"/>',
        f'<circle class="other" cx="{other:.2f}" cy="{middle:.2f}" r="{right:.3f}"/>',
        _lens(circles, origin, other, middle, scale, sets.common),
        *_label(sets.left, sets.left_size, MARGIN, "start"),
        *_label(sets.right, sets.right_size, WIDTH - MARGIN, "end"),
        _leader(MARGIN, origin, middle - left, left),
        _leader(WIDTH - MARGIN, other, middle - right, right),
        *_common(sets.common, _pointed(circles, origin, scale, sets.common), middle, height),
        "</svg>",
    ]
    return "".join(parts)


def _lens(circles: Circles, origin: float, other: float, middle: float, scale: float, common: int) -> str:
    """The common area: two arcs, or the whole of the circle that is inside the other."""
    if not common:
        return ""
    crossing = circles.crossing
    left, right = circles.left * scale, circles.right * scale
    if crossing is None:
        centre = origin if left <= right else other
        return f'<circle class="both" cx="{centre:.2f}" cy="{middle:.2f}" r="{min(left, right):.3f}"/>'
    along, high = crossing
    x, up, down = origin + along * scale, middle - high * scale, middle + high * scale
    # An arc is the long way round where the chord lies beyond the centre.
    right_long = int(along > circles.distance)
    left_long = int(along < 0)
    return (
        f'<path class="both" d="M{x:.2f} {up:.2f}A{left:.3f} {left:.3f} 0 {left_long} 1 {x:.2f} {down:.2f}'
        f'A{right:.3f} {right:.3f} 0 {right_long} 1 {x:.2f} {up:.2f}Z"/>'
    )


def _label(name: str, size: int, x: float, anchor: str) -> list[str]:
    return [
        f'<text class="name" x="{x:.0f}" y="18" text-anchor="{anchor}">{text(_short(name))}</text>',
        f'<text class="size" x="{x:.0f}" y="40" text-anchor="{anchor}">{size:,}</text>',
    ]


def _leader(x: float, centre: float, top: float, radius: float) -> str:
    """A line from a label to its circle where that is too small to be found."""
    if radius >= _SMALL or radius <= 0:
        return ""
    return f'<path class="leader" d="M{x:.1f} 48H{centre:.2f}V{top:.2f}"/>'


def _common(common: int, x: float, middle: float, height: float) -> list[str]:
    label = min(max(x, 60.0), WIDTH - 60.0)
    parts = []
    if common:
        parts.append(f'<path class="leader" d="M{x:.2f} {middle:.2f}V{height - 36:.1f}"/>')
    parts.append(
        f'<text class="size" x="{label:.1f}" y="{height - 16:.1f}" text-anchor="middle">{common:,}'
        '<tspan class="name"> in both</tspan></text>'
    )
    return parts


def _pointed(circles: Circles, origin: float, scale: float, common: int) -> float:
    """Where the line to the number of common members starts; without any, the middle of the picture."""
    return origin + centroid(circles) * scale if common else WIDTH / 2


def _short(name: str) -> str:
    return name if len(name) <= _NAME else f"{name[: _NAME - 1].rstrip()}…"

"""Two kinds of charts as SVG: stacked bars and lines over seconds. A report must open anywhere, alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 900.0, 260.0, 52.0, 24.0, 8.0


@dataclass(frozen=True, slots=True)
class Series:
    """Values at the places of the x axis; None leaves a gap."""

    name: str
    values: Sequence[float | None]


def bars(xs: Sequence[float], series: Sequence[Series], *, unit: str) -> str:
    """Each series on top of the one before."""
    sums = [sum(s.values[i] or 0.0 for s in series) for i in range(len(xs))]
    frame = _Frame(len(xs), max(sums, default=0.0))
    shapes = []
    floor = [0.0] * len(xs)
    for number, one in enumerate(series):
        for i, value in enumerate(one.values):
            if value:
                top, bottom = frame.y(floor[i] + value), frame.y(floor[i])
                label = escape(f"{xs[i]:.4g} s, {one.name}: {value:g} {unit}")
                shapes.append(
                    f'<rect class="s{number}" x="{frame.x(i):.1f}" width="{frame.step * 0.86:.1f}" '
                    f'y="{top:.1f}" height="{bottom - top:.1f}"><title>{label}</title></rect>'
                )
                floor[i] += value
    return frame.draw(xs, series, shapes, unit)


def lines(xs: Sequence[float], series: Sequence[Series], *, unit: str) -> str:
    """A line per series, broken at gaps."""
    frame = _Frame(len(xs), max((v for s in series for v in s.values if v is not None), default=0.0))
    shapes = []
    for number, one in enumerate(series):
        path, pen = [], "M"
        for i, value in enumerate(one.values):
            if value is None:
                pen = "M"
                continue
            path.append(f"{pen}{frame.x(i) + frame.step / 2:.1f},{frame.y(value):.1f}")
            pen = "L"
        shapes.append(f'<path class="l{number}" d="{" ".join(path)}"/>')
    return frame.draw(xs, series, shapes, unit)


class _Frame:
    def __init__(self, places: int, highest: float) -> None:
        self.step = (_WIDTH - _LEFT) / max(1, places)
        self._highest = highest or 1.0

    def x(self, place: int) -> float:
        return _LEFT + place * self.step

    def y(self, value: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - value / self._highest)

    def draw(self, xs: Sequence[float], series: Sequence[Series], shapes: Sequence[str], unit: str) -> str:
        grid = []
        for part in (0.0, 0.25, 0.5, 0.75, 1.0):
            y = self.y(part * self._highest)
            grid.append(f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
            grid.append(
                f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{part * self._highest:.4g}</text>'
            )
        grid += [
            f'<text x="{self.x(i):.1f}" y="{_HEIGHT - 6}">{xs[i]:.3g} s</text>'
            for i in range(0, len(xs), max(1, len(xs) // 10))
        ]
        names = "".join(f'<span><i class="k{n}"></i>{escape(s.name)}</span>' for n, s in enumerate(series))
        return (
            f'<div class="legend">{names}<span class="dim">{escape(unit)}</span></div>'
            f'<svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" aria-label="{escape(unit)} over seconds">'
            f'<g class="grid">{"".join(grid)}</g>{"".join(shapes)}</svg>'
        )

"""Bounding boxes in pixels: overlap, growth, distance. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels; x2 and y2 lie outside. Coordinates may lie outside the picture."""

    x1: int
    y1: int
    x2: int
    y2: int

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return self.x2 - self.x1

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return self.y2 - self.y1

    @property
    def area(self) -> int:
        """Square pixels, 0 for an empty or inverted box."""
        return max(0, self.width) * max(0, self.height)

    def overlap(self, other: Box) -> float:
        """Intersection over union, 0..1."""
        across = min(self.x2, other.x2) - max(self.x1, other.x1)
        down = min(self.y2, other.y2) - max(self.y1, other.y1)
        if across <= 0 or down <= 0:
            return 0.0
        shared = across * down
        return shared / (self.area + other.area - shared)

    def inside(self, other: Box) -> float:
        """Share of this box that lies in the other, 0..1."""
        across = min(self.x2, other.x2) - max(self.x1, other.x1)
        down = min(self.y2, other.y2) - max(self.y1, other.y1)
        return max(0, across) * max(0, down) / self.area if self.area else 0.0

    def distance(self, other: Box) -> float:
        """Between the centres, in widths of the larger box."""
        dx = (self.x1 + self.x2 - other.x1 - other.x2) / 2
        dy = (self.y1 + self.y2 - other.y1 - other.y2) / 2
        return (dx * dx + dy * dy) ** 0.5 / max(self.width, other.width, 1)

    def grown(self, share: float) -> Box:
        """The same centre, `share` of the size added on each side (0.1: a tenth left, right, above and below)."""
        dx, dy = round(self.width * share), round(self.height * share)
        return Box(self.x1 - dx, self.y1 - dy, self.x2 + dx, self.y2 + dy)

    def scaled(self, factor: float) -> Box:
        """All coordinates times `factor`, rounded."""
        return Box(round(self.x1 * factor), round(self.y1 * factor), round(self.x2 * factor), round(self.y2 * factor))

"""Drawings for the demo's hotels, attractions and items, made by code: the same bytes at every run, small, distinct."""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]
Shape = tuple[Any, ...]
"""What to draw, in hundredths of the picture: ("box", colour, x, y, width, height), ("disc", colour, x, y, radius)
or ("form", colour, x1, y1, x2, y2, ...)."""

PLACES: Final = tuple(f"{number}.png" for number in range(1, 9))
"""Names of the logos of hotels, and of attractions."""
WIDTH, HEIGHT, SIDE = 640, 360, 320
"""Pixels: of hotels and attractions, and of items, which are square."""
JPEG_QUALITY: Final = 88

_COLOURS: Final[Mapping[str, Colour]] = {  # blue, green, red
    "white": (250, 250, 250), "cream": (205, 236, 252), "grey": (150, 145, 140), "dark": (60, 50, 45),
    "brown": (45, 82, 139), "tan": (120, 170, 215), "gold": (60, 175, 225), "red": (60, 60, 205),
    "orange": (50, 140, 240), "green": (80, 150, 75), "leaf": (60, 110, 40), "blue": (190, 120, 50),
    "sky": (235, 200, 150), "pink": (180, 160, 240), "plum": (110, 50, 110), "steel": (190, 180, 170),
}  # fmt: skip

FOOD: Final[Mapping[str, Sequence[Shape]]] = {
    "tea.jpg": [
        ("box", "steel", 30, 34, 40, 52), ("box", "orange", 34, 30, 32, 50), ("box", "steel", 30, 80, 40, 6),
        ("box", "steel", 70, 44, 12, 4), ("box", "steel", 78, 44, 4, 24), ("box", "steel", 70, 64, 12, 4),
    ],
    "coffee.jpg": [
        ("form", "white", 30, 34, 70, 34, 64, 88, 36, 88), ("form", "brown", 32, 46, 68, 46, 66, 68, 34, 68),
        ("box", "dark", 27, 28, 46, 7),
    ],
    "water.jpg": [
        ("box", "sky", 38, 32, 24, 58), ("box", "blue", 38, 52, 24, 18), ("box", "sky", 44, 20, 12, 14),
        ("box", "blue", 43, 14, 14, 7),
    ],
    "juice.jpg": [
        ("box", "orange", 34, 26, 32, 62), ("disc", "gold", 50, 58, 12),
        ("form", "cream", 34, 26, 66, 26, 58, 14, 42, 14),
    ],
    "sandwich.jpg": [
        ("form", "tan", 16, 44, 84, 44, 50, 20), ("box", "green", 16, 46, 68, 6), ("box", "gold", 18, 53, 64, 6),
        ("box", "red", 16, 60, 68, 6), ("box", "tan", 16, 68, 68, 14),
    ],
    "pie.jpg": [
        ("disc", "tan", 50, 54, 36), ("disc", "brown", 50, 54, 30), ("box", "tan", 47, 22, 6, 64),
        ("box", "tan", 18, 51, 64, 6),
    ],
    "chocolate.jpg": [
        ("box", "plum", 24, 40, 52, 46), ("box", "brown", 28, 14, 20, 24), ("box", "brown", 52, 14, 20, 24),
        ("box", "gold", 24, 56, 52, 8),
    ],
    "apple.jpg": [
        ("disc", "red", 40, 58, 22), ("disc", "red", 60, 58, 22), ("box", "brown", 48, 20, 4, 20),
        ("form", "leaf", 52, 30, 72, 18, 68, 34),
    ],
    "soup.jpg": [
        ("form", "white", 16, 50, 84, 50, 70, 82, 30, 82), ("form", "red", 20, 50, 80, 50, 74, 58, 26, 58),
        ("disc", "green", 42, 52, 3), ("disc", "green", 58, 54, 3), ("box", "steel", 36, 84, 28, 5),
    ],
    "cookies.jpg": [
        ("disc", "tan", 38, 42, 22), ("disc", "tan", 62, 64, 22), ("disc", "brown", 32, 36, 4),
        ("disc", "brown", 45, 46, 4),
        ("disc", "brown", 56, 60, 4), ("disc", "brown", 70, 70, 4), ("disc", "brown", 68, 54, 3),
    ],
}  # fmt: skip
CITY: Final[Mapping[str, Sequence[Shape]]] = {
    "magnet.jpg": [
        ("box", "red", 24, 20, 18, 44), ("box", "red", 58, 20, 18, 44), ("box", "red", 24, 56, 52, 20),
        ("box", "steel", 24, 14, 18, 12), ("box", "steel", 58, 14, 18, 12),
    ],
    "postcard.jpg": [
        ("box", "cream", 12, 26, 76, 50), ("box", "red", 70, 32, 12, 14), ("box", "grey", 50, 30, 2, 42),
        ("box", "grey", 56, 56, 26, 2), ("box", "grey", 56, 64, 26, 2), ("form", "blue", 16, 70, 30, 42, 46, 70),
    ],
    "snow-globe.jpg": [
        ("disc", "sky", 50, 46, 32), ("form", "green", 36, 64, 64, 64, 50, 24), ("disc", "white", 34, 36, 3),
        ("disc", "white", 64, 34, 3), ("disc", "white", 60, 50, 3), ("box", "brown", 24, 72, 52, 14),
    ],
    "matryoshka.jpg": [
        ("disc", "red", 50, 34, 18), ("disc", "cream", 50, 36, 11), ("disc", "red", 50, 66, 24),
        ("disc", "gold", 50, 68, 13),
        ("disc", "green", 50, 68, 5),
    ],
    "mug.jpg": [
        ("box", "blue", 24, 30, 42, 54), ("disc", "blue", 68, 56, 16), ("disc", "cream", 68, 56, 9),
        ("box", "blue", 52, 32, 14, 50), ("form", "white", 34, 66, 45, 42, 56, 66),
    ],
}  # fmt: skip
TRAIN: Final[Mapping[str, Sequence[Shape]]] = {
    "locomotive.jpg": [
        ("box", "red", 16, 50, 50, 22), ("box", "dark", 60, 30, 24, 42), ("box", "sky", 65, 35, 14, 12),
        ("box", "dark", 24, 32, 8, 20), ("disc", "steel", 28, 76, 9), ("disc", "steel", 50, 76, 9),
        ("disc", "steel", 74, 76, 9),
    ],
    "wagon.jpg": [
        ("box", "green", 12, 34, 76, 36), ("box", "cream", 18, 40, 14, 12), ("box", "cream", 43, 40, 14, 12),
        ("box", "cream", 68, 40, 14, 12), ("box", "gold", 12, 60, 76, 3), ("disc", "dark", 28, 74, 7),
        ("disc", "dark", 72, 74, 7),
    ],
    "glass-holder.jpg": [
        ("form", "sky", 32, 12, 68, 12, 66, 50, 34, 50), ("box", "gold", 30, 40, 40, 46), ("disc", "brown", 50, 62, 11),
        ("box", "gold", 70, 48, 14, 4), ("box", "gold", 80, 48, 4, 22), ("box", "gold", 70, 66, 14, 4),
    ],
    "conductor-cap.jpg": [
        ("form", "blue", 18, 46, 34, 24, 66, 24, 82, 46), ("box", "dark", 20, 46, 60, 12),
        ("form", "dark", 16, 58, 84, 58, 72, 70, 28, 70), ("disc", "gold", 50, 40, 6),
    ],
    "keyring.jpg": [
        ("disc", "steel", 50, 26, 16), ("disc", "cream", 50, 26, 11), ("box", "steel", 48, 40, 4, 10),
        ("box", "red", 32, 50, 36, 34), ("box", "white", 38, 56, 24, 10), ("disc", "dark", 42, 78, 3),
        ("disc", "dark", 58, 78, 3),
    ],
    "blanket.jpg": [
        ("box", "plum", 18, 28, 64, 54), ("box", "pink", 18, 36, 64, 6), ("box", "pink", 18, 50, 64, 6),
        ("box", "pink", 18, 64, 64, 6), ("box", "gold", 28, 28, 5, 54), ("box", "gold", 67, 28, 5, 54),
    ],
    "model-train.jpg": [
        ("form", "white", 8, 66, 8, 46, 66, 40, 92, 60, 92, 66), ("form", "sky", 66, 44, 82, 55, 66, 55),
        ("box", "red", 8, 58, 84, 4), ("box", "sky", 16, 47, 10, 8), ("box", "sky", 32, 46, 10, 8),
        ("box", "sky", 48, 45, 10, 8),
        ("box", "grey", 4, 68, 92, 3),
    ],
}  # fmt: skip
ITEMS: Final[Mapping[str, Sequence[Shape]]] = {**FOOD, **CITY, **TRAIN}
"""Logos of items by their names, and what is on them."""


def draw(folder: Path) -> int:
    """Draw whatever is not there yet below `folder`/logos; gives how many files were made."""
    wanted: dict[Path, Callable[[], Image]] = {}
    for at, name in enumerate(PLACES):
        wanted[folder / "logos" / "hotels" / name] = lambda at=at: hotel(at)
        wanted[folder / "logos" / "attractions" / name] = lambda at=at: attraction(at)
    for name in ITEMS:
        wanted[folder / "logos" / "items" / name] = lambda name=name: item(name)
    missing = {path: make for path, make in wanted.items() if not path.exists()}
    for path, make in missing.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, make())
    return len(missing)


def hotel(at: int) -> Image:
    """A house by night: its height, its windows and its colour are its own."""
    image = _background(WIDTH, HEIGHT, 0.55 + at * 0.05, dusk=True)
    floors, columns = 3 + at % 4, 4 + (at * 3) % 4
    width, height = 30 + columns * 5, 18 + floors * 10
    left, top = 50 - width // 2, 92 - height
    wall = _tint(at * 0.13, 0.45, 0.62)
    _paint(image, ("box", wall, left, top, width, height), ("box", "dark", left - 2, top - 4, width + 4, 5))
    for floor in range(floors):
        for column in range(columns):
            lit = (floor * 5 + column * 3 + at) % 4 != 0
            x = left + (column + 0.25) * width / columns
            y = top + 4 + floor * (height - 14) / floors
            _paint(image, ("box", "gold" if lit else "dark", x, y, 0.5 * width / columns, 7))
    _paint(image, ("box", "brown", 47, 83, 6, 9), ("box", "dark", 0, 92, 100, 8))
    for star in range(3 + at % 3):
        _paint(image, ("disc", "gold", 44 + star * 4, top - 9, 1.4))
    return image


_SIGHTS: Final[Sequence[Sequence[Shape]]] = (
    [("box", "red", 38, 30, 24, 60), ("form", "green", 36, 30, 64, 30, 50, 4), ("disc", "cream", 50, 44, 7)],
    [("box", "white", 26, 52, 48, 38), ("disc", "gold", 50, 48, 17), ("box", "gold", 49, 14, 2, 18)],
    [("form", "grey", 10, 76, 24, 76, 24, 40, 10, 40), ("form", "grey", 76, 76, 90, 76, 90, 40, 76, 40),
     ("form", "steel", 17, 44, 83, 44, 83, 52, 17, 52), ("box", "blue", 0, 76, 100, 24)],
    [("box", "cream", 18, 84, 64, 6), ("form", "cream", 16, 44, 84, 44, 50, 22), *[
        ("box", "cream", 20 + n * 12, 46, 6, 38) for n in range(6)]],
    [("box", "grey", 46, 30, 8, 56), ("form", "grey", 46, 30, 54, 30, 50, 10), ("box", "grey", 34, 84, 32, 6)],
    [("form", "leaf", 12, 84, 40, 84, 26, 24), ("form", "green", 36, 86, 68, 86, 52, 34), ("disc", "leaf", 78, 56, 15),
     ("box", "brown", 77, 64, 2, 22)],
    [("form", "brown", 18, 70, 84, 70, 74, 84, 28, 84), ("box", "dark", 50, 22, 1.4, 48),
     ("form", "white", 49, 24, 49, 64, 26, 64), ("form", "cream", 53, 28, 53, 64, 76, 64),
     ("box", "blue", 0, 82, 100, 18)],
    [("disc", "steel", 50, 82, 26), ("disc", "sky", 50, 80, 21), ("box", "white", 49, 40, 2, 38),
     ("disc", "white", 43, 46, 2.5), ("disc", "white", 57, 46, 2.5), ("disc", "white", 50, 36, 3)],
)  # fmt: skip


def attraction(at: int) -> Image:
    """A sight by day: a tower, a dome, a bridge, a theatre, an obelisk, a park, a ship, a fountain."""
    image = _background(WIDTH, HEIGHT, 0.52 + at * 0.015, dusk=False)
    _paint(image, ("disc", "gold", 12 + at * 10, 16, 5), ("box", "green", 0, 90, 100, 10), *_SIGHTS[at])
    return image


def item(name: str) -> Image:
    """Something to buy, on a plain ground."""
    image = _background(SIDE, SIDE, list(ITEMS).index(name) / len(ITEMS), dusk=False)
    _paint(image, *ITEMS[name])
    return image


def _background(width: int, height: int, hue: float, *, dusk: bool) -> Image:
    above, below = (
        (_tint(hue, 0.55, 0.30), _tint(hue, 0.35, 0.62)) if dusk else (_tint(hue, 0.22, 0.98), (250, 250, 250))
    )
    share = np.linspace(0, 1, height)[:, None, None]
    rows = np.array(above) * (1 - share) + np.array(below) * share
    return np.ascontiguousarray(np.broadcast_to(np.rint(rows), (height, width, 3)).astype(np.uint8))


def _tint(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return round(blue * 255), round(green * 255), round(red * 255)


def _paint(image: Image, *shapes: Shape) -> None:
    """Shapes one over the other; edges are smooth."""
    height, width = image.shape[:2]
    for kind, named, *numbers in shapes:
        colour = _COLOURS[named] if isinstance(named, str) else named
        if kind == "disc":
            x, y, radius = numbers
            at = (round(x * width / 100), round(y * height / 100))
            cv2.circle(image, at, round(radius * height / 100), colour, cv2.FILLED, cv2.LINE_AA)
            continue
        corners = _corners(*numbers) if kind == "box" else numbers
        scale = np.array([width / 100, height / 100])
        points = np.rint(np.array(corners, dtype=np.float64).reshape(-1, 2) * scale).astype(np.int32)
        cv2.fillPoly(image, [points], colour, cv2.LINE_AA)


def _corners(x: float, y: float, width: float, height: float) -> list[float]:
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def _write(path: Path, image: Image) -> None:
    """In one piece: nobody sees half of a file."""
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if path.suffix == ".jpg" else [cv2.IMWRITE_PNG_COMPRESSION, 9]
    done, encoded = cv2.imencode(path.suffix, image, options)
    if not done:
        raise ValueError(f"{path.name} could not be encoded")
    part = path.with_name(path.name + ".part")
    part.write_bytes(encoded.tobytes())
    part.replace(path)

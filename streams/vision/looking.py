"""How to look at a video: what the runner may set, checked. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, get_args

import msgspec

from streams.vision.yolo_layouts import Layout
from streams.workers import BadInput


@dataclass(frozen=True, slots=True)
class Looking:
    """Settings of a look at a video.

    - `model`: path of an ONNX file of the YOLO family or an SSD; empty: OpenCV's own people detector.
    - `classes`: names that are reported; none: all. `names`: the model's class names in its order; none: as the model
      says, else those of COCO.
    - `layout`: how the model's output lies, `auto` tells it by its shape. `input_size`: side of the square for a model
      that takes any. `bgr`, `mean`, `std`: of the model's input, after division by 255 (not for one that takes bytes).
    - `score`: least confidence. `nms`: overlap above which one of two is dropped. `most`: at most this many a picture.
    - `width`: the people detector sees pictures of this width, enlarged `enlarge` times at most; `pyramid` is the step
      between the sizes that it tries.
    - `interval`: frames that are told together. `every`: look at each n-th frame; 0: `per_second` looks a second.
    - `motion`: look only where something moves, but after `refresh_s` in any case.
    - `hits` sightings open a track; `lose_s` without one close it.
    """

    model: str = ""
    classes: tuple[str, ...] = ("person",)
    names: tuple[str, ...] = ()
    layout: Layout = "auto"
    input_size: int = 640
    bgr: bool = False
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    score: float = 0.5
    nms: float = 0.45
    most: int = 100
    width: int = 960
    enlarge: float = 2.0
    pyramid: float = 1.1
    interval: int = 25
    every: int = 0
    per_second: float = 5.0
    motion: bool = True
    refresh_s: float = 5.0
    hits: int = 3
    lose_s: float = 1.5


_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "input_size": (32, 4096),
    "score": (0.01, 1),
    "nms": (0, 1),
    "most": (1, 1000),
    "width": (64, 4096),
    "enlarge": (0.1, 4),
    "pyramid": (1.01, 2),
    "interval": (1, 10_000),
    "every": (0, 10_000),
    "per_second": (0.01, 1000),
    "refresh_s": (0, 3600),
    "hits": (1, 100),
    "lose_s": (0, 3600),
}
NAMES: Final = frozenset(one.name for one in fields(Looking))


def looking(options: Mapping[str, Any], settings: Mapping[str, Any]) -> Looking:
    """The worker's options (those that are no setting are passed over), and the request's settings above them.

    Raises:
        BadInput: an unknown setting, or a value of the wrong kind or out of range.
    """
    if unknown := sorted(settings.keys() - NAMES):
        raise BadInput(f"There is no setting {unknown[0]!r} of vision; there are {', '.join(sorted(NAMES))}.")
    given = {name: value for name, value in options.items() if name in NAMES} | dict(settings)
    try:
        made = msgspec.convert(given, Looking)
    except msgspec.ValidationError as wrong:
        raise BadInput(
            f"The settings of vision are wrong: {wrong}; layouts are {', '.join(get_args(Layout))}."
        ) from wrong
    for name, (least, most) in _RANGES.items():
        if not least <= getattr(made, name) <= most:
            raise BadInput(f"The setting {name} of vision is {least:g} to {most:g}, not {getattr(made, name):g}.")
    return made

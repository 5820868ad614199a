"""Names of the classes that published detectors know. Data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_NAMES: Final = (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,"
    "parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,"
    "suitcase,frisbee,skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,"
    "tennis racket,bottle,wine glass,cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,"
    "hot dog,pizza,donut,cake,chair,couch,potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,"
    "cell phone,microwave,oven,toaster,sink,refrigerator,book,clock,vase,scissors,teddy bear,hair drier,"
    "toothbrush"
)
COCO: Final[tuple[str, ...]] = tuple(_NAMES.split(","))
"""The 80 classes as the YOLO family counts them, from 0."""
_LEFT_OUT: Final = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83})
COCO_SSD: Final[Mapping[int, str]] = dict(zip((one for one in range(1, 91) if one not in _LEFT_OUT), COCO, strict=True))
"""The same classes by their numbers in the data set, as SSDs count them: from 1, with ten gaps."""

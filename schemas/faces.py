"""What everybody says who describes faces. Descriptions of different models cannot be compared."""

from __future__ import annotations

from typing import Final

MODEL: Final = "dlib-resnet-1"
"""dlib's residual network of 2017: 128 numbers of 32 bits, little-endian."""

"""What is painted rather than written: the backdrop, the signs of the categories, stand-ins for pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QImage, QLinearGradient, QPainter, QPaintEvent, QPen, QPixmap, QPolygonF
from PySide6.QtWidgets import QWidget

from edge_agents.robot.pictures import Picture

NIGHT, DUSK, PAPER, INK, SIGNAL = (QColor(name) for name in ("#14213d", "#274472", "#fbfaf5", "#1d2433", "#e76f51"))
STYLE: Final = """
QWidget { color: #1d2433; font-family: "DejaVu Sans", "Liberation Sans", sans-serif; font-size: 20px; }
QLabel { background: transparent; }
QLabel#title { color: #fbfaf5; font-size: 34px; font-weight: bold; }
QLabel#hint { color: #dbe4f0; font-size: 22px; }
QLabel#notice { color: #ffd6a5; font-size: 22px; }
QLabel#name { font-weight: bold; font-size: 21px; }
QLabel#price { color: #b5452c; font-weight: bold; font-size: 24px; }
QLabel#video { background: #0b1326; border: 4px solid #fbfaf5; border-radius: 12px; }
QFrame#card { background: #fbfaf5; border-radius: 14px; }
QPushButton { background: #fbfaf5; border: none; border-radius: 16px; padding: 18px 28px; font-size: 26px; }
QPushButton:pressed { background: #e9c46a; }
QPushButton:disabled { background: #8d99ae; color: #59657a; }
QPushButton#back, QPushButton#exit { background: #e76f51; color: #fbfaf5; padding: 10px 24px; font-size: 22px; }
QLineEdit { background: #fbfaf5; border-radius: 12px; padding: 8px 14px; }
QScrollArea { background: transparent; border: none; }
"""


class Backdrop(QWidget):
    """A page with hills at dusk and a railway line below."""

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Paint it to the window's size."""
        del event
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        width, height = self.width(), self.height()
        sky = QLinearGradient(0, 0, 0, height)
        sky.setColorAt(0, NIGHT)
        sky.setColorAt(1, DUSK)
        painter.fillRect(self.rect(), QBrush(sky))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor("#1b3a5c"))
        hills = [(0.0, 0.80), (0.18, 0.66), (0.36, 0.78), (0.58, 0.62), (0.8, 0.76), (1.0, 0.68)]
        points = [QPointF(x * width, y * height) for x, y in hills]
        painter.drawPolygon(QPolygonF([QPointF(0, height), *points, QPointF(width, height)]))
        painter.setPen(QPen(QColor("#8d99ae"), 3))
        for y in (height - 26, height - 10):
            painter.drawLine(0, y, width, y)
        painter.setPen(QPen(QColor("#5c677d"), 6))
        for x in range(10, width, 34):
            painter.drawLine(x, height - 31, x - 8, height - 5)
        painter.end()


def _stars(painter: QPainter) -> None:
    for x, y, size in ((30, 34, 18), (66, 26, 12), (58, 66, 22)):
        painter.drawPolygon(
            QPolygonF([
                QPointF(x, y - size), QPointF(x + size / 3, y - size / 3), QPointF(x + size, y),
                QPointF(x + size / 3, y + size / 3), QPointF(x, y + size), QPointF(x - size / 3, y + size / 3),
                QPointF(x - size, y), QPointF(x - size / 3, y - size / 3),
            ])
        )  # fmt: skip


def _towers(painter: QPainter) -> None:
    for x, top, width in ((14, 44, 22), (40, 20, 20), (64, 52, 24)):
        painter.drawRect(QRectF(x, top, width, 84 - top))
        painter.drawPolygon(
            QPolygonF([QPointF(x - 2, top), QPointF(x + width / 2, top - 16), QPointF(x + width + 2, top)])
        )


def _engine(painter: QPainter) -> None:
    painter.drawRoundedRect(QRectF(16, 40, 52, 28), 6, 6)
    painter.drawRect(QRectF(58, 22, 26, 46))
    painter.drawRect(QRectF(24, 24, 10, 18))
    for x in (24, 46, 68):
        painter.drawEllipse(QPointF(x + 4, 76), 9, 9)


def _cup(painter: QPainter) -> None:
    painter.drawRoundedRect(QRectF(22, 36, 42, 44), 8, 8)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(SIGNAL, 6))
    painter.drawArc(QRectF(54, 44, 26, 24), -90 * 16, 180 * 16)
    for x in (32, 43, 54):
        painter.drawLine(x, 28, x + 4, 16)


SIGNS: Final[Mapping[str, Callable[[QPainter], None]]] = MappingProxyType(
    {"recommendations": _stars, "city_souvenirs": _towers, "train_souvenirs": _engine, "food": _cup}
)


def sign(name: str, size: int = 96) -> QPixmap:
    """The sign of a category; a plain circle for any other name."""
    pixmap = QPixmap(size, size)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.scale(size / 96, size / 96)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(SIGNAL)
    SIGNS.get(name, lambda its: its.drawEllipse(QPointF(48, 48), 36, 36))(painter)
    painter.end()
    return pixmap


def pixmap_of(picture: Picture) -> QPixmap:
    """A BGR frame."""
    height, width = picture.shape[:2]
    image = QImage(picture.tobytes(), width, height, 3 * width, QImage.Format.Format_BGR888)
    return QPixmap.fromImage(image)


def filling(pixmap: QPixmap, width: int, height: int) -> QPixmap:
    """Scaled until it fills the area, its middle cut out."""
    keep, smooth = Qt.AspectRatioMode.KeepAspectRatioByExpanding, Qt.TransformationMode.SmoothTransformation
    scaled = pixmap.scaled(width, height, keep, smooth)
    return scaled.copy((scaled.width() - width) // 2, (scaled.height() - height) // 2, width, height)

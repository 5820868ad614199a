"""The pages of passengers: look into the camera, a verdict, the menu, what there is at the destination."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from edge_agents.robot.events import Event, Pressed
from edge_agents.robot.fsm import knows_train
from edge_agents.robot.screen.drawing import Backdrop, filling, pixmap_of
from edge_agents.robot.screen.shown import Shown
from edge_agents.robot.shapes import Place
from edge_agents.robot.states import DestinationInfo, TicketChecking, TicketCheckingResult, UserMenu, World
from edge_agents.robot.video import Shot

VIDEO: Final = (476, 486)
FRAME_MS: Final = 30


@dataclass(frozen=True, slots=True)
class Desk:
    """What a page works with."""

    happen: Callable[[Event], None]
    texts: Mapping[str, str]
    shown: Shown
    newest: Callable[[], Shot | None]


class Page(Backdrop):
    """One page. `renew` shows a state of its kind."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk

    def renew(self, world: World) -> None:
        """Show the world's state."""

    def text(self, which: str, /, **told: Any) -> str:
        """A text of the chosen language."""
        return self.desk.texts[which].format(**told)

    def press(self, button: str) -> Callable[[], None]:
        """What a button does."""
        return lambda: self.desk.happen(Pressed(button))

    def button(self, name: str, kind: str | None = None) -> QPushButton:
        """A button with its text; `kind` styles it."""
        made = QPushButton(self.text(name))
        made.setObjectName(kind or name)
        made.setAccessibleName(name)
        made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        made.clicked.connect(self.press(name))
        return made


def label(kind: str, text: str = "", *, wraps: bool = True) -> QLabel:
    """A text of a kind that the style knows; it is shown as it is, whatever it holds."""
    made = QLabel(text)
    made.setObjectName(kind)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setWordWrap(wraps)
    return made


def emptied(layout: QLayout) -> None:
    """Take everything out of a layout."""
    while (item := layout.takeAt(0)) is not None:
        widget = item.widget()
        if widget is not None:
            widget.hide()
            widget.deleteLater()


def scrolling() -> tuple[QScrollArea, QVBoxLayout]:
    """An area that scrolls up and down, and the column in it."""
    area, inside = QScrollArea(), QWidget()
    inside.setObjectName("column")
    inside.setStyleSheet("QWidget#column { background: transparent; }")
    column = QVBoxLayout(inside)
    column.setContentsMargins(0, 0, 8, 0)
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(inside)
    area.viewport().setAutoFillBackground(False)
    return area, column


class CameraPage(Page):
    """The live picture, and what to do; for tickets and for passengers."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.title = label("title", self.text("look"))
        self.code = label("hint")
        self.video = QLabel()
        self.video.setObjectName("video")
        self.video.setFixedSize(*VIDEO)
        left = QVBoxLayout()
        left.addStretch()
        for part in (self.title, label("hint", self.text("look_hint")), self.code):
            left.addWidget(part)
        left.addStretch()
        row = QHBoxLayout(self)
        row.setContentsMargins(60, 30, 56, 57)
        row.addLayout(left, 1)
        row.addWidget(self.video)
        self._number = 0
        self._timer = QTimer(self)
        self._timer.setInterval(FRAME_MS)
        self._timer.timeout.connect(self.look)
        self._timer.start()

    def renew(self, world: World) -> None:
        """Tickets may be shown as a code, too."""
        checking = isinstance(world.state, TicketChecking)
        self.title.setText(self.text("look_ticket" if checking else "look"))
        self.code.setText(self.text("look_code") if checking else "")

    def look(self) -> None:
        """Show the newest frame, while the page is seen."""
        shot = self.desk.newest() if self.isVisible() else None
        if shot is not None and shot.number != self._number:
            self._number = shot.number
            self.video.setPixmap(filling(pixmap_of(shot.picture), *VIDEO))


class VerdictPage(Page):
    """Welcome, or not."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.title, self.hint, self.more = label("title"), label("hint"), label("notice")
        column = QVBoxLayout(self)
        column.setContentsMargins(80, 80, 80, 120)
        for part in (self.title, self.hint, self.more):
            part.setAlignment(Qt.AlignmentFlag.AlignCenter)
            column.addWidget(part)

    def renew(self, world: World) -> None:
        """A greeting with the seat; or a refusal, with the ticket that would be right where it is known."""
        state = world.state
        if not isinstance(state, TicketCheckingResult):
            return
        ticket = state.verdict.ticket
        if state.verdict.valid and ticket is not None:
            named = self.text("welcome", name=state.user.name) if state.user else self.text("welcome_nobody")
            self.title.setText(named)
            self.hint.setText(self.text("seat", wagon=ticket.wagon_number, place=ticket.place_number))
            self.more.setText("")
            return
        self.title.setText(self.text("refused"))
        self.hint.setText(self.text("refused_hint"))
        self.more.setText("" if ticket is None else self.text(
            "right_ticket", train=ticket.train_number, wagon=ticket.wagon_number,
            place=ticket.place_number, date=f"{ticket.date:%d.%m.%Y}",
        ))  # fmt: skip


class MenuPage(Page):
    """Shops, information, exit."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.title, self.notice = label("title"), label("notice")
        self.shops, self.information, self.exit = (self.button(name) for name in ("shops", "information", "exit"))
        column = QVBoxLayout(self)
        column.setContentsMargins(90, 50, 90, 90)
        column.addWidget(self.title)
        column.addWidget(self.notice)
        row = QHBoxLayout()
        row.setSpacing(40)
        for button in (self.shops, self.information):
            button.setMinimumHeight(180)
            row.addWidget(button)
        column.addLayout(row, 1)
        column.addWidget(self.exit, alignment=Qt.AlignmentFlag.AlignRight)

    def renew(self, world: World) -> None:
        """What can be pressed now."""
        state = world.state
        if not isinstance(state, UserMenu):
            return
        self.title.setText(self.text("hello", name=state.user.name))
        open_now = knows_train(world) and not state.waiting
        self.shops.setEnabled(open_now)
        self.information.setEnabled(open_now)
        notice = "waiting" if state.waiting else state.notice or ("" if knows_train(world) else "no_train")
        self.notice.setText(self.text(notice) if notice else "")


class PlacesPage(Page):
    """Two columns of cards: hotels and sights."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.notice = label("notice")
        self._shown: object = None
        column = QVBoxLayout(self)
        column.setContentsMargins(40, 20, 40, 50)
        head = QHBoxLayout()
        head.addWidget(self.notice, 1)
        self.back = self.button("back")
        head.addWidget(self.back)
        column.addLayout(head)
        row = QHBoxLayout()
        self.columns: list[QVBoxLayout] = []
        for name in ("hotels", "attractions"):
            area, cards = scrolling()
            side = QVBoxLayout()
            side.addWidget(label("title", self.text(name)))
            side.addWidget(area, 1)
            row.addLayout(side, 1)
            self.columns.append(cards)
        column.addLayout(row, 1)

    def renew(self, world: World) -> None:
        """Cards once they are known."""
        state = world.state
        if not isinstance(state, DestinationInfo):
            return
        self.notice.setText(self._said(state))
        if self._shown == (state.hotels, state.attractions):
            return
        self._shown = (state.hotels, state.attractions)
        for cards, places in zip(self.columns, (state.hotels, state.attractions), strict=True):
            emptied(cards)
            for place in places or ():
                cards.addWidget(self._card(place))
            cards.addStretch()

    def _said(self, state: DestinationInfo) -> str:
        if state.destination_id is None:
            return self.text("no_journey")
        if state.hotels is None:
            return self.text("waiting")
        if state.notice:
            return self.text(state.notice)
        return "" if state.hotels or state.attractions else self.text("nothing")

    def _card(self, place: Place) -> QFrame:
        card = QFrame()
        card.setObjectName("card")
        column = QVBoxLayout(card)
        picture = QLabel()
        picture.setFixedSize(420, 200)
        picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        column.addWidget(label("name", place.name))
        column.addWidget(picture)
        column.addWidget(label("text", place.description))
        self.desk.shown.on(picture, place.logo_url)
        return card

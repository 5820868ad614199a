"""The pages of the shop: kinds of things, a catalogue, one thing."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QIcon, QMouseEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from edge_agents.robot.events import CategoryPressed, ItemPressed
from edge_agents.robot.screen.drawing import sign
from edge_agents.robot.screen.pages import Desk, Page, emptied, label, scrolling
from edge_agents.robot.screen.texts import found, price
from edge_agents.robot.servers import item_picture
from edge_agents.robot.shapes import Item
from edge_agents.robot.states import CATEGORIES, Catalog, StoreCategorySelection, StoreItem, World

TILE: Final = (150, 120)
PICTURE: Final = (420, 400)


class CategoriesPage(Page):
    """Four tiles."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.title = label("title", self.text("categories"))
        column = QVBoxLayout(self)
        column.setContentsMargins(60, 24, 60, 60)
        head = QHBoxLayout()
        head.addWidget(self.title, 1)
        self.back = self.button("back")
        head.addWidget(self.back)
        column.addLayout(head)
        grid = QGridLayout()
        grid.setSpacing(24)
        self.tiles: dict[str, QPushButton] = {}
        for number, name in enumerate(CATEGORIES):
            tile = self.tiles[name] = QPushButton(self.text(name))
            tile.setIcon(QIcon(sign(name)))
            tile.setIconSize(QSize(84, 84))
            tile.setMinimumHeight(150)
            tile.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            tile.clicked.connect(lambda _checked=False, name=name: desk.happen(CategoryPressed(name)))
            grid.addWidget(tile, number // 2, number % 2)
        column.addLayout(grid, 1)

    def renew(self, world: World) -> None:
        """Which shop it is."""
        if isinstance(world.state, StoreCategorySelection):
            self.title.setText(f"{world.state.store.name}. {self.text('categories')}")


class Tile(QFrame):
    """A thing in the catalogue: picture, name, price."""

    def __init__(self, desk: Desk, item: Item) -> None:
        super().__init__()
        self.setObjectName("card")
        self._desk, self.item = desk, item
        row = QHBoxLayout(self)
        picture = QLabel()
        picture.setFixedSize(*TILE)
        picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        row.addWidget(picture)
        told = QVBoxLayout()
        told.addWidget(label("name", item.name))
        told.addWidget(label("price", price(item)))
        row.addLayout(told, 1)
        desk.shown.on(picture, item_picture(item.logo_url), item.category)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """A tap."""
        del event
        self._desk.happen(ItemPressed(self.item.id))


class CatalogPage(Page):
    """Two columns of tiles, and a field that looks for words in them."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.title, self.notice = label("title", wraps=False), label("notice")
        self.search = QLineEdit()
        self.search.setPlaceholderText(self.text("search"))
        self.search.textChanged.connect(self._lay_out)
        self._items: tuple[Item, ...] = ()
        self._category = ""
        self.tiles: list[Tile] = []
        column = QVBoxLayout(self)
        column.setContentsMargins(40, 20, 40, 50)
        head = QHBoxLayout()
        head.addWidget(self.title)
        head.addWidget(self.search, 1)
        self.back = self.button("back")
        head.addWidget(self.back)
        column.addLayout(head)
        column.addWidget(self.notice)
        self.area, inside = scrolling()
        self._grid = QGridLayout()
        self._grid.setSpacing(16)
        inside.addLayout(self._grid)
        inside.addStretch()
        column.addWidget(self.area, 1)

    def renew(self, world: World) -> None:
        """The tiles; laid out anew only when they are others, so that "back" finds the page where it was."""
        state = world.state
        if not isinstance(state, Catalog):
            return
        self.title.setText(self.text(state.category))
        items = state.items or ()
        if state.items is None or state.notice:
            self.notice.setText(self.text(state.notice or "waiting"))
        else:
            self.notice.setText("" if items else self.text("nothing"))
        self.notice.setVisible(bool(self.notice.text()))
        if items != self._items or state.category != self._category:
            if state.category != self._category:
                self.search.clear()
                self.area.verticalScrollBar().setValue(0)
            self._items, self._category = items, state.category
            self._lay_out()

    def _lay_out(self) -> None:
        emptied(self._grid)
        self.tiles = [Tile(self.desk, item) for item in found(self._items, self.search.text())]
        for number, tile in enumerate(self.tiles):
            self._grid.addWidget(tile, number // 2, number % 2)
        if len(self.tiles) == 1:
            self._grid.addWidget(QWidget(), 0, 1)


class ItemPage(Page):
    """One thing, and the button that buys it."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.name, self.about, self.balance = label("title"), label("hint"), label("hint")
        self.price, self.notice = label("title"), label("notice")
        self.buy, self.back = self.button("buy"), self.button("back")
        self.picture = QLabel()
        self.picture.setFixedSize(*PICTURE)
        self.picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._path = ""
        row = QHBoxLayout(self)
        row.setContentsMargins(50, 30, 50, 60)
        row.setSpacing(40)
        row.addWidget(self.picture)
        column = QVBoxLayout()
        column.addWidget(self.back, alignment=Qt.AlignmentFlag.AlignRight)
        for part in (self.name, self.about, self.price, self.balance, self.notice):
            column.addWidget(part)
        column.addStretch()
        column.addWidget(self.buy)
        row.addLayout(column, 1)

    def renew(self, world: World) -> None:
        """What it is, and how the purchase goes."""
        state = world.state
        if not isinstance(state, StoreItem):
            return
        item = state.item
        self.name.setText(item.name)
        self.about.setText(item.description)
        self.price.setText(price(item))
        self.balance.setText("" if item.balance is None else self.text("balance", count=item.balance))
        self.buy.setEnabled(not state.buying and item.balance != 0)
        self.notice.setText(self._said(state))
        path = item_picture(item.logo_url)
        if path != self._path:
            self._path = path
            self.desk.shown.on(self.picture, path, item.category)

    def _said(self, state: StoreItem) -> str:
        if state.buying:
            return self.text("waiting")
        if state.notice == "bought":
            return self.text("bought") + (f": {state.bought}" if state.bought > 1 else "")
        if state.notice:
            return self.text("unknown" if state.notice == "unknown" else "not_bought")
        return self.text("sold_out") if state.item.balance == 0 else ""

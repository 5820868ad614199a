"""The robot's one window: a page for each state. Hidden until somebody configures the robot."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QStackedWidget

from edge_agents.robot.screen.drawing import STYLE, Backdrop
from edge_agents.robot.screen.pages import CameraPage, Desk, MenuPage, Page, PlacesPage, VerdictPage
from edge_agents.robot.screen.shop_pages import CatalogPage, CategoriesPage, ItemPage
from edge_agents.robot.states import (
    Auth,
    Catalog,
    DestinationInfo,
    StoreCategorySelection,
    StoreItem,
    TicketChecking,
    TicketCheckingResult,
    UserMenu,
    World,
)

SIZE: Final = (1080, 600)
PAGES: Final[Mapping[type, type[Page]]] = MappingProxyType(
    {
        TicketChecking: CameraPage,
        Auth: CameraPage,
        TicketCheckingResult: VerdictPage,
        UserMenu: MenuPage,
        DestinationInfo: PlacesPage,
        StoreCategorySelection: CategoriesPage,
        Catalog: CatalogPage,
        StoreItem: ItemPage,
    }
)


class Window(QStackedWidget):
    """Frameless, 1080 x 600. A kind of page is made once and kept."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.setWindowTitle("Sensorium")
        self.setWindowFlag(Qt.WindowType.FramelessWindowHint)
        self.setStyleSheet(STYLE)
        self.setFixedSize(*SIZE)
        self.pages: dict[type[Page], Page] = {kind: kind(desk) for kind in dict.fromkeys(PAGES.values())}
        self.addWidget(Backdrop())
        for page in self.pages.values():
            self.addWidget(page)

    def show_world(self, world: World) -> None:
        """Turn to the page of the state and renew it."""
        kind = PAGES.get(type(world.state))
        if kind is not None:
            page = self.pages[kind]
            page.renew(world)
            self.setCurrentWidget(page)
        if world.configured and not self.isVisible():
            self.show()


class Screen:
    """What the robot knows of the window."""

    def __init__(self, desk: Desk) -> None:
        self.window = Window(desk)

    def show(self, world: World) -> None:
        """Show the robot's state."""
        self.window.show_world(world)

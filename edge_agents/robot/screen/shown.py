"""Pictures of the servers on labels: each fetched once, shown when it comes, a sign in its place until then."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import shiboken6
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QLabel

from edge_agents.robot.hands import TROUBLE
from edge_agents.robot.screen.drawing import filling, sign

KEPT = 100
log = logging.getLogger(__name__)


class Shown:
    """`fetch` gives the bytes of a path from the root."""

    def __init__(self, fetch: Callable[[str], Awaitable[bytes]]) -> None:
        self._fetch = fetch
        self._known: OrderedDict[str, asyncio.Task[QPixmap | None]] = OrderedDict()
        self._waiting: set[asyncio.Task[None]] = set()

    def on(self, label: QLabel, path: str, stand_in: str = "") -> None:
        """Show the picture at `path` on a label of fixed size."""
        label.setPixmap(sign(stand_in, min(96, label.height())))
        task = asyncio.get_running_loop().create_task(self._show(label, path))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def close(self) -> None:
        """Fetch no more."""
        tasks = [*self._waiting, *self._known.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _show(self, label: QLabel, path: str) -> None:
        pixmap = await asyncio.shield(self._fetched(path))
        # The page may have been emptied meanwhile: Qt's part of the label is then gone.
        if pixmap is not None and shiboken6.isValid(label):
            label.setPixmap(filling(pixmap, label.width(), label.height()))

    def _fetched(self, path: str) -> asyncio.Task[QPixmap | None]:
        known = self._known.get(path)
        if known is None or (known.done() and not known.cancelled() and known.result() is None):
            known = asyncio.get_running_loop().create_task(self._load(path))
            self._known[path] = known
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        self._known.move_to_end(path)
        return known

    async def _load(self, path: str) -> QPixmap | None:
        try:
            data = await self._fetch(path)
        except TROUBLE as error:
            log.warning("The picture %s cannot be shown: %s", path, error)
            return None
        pixmap = QPixmap()
        return pixmap if pixmap.loadFromData(data) else None

"""Does what the machine wants done: looks, asks the servers, tells the board. What comes of it is an event again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from edge_agents.robot import effects, events, info_service, store, tickets, users
from edge_agents.robot.errors import BadAnswer, Refused, RobotError, ServerAway
from edge_agents.robot.hardware.lines import OPEN, SERVO_CLOSED, SERVO_OPEN, TONE, Key, Line, TelemetryFailed
from edge_agents.robot.pictures import face_part, jpeg64, read_code
from edge_agents.robot.servers import Servers
from edge_agents.robot.shapes import User
from edge_agents.robot.tickets import Door, Verdict
from edge_agents.robot.video import Shot

SERVO_S: Final = 5.0
TROUBLE: Final = (Refused, ServerAway, BadAnswer, RobotError)
log = logging.getLogger(__name__)
Happen = Callable[[events.Event], None]


class Sight(Protocol):
    """What is needed of video.Eye."""

    @property
    def newest(self) -> Shot | None: ...  # noqa: D102


class Gate(Protocol):
    """What is needed of hardware.board.Board."""

    def send(self, command: str) -> None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Doing:
    """What the hands look with and ask."""

    servers: Servers
    eye: Sight
    default_store: str | None
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True, slots=True)
class Wired:
    """What else the robot can be told to do; the assembly knows how."""

    use_board: Callable[[str], None]
    start_deviance: Callable[[], None]
    close_console: Callable[[], None]
    say: Callable[[str], None]


@dataclass(slots=True)
class Hands:
    """One task for each effect that takes time."""

    doing: Doing
    happen: Happen
    wired: Wired = field(default_factory=lambda: Wired(lambda _: None, lambda: None, lambda: None, lambda _: None))
    board: Gate | None = None
    telemetry: Line | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set["asyncio.Task[None]"])
    _card: asyncio.Task[None] | None = None

    def do(self, effect: effects.Effect) -> None:
        """Begin what is wanted; never waits."""
        match effect:
            case effects.Ring(visit, after_s):
                self._begin(self._ring(visit, after_s))
            case effects.OpenGate():
                self._tell_board(OPEN)
            case effects.StartDeviance():
                self.wired.start_deviance()
            case effects.UseBoard(port):
                self.wired.use_board(port)
            case effects.CloseConsole():
                self.wired.close_console()
            case effects.Say(text):
                self.wired.say(text)
            case effects.Buy():
                self._begin(self._buy(effect))
            case _:
                self._begin(self._asked(effect))

    def heard(self, line: Line) -> None:
        """A line of the board."""
        if isinstance(line, Key):
            if self._card is None or self._card.done():
                self._card = self._begin(self._check_card(line.card))
            return
        level = logging.WARNING if isinstance(line, TelemetryFailed) else logging.DEBUG
        log.log(level, "The board says %s.", line)
        self.telemetry = line

    async def close(self) -> None:
        """Let go of everything that is under way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _tell_board(self, command: str) -> None:
        if self.board is not None:
            self.board.send(command)

    async def _ring(self, visit: int, after_s: float) -> None:
        await self.doing.pause(after_s)
        self.happen(events.Due(visit))

    async def _asked(self, effect: Any) -> None:
        """Whatever a page waits for; a failure is said and is an event too, so that no page waits for ever."""
        try:
            event = await _ASKING[type(effect)](self.doing, effect)
        except TROUBLE as error:
            log.warning("%s failed: %s", type(effect).__name__, error)
            event = events.Failed(effect.visit)
        except Exception:  # of a task's outermost function: a fault of ours must not leave a page waiting
            log.exception("%s failed.", type(effect).__name__)
            event = events.Failed(effect.visit)
        self.happen(event)

    async def _buy(self, wanted: effects.Buy) -> None:
        try:
            await store.buy(self.doing.servers, wanted.store_id, wanted.user_id, wanted.item_id, wanted.once)
        except TROUBLE as error:
            unknown = isinstance(error, BadAnswer) or (isinstance(error, ServerAway) and error.effect_unknown)
            log.warning("A purchase %s: %s", "may or may not have been made" if unknown else "was not made", error)
            self.happen(events.NotBought(wanted.once, wanted.item_id, unknown, str(error)))
        except Exception as error:  # as above
            log.exception("A purchase may or may not have been made.")
            self.happen(events.NotBought(wanted.once, wanted.item_id, unknown=True, why=str(error)))
        else:
            self.happen(events.Bought(wanted.once, wanted.item_id))

    async def _check_card(self, card: str) -> None:
        try:
            admin = await users.admin_access(self.doing.servers, card)
        except TROUBLE as error:
            log.warning("A card could not be checked: %s", error)
            admin = None
        if admin is None:
            self._tell_board(TONE)
            return
        log.info("%s opens the robot.", admin.login)
        self._tell_board(SERVO_OPEN)
        try:
            await self.doing.pause(SERVO_S)
        finally:
            self._tell_board(SERVO_CLOSED)


async def _check_ticket(doing: Doing, wanted: effects.CheckTicket) -> events.Event:
    """One check: the code, where one can be read and is one; else the face. Never both for one passenger."""
    shot = doing.eye.newest
    if shot is None:
        return events.Judged(wanted.visit, None)
    code = await asyncio.to_thread(read_code, shot.picture)
    verdict = await tickets.validate(doing.servers, wanted.door, code=code) if code else None
    if verdict is None:
        verdict = await _by_face(doing.servers, wanted.door, shot)
    if verdict is None:
        return events.Judged(wanted.visit, None)
    return events.Judged(wanted.visit, verdict, await _owner(doing.servers, verdict))


async def _by_face(servers: Servers, door: Door, shot: Shot) -> Verdict | None:
    face = await asyncio.to_thread(lambda: jpeg64(face_part(shot.picture)))
    return await tickets.validate(servers, door, face=face)


async def _owner(servers: Servers, verdict: Verdict) -> User | None:
    """The ticket's owner. The verdict stands without the name, too."""
    if verdict.ticket is None:
        return None
    try:
        return await users.by_id(servers, verdict.ticket.user_id)
    except TROUBLE as error:
        log.warning("The owner of a ticket could not be named: %s", error)
        return None


async def _identify(doing: Doing, wanted: effects.Identify) -> events.Event:
    shot = doing.eye.newest
    if shot is None:
        return events.Identified(wanted.visit, None)
    image = await asyncio.to_thread(jpeg64, shot.picture)
    return events.Identified(wanted.visit, await users.identify(doing.servers, image))


async def _destination(doing: Doing, wanted: effects.LoadDestination) -> events.Event:
    found = await info_service.destination(doing.servers, wanted.user_id, wanted.train_number, wanted.start_date)
    return events.DestinationKnown(wanted.visit, found)


async def _places(doing: Doing, wanted: effects.LoadPlaces) -> events.Event:
    hotels, sights = await asyncio.gather(
        info_service.places(doing.servers, "hotels", wanted.destination_id),
        info_service.places(doing.servers, "attractions", wanted.destination_id),
    )
    return events.PlacesKnown(wanted.visit, hotels, sights)


async def _store(doing: Doing, wanted: effects.LoadStore) -> events.Event:
    found = await store.one(doing.servers, doing.default_store) if doing.default_store else None
    return events.StoreKnown(wanted.visit, found)


async def _recommendations(doing: Doing, wanted: effects.LoadRecommendations) -> events.Event:
    found = await store.recommendations(doing.servers, wanted.store_id, wanted.user_id)
    return events.RecommendationsKnown(wanted.visit, found)


_ASKING: Final[Mapping[type, Callable[[Doing, Any], Awaitable[events.Event]]]] = {
    effects.CheckTicket: _check_ticket,
    effects.Identify: _identify,
    effects.LoadDestination: _destination,
    effects.LoadPlaces: _places,
    effects.LoadStore: _store,
    effects.LoadRecommendations: _recommendations,
}

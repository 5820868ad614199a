"""Puts the robot together from its settings, runs it, and takes it apart again."""

from __future__ import annotations

import asyncio
import logging
import sys
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import httpx

from edge_agents.emotion_sensor.backoff import Backoff
from edge_agents.robot import video
from edge_agents.robot.connection import Connection, Patience
from edge_agents.robot.console import Console, LineInput, unseen
from edge_agents.robot.errors import BadAnswer, Refused, RobotError, ServerAway
from edge_agents.robot.hands import Doing, Hands, Wired
from edge_agents.robot.hardware.board import Board, opener
from edge_agents.robot.hardware.lines import Line
from edge_agents.robot.hardware.track import WAGON, Track, load
from edge_agents.robot.keys import KeyFiles
from edge_agents.robot.robot import Face, Robot
from edge_agents.robot.servers import Servers
from edge_agents.robot.settings import RobotSettings
from edge_agents.robot.sign_in import Credentials, Model, SignIn
from edge_agents.robot.video import Eye
from edge_agents.robot.watch import Watch

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Parts:
    """A robot that runs."""

    robot: Robot
    hands: Hands
    eye: Eye
    console: Console
    signing: SignIn
    servers: Servers
    watch: Watch
    boards: list[Board]
    track: Track
    closing: list[Callable[[], Awaitable[None]]] = field(default_factory=list["Callable[[], Awaitable[None]]"])


def say(text: str) -> None:
    """Write to whoever configures the robot."""
    print(text, end="" if text.endswith((": ", "> ")) else "\n", flush=True)


async def run(settings: RobotSettings, stop: asyncio.Event, screen_of: Callable[[Parts], Face] | None = None) -> None:
    """Run until `stop` is set. Raises RobotError when the robot cannot sign in and nobody can help."""
    async with httpx.AsyncClient(follow_redirects=False) as http, running(settings, http) as parts:
        if screen_of is not None:
            parts.robot.face = screen_of(parts)
        lines = LineInput(sys.stdin.fileno(), parts.console.line, parts.console.close) if sys.stdin else None
        parts.console.greet()
        try:
            await attend(parts, stop, parts.console.close if lines is None else lines.start)
        finally:
            if lines is not None:
                lines.stop()


async def attend(parts: Parts, stop: asyncio.Event, listen: Callable[[], None] = lambda: None) -> None:
    """Sign in, then work until `stop` is set. Raises RobotError when signing in is out of the question.

    `listen` begins to read the console once the sign-in has put its questions: the first lines answer those.
    """
    signing = asyncio.ensure_future(signed_in(parts.signing))
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.sleep(0)
        listen()
        await asyncio.wait((signing, stopping), return_when=asyncio.FIRST_COMPLETED)
        if signing.done():
            signing.result()
        await stopping
    finally:
        signing.cancel()
        stopping.cancel()
        await asyncio.gather(signing, stopping, return_exceptions=True)


async def signed_in(signing: SignIn) -> None:
    """Sign in; a server that is away is waited for."""
    backoff = Backoff(longest_s=30.0)
    while True:
        try:
            await signing.token()
        except (ServerAway, Refused, BadAnswer) as error:
            pause = backoff.after_failure()
            log.warning("The robot cannot sign in yet (%s); tried again in %.1f s.", error, pause)
            await asyncio.sleep(pause)
        else:
            log.info("The robot is signed in.")
            return


@asynccontextmanager
async def running(
    settings: RobotSettings, http: httpx.AsyncClient, source: video.Source | None = None
) -> AsyncGenerator[Parts]:
    """All parts at work, in the running loop. `source` instead of the one that the settings name."""
    source = source or video.source_of(settings.camera, settings.video, settings.pictures, settings.seconds)
    async with AsyncExitStack() as stack:
        eye = Eye(source, settings.fps)
        robot = Robot(uuid.uuid4().hex)
        console = Console(say, robot.happen)
        connection = Connection(http, Patience(settings.patience, min(10.0, settings.patience)))
        signing = _signing(settings, connection, console)
        servers = _servers(settings, connection, signing)
        watch = Watch.of(settings, eye, connection, signing)
        boards: list[Board] = []
        hands = robot.hands = Hands(Doing(servers, eye, settings.default_store), robot.happen)
        use = partial(_use_board, hands, boards, asyncio.get_running_loop())
        hands.wired = Wired(use, watch.start_deviance, console.close, say)
        stack.push_async_callback(watch.close)
        stack.push_async_callback(_stop_boards, boards)
        stack.push_async_callback(hands.close)
        eye.start()
        stack.callback(eye.stop)
        _begin(settings, console, watch, use)
        track = load(settings.track_map) if settings.track_map else WAGON
        parts = Parts(robot, hands, eye, console, signing, servers, watch, boards, track)
        try:
            yield parts
        finally:
            for close in parts.closing:
                await close()


def _begin(settings: RobotSettings, console: Console, watch: Watch, use: Callable[[str], None]) -> None:
    """What the settings want at once."""
    if settings.serial:
        use(settings.serial)
    if settings.deviance:
        watch.start_deviance()
    if settings.faces:
        watch.start_faces()
    for line in settings.commands.split(";"):
        if line.strip():
            console.line(line)


def _signing(settings: RobotSettings, connection: Connection, console: Console) -> SignIn:
    files = KeyFiles(settings.key_path, settings.login_file_path, settings.key_password)
    model = Model(settings.robot_model_id, settings.robot_model_name, settings.key_kind)
    given = (settings.engineer_login or "", settings.engineer_password or "")
    ask = partial(_ask_engineer, console)
    url = settings.base_api_url.rstrip("/")
    return SignIn(url, files, model, connection, ask, given if settings.engineer_login else None)


def _servers(settings: RobotSettings, connection: Connection, signing: SignIn) -> Servers:
    base, store, resource = (
        url.rstrip("/") for url in (settings.base_api_url, settings.store_api_url, settings.resource_url)
    )
    return Servers(base, store, resource, connection, signing)


async def _ask_engineer(console: Console, why: str) -> Credentials | None:
    """Ask on the console; a terminal does not show the password."""
    say(f"\nAn engineer has to sign the robot in: {why}.")
    # Both at once: what was typed ahead answers the second question, and is no command.
    asked = console.ask("Engineer's login"), console.ask("Engineer's password")
    login = await asked[0]
    with unseen(sys.stdin):
        password = await asked[1]
    return None if login is None or password is None else (login, password)


def _use_board(hands: Hands, boards: list[Board], loop: asyncio.AbstractEventLoop, port: str) -> None:
    """Talk to the board at this port; the one before is let go of."""
    try:
        open_port = opener(port)
    except RobotError as error:
        say(str(error))
        return

    def heard(line: Line) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(hands.heard, line)

    for before in boards:
        before.stop(0.5)
    board = Board(port, open_port, heard)
    boards[:] = [board]
    hands.board = board
    board.start()


async def _stop_boards(boards: list[Board]) -> None:
    for board in boards:
        await asyncio.to_thread(board.stop)

"""`sensorium debug-data`: fills a running railway with a demo over its HTTP routes; doing it again doubles nothing."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ops import debug_plan, settings, state
from ops.debug_client import BASE, STORE, Railway
from ops.debug_plan import Size, Train
from ops.errors import OperatorError
from ops.settings import Settings

FOLDER: Final = "debug-data"
"""Below the home: the engineers' password, where none was given."""
_AT_ONCE: Final = 4
"""Requests under way: a batch of commands costs the decider little more than one."""
Advance = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Goal:
    """Which railway: its address, and the engineers' password (None: one is made and kept in the home)."""

    url: str | None = None
    password: str | None = None


@dataclass(slots=True)
class Made:
    """What there is afterwards: how many of each, and what a person needs to go on."""

    counts: dict[str, int] = field(default_factory=dict[str, int])
    stores: dict[str, str] = field(default_factory=dict[str, str])
    """Name of a store -> its id, for a robot's DEFAULT_STORE."""
    trains: list[Train] = field(default_factory=list[Train])

    def count(self, what: str) -> None:
        """One more of these."""
        self.counts[what] = self.counts.get(what, 0) + 1


def run(size: Size, goal: Goal) -> None:
    """Load, with a progress bar where somebody watches, and say what was made. Raises OperatorError."""
    ours = settings.load()
    url, token = address(ours, goal.url)
    password, path = password_of(ours, goal.password)
    console = Console(highlight=False, soft_wrap=True)
    timeout = httpx.Timeout(60, connect=5)
    with httpx.Client(base_url=url, timeout=timeout) as client, _bar(console, size) as advance:
        made = load(Railway(client, token, size.seed), size, password, advance)
    if token and not goal.url:
        _draw(ours, console)
    for line in told(made, size, url):
        console.print(line, markup=False)
    where = "as given" if path is None else f"in {path}"
    login = debug_plan.logins(size)[0]
    console.print(f"Engineer   {login}, password {where}", markup=False)
    console.print(f"Card       {debug_plan.card_of(login, password)}", markup=False)


def address(ours: Settings, url: str | None) -> tuple[str, str]:
    """Where the railway is, and the ADMIN_TOKEN to show: of this home's own run, or the one that was set."""
    running = state.read(ours.home)
    is_running = running is not None and running.is_alive
    found = url or (running.base_url if running and is_running else ours.base_url)
    known = ours.admin_token_given or (is_running and url is None)
    return found.rstrip("/"), ours.admin_token if known else ""


def load(railway: Railway, size: Size, password: str, advance: Advance = lambda: None) -> Made:
    """Make everything that is not there yet; `advance` is called once for each thing. Raises OperatorError."""
    made = Made()
    day = size.day or datetime.now(debug_plan.ZONE).date()
    made.trains = debug_plan.trains(size, day)
    _engineers(railway, size, password, made, advance)
    _places(railway, made, advance)
    passengers = _passengers(railway, size, made, advance)
    _tickets(railway, size, passengers, made, advance)
    for store in debug_plan.stores(size):
        _store(railway, size, store, password, made, advance)
    return made


def things(size: Size) -> int:
    """How often `load` calls `advance`."""
    each = size.trains + len(debug_plan.items()) + 1
    day = debug_plan.trains(size, size.day or date(2026, 1, 1))
    tickets = sum(1 for _ in debug_plan.tickets(size, day))
    return size.engineers + len(list(debug_plan.places())) + size.users + tickets + size.stores * each


def told(made: Made, size: Size, url: str) -> list[str]:
    """What was made, for a person."""
    lines = [f"Demo railway {size.seed} at {url}"]
    lines += [f"{what:10} {count}" for what, count in made.counts.items()]
    zone = debug_plan.ZONE
    for train in made.trains:
        start = train.start.astimezone(zone)
        lines.append(f"Train      {train.number}, {train.station} to {train.destination}, {start:%Y-%m-%d %H:%M%z}")
    return lines + [f"Store      {store_id}  {name}" for name, store_id in made.stores.items()]


def _engineers(railway: Railway, size: Size, password: str, made: Made, advance: Advance) -> None:
    for number, login in enumerate(debug_plan.logins(size)):
        got = railway.make(f"{BASE}/admin/engineer", {"login": login, "password": password})
        engineer_id = got["id"] if got else _found(railway, f"{BASE}/admin/engineers", "login", login)
        privileges = debug_plan.PRIVILEGES[number % len(debug_plan.PRIVILEGES)]
        railway.put(f"{BASE}/admin/engineer_privileges", {"id": engineer_id, "privileges": list(privileges)})
        if number == 0:
            railway.check_password(login, password)
            card = {"key": debug_plan.card_of(login, password)}
            railway.put(f"{BASE}/admin/engineer/{engineer_id}/auth_card", card)
        made.count("Engineers")
        advance()


def _places(railway: Railway, made: Made, advance: Advance) -> None:
    """One after the other: robots show them in the order in which they were added."""
    there: dict[str, set[str]] = {}
    for path, body in debug_plan.places():
        listed = f"{BASE}{path}s"
        if listed not in there:
            there[listed] = {place["name"] for place in railway.every(listed)}
        if body["name"] not in there[listed]:
            railway.make(f"{BASE}{path}", body)
        made.count("Places")
        advance()


def _passengers(railway: Railway, size: Size, made: Made, advance: Advance) -> list[str]:
    """Ids of the passengers in the order of their names."""

    def make(name: str) -> dict[str, Any] | None:
        return railway.make(f"{BASE}/admin/user", {"name": name})

    names = debug_plan.names(size)
    ids: dict[str, str] = {}
    for name, got in _each(make, names):
        made.count("Passengers")
        if got:
            ids[name] = got["id"]
        advance()
    if len(ids) < len(names):
        ids = {row["name"]: row["id"] for row in railway.every(f"{BASE}/admin/users")} | ids
    return [ids[name] for name in names]


def _tickets(railway: Railway, size: Size, passengers: list[str], made: Made, advance: Advance) -> None:
    wanted = [body | {"user_id": passengers[number]} for number, body in debug_plan.tickets(size, made.trains)]
    for _ in _each(lambda body: railway.make(f"{BASE}/admin/ticket", body), wanted):
        made.count("Tickets")
        advance()


def _store(railway: Railway, size: Size, store: dict[str, Any], password: str, made: Made, advance: Advance) -> None:
    got = railway.make(f"{STORE}/admin/store", store)
    store_id: str = got["id"] if got else _found(railway, f"{STORE}/admin/stores", "name", store["name"])
    made.stores[store["name"]] = store_id
    made.count("Stores")
    advance()
    for train in made.trains:
        trip = {"train_number": train.number, "train_date": train.start.isoformat()}
        railway.make(f"{BASE}/admin/store/{store_id}/train", trip)
        advance()
    there = {item["name"] for item in railway.get(f"{STORE}/admin/store/{store_id}")["items"]}
    missing = [item for item in debug_plan.items() if item["name"] not in there]
    # Only then: signing in replaces the key of a terminal that may be at work.
    token = railway.sign_in_store(debug_plan.logins(size)[0], password, store_id) if missing else ""
    for item in debug_plan.items():
        if item in missing:
            railway.make(f"{STORE}/store/item", item, token=token)
        made.count("Items")
        advance()


def _found(railway: Railway, path: str, field_name: str, wanted: str) -> str:
    for row in railway.every(path):
        if row[field_name] == wanted:
            return str(row["id"])
    raise OperatorError(f"{path} says that {wanted!r} is there, and does not list it: try again.")


def _each(make: Callable[[Any], Any], wanted: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Some at once; (what was wanted, what came of it) in the order of the wishes. The first failure ends it."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        under_way = [(one, pool.submit(make, one)) for one in wanted]
        try:
            for one, future in under_way:
                yield one, future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def password_of(ours: Settings, given: str | None) -> tuple[str, Path | None]:
    """The engineers' password and the file it is kept in; one that was given is kept nowhere."""
    if given is not None:
        return given, None
    path = ours.home / FOLDER / "engineer-password"
    if path.is_file():
        return path.read_text("utf-8").strip(), path
    password = settings.write_secret(path, lambda: secrets.token_urlsafe(15))
    print(f"A password for the engineers was made: {password}")
    return password, path


def _draw(ours: Settings, console: Console) -> None:
    """Logos into the folder that this home serves."""
    from ops import logos

    drawn = logos.draw(ours.static_folder)
    if drawn:
        console.print(f"{drawn} logos drawn in {ours.static_folder}", markup=False)


@contextmanager
def _bar(console: Console, size: Size) -> Generator[Advance]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    show = sys.stdout.isatty()
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True, disable=not show) as progress:
        task = progress.add_task("Demo railway", total=things(size))
        yield lambda: progress.advance(task)

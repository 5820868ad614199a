"""Commands: HTTP -> Kafka -> decider -> event -> projection -> answer, beside a route that inserts a row and returns.

Both are POSTs of an item under the same uvicorn settings, on the same PostgreSQL, in the same rounds, with all of the
load on the same cores. The command's route also looks up its caller's session, which the bare one does not. At a fixed
rate latencies count from when a request should have left; `sustained` is what so many connections get through.

What the difference buys: nobody can oversell however many ask at once, a repeat gets its first answer, who did what
stays known, every table can be built anew, and who got 200 finds the write in the next read on any server.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import statistics
import tempfile
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ops import topics
from ops.embedded.servers import free_port
from schemas.identity import murmur2_partition
from schemas.topics import TOPICS
from tests.benchmarks import commands_apps
from tests.benchmarks.bench_gateway import answers, child
from tests.benchmarks.gateway_load import Load, drive, post
from tests.benchmarks.paced_load import pace
from tests.drivers.waiting import eventually

RATES: Final = (50, 500)
PARTITIONS: Final = TOPICS["railway.commands"].partitions
ITEM: Final = json.dumps(
    {
        "name": "Tea",
        "description": "Black",
        "logo_url": "tea.jpg",
        "balance": 9,
        "price_penny": 9000,
        "category": "food",
    }
).encode()
_SERVE: Final = "from ops.cli import main; main()"
Requests = Sequence[bytes]


@contextmanager
def railway() -> Generator[tuple[int, list[Requests]]]:
    """The product's front, deciders and projector; the port, and for each partition requests to a store in it."""
    port = free_port()
    with ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="sensorium-bench-"))
        told = {"SENSORIUM_HOME": home, "SENSORIUM_PORT": str(port)}
        for name in ("front", "deciders", "projector"):
            stack.enter_context(child("-c", _SERVE, "serve", name, **told))
            eventually(lambda: answers(port, "/health"), 60, 0.2)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            opened = signed_in_stores(client)
        yield port, [[post("/store_api/v1/store/item", ITEM, "127.0.0.1", each)] for each in opened]


def signed_in_stores(client: httpx.Client) -> list[str]:
    """A store in each partition whose terminal has signed in; the headers that say so."""
    engineer = eventually(lambda: asked(client, "POST", "/base_api/v1/admin/engineer", new_login()), 60, 0.5)
    login = new_login() | {"login": engineer["login"]}
    may = {"id": engineer["id"], "privileges": ["STORE_LOGIN"]}
    asked(client, "PUT", "/base_api/v1/admin/engineer_privileges", may)
    found: dict[int, str] = {}
    while len(found) < PARTITIONS:
        told = {"name": uuid.uuid4().hex, "description": "", "logo_url": "", "store_type": "SHOP"}
        store_id = asked(client, "POST", "/store_api/v1/admin/store", told)["id"]
        partition = murmur2_partition(store_id.encode(), PARTITIONS)
        if partition not in found:
            found[partition] = f"Authorization: Bearer {signed_in(client, login, store_id)}"
    return list(found.values())


def new_login() -> dict[str, str]:
    """Of an engineer; another one for each attempt, for one that was not answered in time may have succeeded."""
    return {"login": f"bench-{uuid.uuid4().hex}", "password": "a long password"}


def signed_in(client: httpx.Client, login: dict[str, str], store_id: str) -> str:
    """The token of a store's terminal, by its key; again while the read model is not there yet."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    told = login | {"public_key": public, "store_id": store_id}
    eventually(lambda: asked(client, "POST", "/base_api/v1/auth/store/new_login", told), 60, 0.5)
    return eventually(lambda: by_key(client, key, store_id), 60, 0.5)


def by_key(client: httpx.Client, key: rsa.RSAPrivateKey, store_id: str) -> str:
    """The token for who can read the challenge; empty when it is one for nobody."""
    challenge = asked(client, "POST", "/base_api/v1/auth/store/login", {"id": store_id})
    scheme = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    try:
        text = key.decrypt(base64.b64decode(challenge.get("data", "")), scheme).decode()
    except ValueError:
        return ""
    told = {"request_id": challenge["request_id"], "data": text}
    return asked(client, "POST", "/base_api/v1/auth/store/login_code", told).get("token", "")


def asked(client: httpx.Client, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """The answer of a request; empty when it is not 200 (yet)."""
    answer = client.request(method, path, json=body)
    return answer.json() if answer.status_code == 200 else {}


@dataclass(frozen=True)
class Subject:
    """What is measured: requests to one partition and to all of them (the same where there are none)."""

    port: int
    one: Requests
    every: Requests

    def loads(self, seconds: float, connections: int) -> Iterator[tuple[str, Load]]:
        """Put every load on it, one after the other."""
        for rate in RATES:
            yield f"{rate}/s", pace("127.0.0.1", self.port, self.every, rate, seconds)
        yield "sustained, one partition", drive("127.0.0.1", self.port, self.one, connections, seconds)
        yield "sustained, all partitions", drive("127.0.0.1", self.port, self.every, connections, seconds)


Found = dict[str, dict[str, list[Load]]]


def measure(rounds: int, seconds: float, connections: int) -> Found:
    """Loads by kind and subject; each round puts every load on both, so a busy moment meets both."""
    found: Found = {}
    with ExitStack() as stack:
        bare = free_port()
        stack.enter_context(child("-m", "tests.benchmarks.commands_apps", str(bare)))
        port, stores = stack.enter_context(railway())
        eventually(lambda: answers(bare, "/health"), 30)
        insert = [post(commands_apps.PATH, ITEM)]
        subjects = {
            "command": Subject(port, stores[0], [request for each in stores for request in each]),
            "INSERT": Subject(bare, insert, insert),
        }
        for number in range(rounds + 1):
            for name, subject in subjects.items():
                for kind, load in subject.loads(seconds if number else 1, connections):
                    if number:  # the first round warms up
                        found.setdefault(kind, {}).setdefault(name, []).append(load)
    return found


def report(found: Found) -> Iterator[str]:
    """Medians of rounds; the ratio is of the rates within a round."""
    for kind, loads in found.items():
        for name, rounds in loads.items():
            yield f"{kind:26} {name:8} {line(rounds)}"
        pairs = zip(loads["command"], loads["INSERT"], strict=True)
        if kind.startswith("sustained"):
            share = statistics.median(ours.per_second / theirs.per_second for ours, theirs in pairs)
            yield f"{'':26} a command gets through {share:.0%} as often as an INSERT"
        else:
            more = statistics.median(one.percentile_ms(50) - other.percentile_ms(50) for one, other in pairs)
            yield f"{'':26} event sourcing costs {more:.1f} ms (p50)"


def line(loads: Sequence[Load]) -> str:
    """Rate, latencies, refusals."""
    return (
        f"{_median(loads, lambda load: load.per_second):7,.0f}/s"
        f"  p50 {_median(loads, lambda load: load.percentile_ms(50)):6.1f} ms"
        f"  p99 {_median(loads, lambda load: load.percentile_ms(99)):6.1f} ms"
        f"  refused {sum(load.bad for load in loads)}"
    )


def _median(loads: Sequence[Load], figure: Callable[[Load], float]) -> float:
    return statistics.median(figure(load) for load in loads)


def main() -> None:
    """Print the figures for the Kafka and PostgreSQL named by the environment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--connections", type=int, default=64)
    chosen = parser.parse_args()
    topics.ensure(os.environ["KAFKA_BOOTSTRAP_SERVERS"], TOPICS)
    print(*report(measure(chosen.rounds, chosen.seconds, chosen.connections)), sep="\n", flush=True)


if __name__ == "__main__":
    main()

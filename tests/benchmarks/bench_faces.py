"""Faces: how often a threshold is right and wrong, how long a picture takes, and 10,000 people searched in four ways.

True and false match rates over all pairs of the sample photographs, as they are and made worse on purpose. Then faces
made up around the real ones: pgvector comparing all (what the face server does), pgvector's HNSW index, the gallery in
memory (what the stream does) and numpy comparing all, which is the floor and the truth for recall.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from api.railway.face_desk import FaceOptions
from projections import migrations
from projections.face_rotation import rotated
from projections.projectors.faces import READ_MODEL
from projections.queries import faces
from projections.queries.database import Database
from projections.store_models import Models
from schemas import serde
from schemas.envelope import KeyRing, seal
from schemas.faces import MODEL
from streams.gallery import Gallery
from streams.workers.faces import open_worker
from tests.benchmarks.bench_queries import database
from tests.drivers import face_pairs
from tests.drivers.faces import children
from tests.drivers.pictures import SAMPLE_FACES

RING = KeyRing({"k1": bytes(range(32))}, "k1")
THRESHOLDS = [round(0.30 + 0.05 * step, 2) for step in range(9)]
APART = 0.85
"""How far people are from each other, about, as measured on photographs."""
AGAIN = 0.38
"""How far another photograph of the same person is."""
Vectors = NDArray[np.float32]
Search = Callable[[Vectors], Awaitable[str | None]]


def accuracy(samples: Sequence[face_pairs.Sample]) -> None:
    """Print the table that the threshold was chosen from."""
    real = face_pairs.distances([one for one in samples if one.variant == face_pairs.AS_IT_IS])
    every = face_pairs.distances(samples)
    print(
        f"{len(samples)} of {len(face_pairs.PEOPLE) * len(face_pairs.VARIANTS)} faces found, 8 people, a small sample"
    )
    for name, (same, other) in (("photographs", real), ("and what was made of them", every)):
        print(
            f"{name}: {len(same)} true pairs, {min(same):.3f} to {max(same):.3f} apart; {len(other)} false pairs,"
            f" {min(other):.3f} and more"
        )
    print("threshold   photographs: true   false    all: true   false    one of 10,000 strangers (a guess)")
    mean, spread = statistics.mean(real[1]), statistics.stdev(real[1])
    for threshold in THRESHOLDS:
        first, second = face_pairs.rates(*real, threshold), face_pairs.rates(*every, threshold)
        tail = 0.5 * math.erfc((mean - threshold) / spread / math.sqrt(2))
        chosen = " <- chosen" if threshold == FaceOptions().match_distance else ""
        print(
            f"{threshold:9.2f} {first.true_match:19.1%} {first.false_match:7.1%} {second.true_match:12.1%}"
            f" {second.false_match:7.1%} {1 - (1 - tail) ** 10_000:14.2%}{chosen}"
        )
    for variant in face_pairs.VARIANTS:
        moved = face_pairs.from_original(samples, variant)
        middle, most = statistics.median(moved), max(moved)
        print(f"{variant:24} {len(moved):3} faces, from the original {middle:.3f}, most {most:.3f}")


async def describing(times: int = 3) -> None:
    """Print how long a picture takes, through a child as the server does it."""
    pool = children()
    files = [path.read_bytes() for path in sorted(SAMPLE_FACES.iterdir())]
    await pool({"picture": files[0], "purpose": "search"})
    spent: list[float] = []
    for data in files * times:
        begin = time.perf_counter()
        await pool({"picture": data, "purpose": "search"})
        spent.append(time.perf_counter() - begin)
    await pool.close()
    print(f"a picture of 0.1 to 2 megapixels: {_figures(spent)}")


def people(count: int, real: Vectors, chance: np.random.Generator) -> Vectors:
    """Faces that are as far apart as real ones: a real one, moved."""
    return _moved(real[chance.integers(len(real), size=count)], APART / math.sqrt(2), chance)


def _moved(vectors: Vectors, distance: float, chance: np.random.Generator) -> Vectors:
    step = chance.normal(size=vectors.shape)
    step *= distance / np.linalg.norm(step, axis=1, keepdims=True)
    return (vectors + step).astype("<f4")


def fill(url: str, known: Vectors) -> float:
    """Enrol everybody straight into the table; seconds."""
    migrations.up(url)
    with Models(url) as models:
        models.ensure_live(READ_MODEL, {})
    begin = time.perf_counter()
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        rows = [
            (f"p{number}", MODEL, bytes(560), rotated(vector, RING.keys["k1"]).tolist())
            for number, vector in enumerate(known)
        ]
        cursor.executemany("INSERT INTO faces_v1.faces VALUES (%s, %s, now(), 'k1', %s, %s::real[], 't', 0, 0)", rows)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE faces_v1.faces")
    return time.perf_counter() - begin


def remembered(known: Vectors) -> Gallery:
    """The gallery of the same people."""
    gallery = Gallery(RING, 10.0)
    for number, vector in enumerate(known):
        face = seal(RING, f"face/p{number}", "FaceTemplate", {"model": MODEL, "vector": vector.tobytes()})
        record = {"user_id": f"p{number}", "face": face, "at_us": 0}
        gallery.apply(f"p{number}".encode(), serde.encode("GalleryFaceSet", record))
    return gallery


async def measured(name: str, search: Search, asked: Sequence[Vectors], truth: Sequence[str]) -> None:
    """Print the latency and the recall of one way."""
    spent: list[float] = []
    right = 0
    for vector in asked[:10]:
        await search(vector)
    for vector, wanted in zip(asked, truth, strict=True):
        begin = time.perf_counter()
        found = await search(vector)
        spent.append(time.perf_counter() - begin)
        right += found == wanted
    print(f"{name:44} {_figures(spent)}   recall@1 {right / len(truth):.4f}")


async def searching(url: str, known: Vectors, asked: Sequence[Vectors]) -> None:
    """Print every way to search."""
    by_numpy = partial(_by_numpy, known)
    truth = [str(await by_numpy(vector)) for vector in asked]
    await measured("numpy compares all (floor)", by_numpy, asked, truth)
    begin = time.perf_counter()
    gallery = remembered(known)
    print(f"   the gallery is read (sealed faces opened) in {time.perf_counter() - begin:.1f} s")
    await measured("gallery in memory", partial(_by_gallery, gallery), asked, truth)
    store = Database(url)
    await store.open()
    await measured("pgvector compares all", partial(_by_table, store), asked, truth)
    with psycopg.connect(url, autocommit=True) as connection:
        begin = time.perf_counter()
        connection.execute("CREATE INDEX hnsw ON faces_v1.faces USING hnsw (rotated public.vector_l2_ops)")
        print(f"   an HNSW index is made in {time.perf_counter() - begin:.1f} s")
    await measured("pgvector by HNSW", partial(_by_index, store), asked, truth)
    await store.close()


async def _by_numpy(known: Vectors, vector: Vectors) -> str:
    return f"p{int(np.linalg.norm(known - vector, axis=1).argmin())}"


async def _by_gallery(gallery: Gallery, vector: Vectors) -> str | None:
    return gallery.match(vector.tobytes()).user_id


async def _by_table(store: Database, vector: Vectors) -> str | None:
    found = await store.read(lambda one: faces.nearest(one, vector.tobytes(), MODEL, RING))
    return found.user_id if found else None


async def _by_index(store: Database, vector: Vectors) -> str | None:
    """Without a second order and other conditions than the distance: else the index is not used."""
    statement = "SELECT user_id FROM faces ORDER BY rotated OPERATOR(public.<->) %s::real[]::public.vector LIMIT 1"

    async def ask(connection: Any) -> Any:
        cursor = await connection.execute(statement, (rotated(vector, RING.keys["k1"]).tolist(),))
        return await cursor.fetchone()

    return str((await store.read(ask))["user_id"])


def _figures(seconds: Sequence[float]) -> str:
    ordered = sorted(one * 1000 for one in seconds)
    return f"p50 {ordered[len(ordered) // 2]:7.2f} ms   p99 {ordered[int(len(ordered) * 0.99)]:7.2f} ms"


def main() -> None:
    """Print the figures, for the PostgreSQL named by DATABASE_URL."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--searches", type=int, default=1_000)
    options = parser.parse_args()
    chance = np.random.default_rng(1)
    real = (chance.normal(size=(11, 128)) * 1.4 / math.sqrt(128)).astype("<f4")
    if SAMPLE_FACES.is_dir():
        samples = face_pairs.described(open_worker({}), tuple(face_pairs.VARIANTS))
        accuracy(samples)
        asyncio.run(describing())
        real = np.stack([one.vector for one in samples if one.variant == face_pairs.AS_IT_IS])
    else:
        print("no sample photographs: no rates, and people are made up altogether")
    known = people(options.people, real, chance)
    asked = list(_moved(known[chance.integers(len(known), size=options.searches)], AGAIN, chance))
    with database(os.environ["DATABASE_URL"]) as url:
        print(f"{options.people:,} people enrolled in {fill(url, known):.1f} s (rows), {options.searches} searches")
        asyncio.run(searching(url, known, asked))


if __name__ == "__main__":
    main()

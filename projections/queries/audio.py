"""Where recorded sound lies: a chunk's file, a dialogue's pieces. Reads `audio_chunks`, `dialogue_segments`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from uuid import UUID

    from projections.queries.database import Connection

_CHUNK: Final = "SELECT file_path, sha256 FROM audio_chunks WHERE chunk_id = %s"
_DIALOGUE: Final = "SELECT 1 FROM dialogues WHERE dialogue_id = %s"
_PIECES: Final = """
    SELECT stored_path AS file_path, sha256, start_ms, end_ms FROM dialogue_segments
    WHERE dialogue_id = %s ORDER BY position, chunk_start_ts, start_ms
"""


async def chunk(connection: Connection, chunk_id: UUID) -> dict[str, Any] | None:
    """`file_path` (below the audio folder) and `sha256` of a chunk, or None."""
    return await (await connection.execute(_CHUNK, (chunk_id,))).fetchone()


async def pieces(connection: Connection, dialogue_id: UUID) -> list[dict[str, Any]] | None:
    """`file_path`, `sha256`, `start_ms`, `end_ms` of a dialogue's speech in its transcript's order; None: unknown."""
    if await (await connection.execute(_DIALOGUE, (dialogue_id,))).fetchone() is None:
        return None
    return await (await connection.execute(_PIECES, (dialogue_id,))).fetchall()

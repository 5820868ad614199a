"""POST /api/v1/analysis/rerun/{dialogue_id}: have a dialogue analysed again (seed 002)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Request, Response

from api import sales_shapes
from api.commanding import id_of
from api.sales_commands import Commands, Wish
from projections.queries import sales_dialogue, sales_lists
from projections.queries.database import Connection, Database

QUEUED = "Analysis queued for re-processing"


def build(database: Database, commands: Commands, admin: Any) -> APIRouter:
    """The route; `admin` is the dependency that lets callers in and says their names."""
    router = APIRouter(prefix="/api/v1/analysis", tags=["sales (seed 002)"])
    known = Depends(admin)

    @router.post("/rerun/{dialogue_id}", summary="Analyse again", response_model=dict[str, Any])
    async def rerun(dialogue_id: UUID, request: Request, caller: str = known) -> Response:
        """Queued, with the transcript as people have corrected it; the verdict there was goes into the history.

        With an `Idempotency-Key` a retry asks for the same analysis, which runs once.
        """
        dialogue, was_analysed = await database.read(partial(_state, dialogue_id=dialogue_id))
        await commands.rerun(analysable(dialogue), Wish(caller), id_of(request, caller))
        return sales_shapes.answer(
            {"dialogue_id": dialogue_id, "message": QUEUED, "previous_analysis_archived": was_analysed}
        )

    return router


def analysable(dialogue: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The dialogue, if it can be analysed. Raises HTTPException 404, 400, or 409 where its words are forgotten."""
    if dialogue is None:
        raise HTTPException(404, "Dialogue not found")
    if dialogue["asr_status"] != "DONE" or dialogue["transcript_id"] is None:
        raise HTTPException(400, "ASR not completed for this dialogue")
    if dialogue["text_forgotten"]:
        raise HTTPException(409, "The words of this dialogue are forgotten")
    return dialogue


async def _state(connection: Connection, dialogue_id: UUID) -> tuple[dict[str, Any] | None, bool]:
    row = await sales_dialogue.row(connection, dialogue_id)
    return row, await sales_lists.one(connection, dialogue_id) is not None

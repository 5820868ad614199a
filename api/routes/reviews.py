"""Reviews of dialogues: flag one, list them, settle one (seed 002)."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from pydantic import BaseModel, Field

from api import sales_shapes
from api.bodies import documented, reads
from api.commanding import id_of
from api.parameters import Text
from api.routes.analytics import utc
from api.sales_commands import Commands, repeated
from projections.queries import sales_dialogue, sales_reviews
from projections.queries.database import Database

REVIEW_BYTES = 256 << 10  # JSON may write a letter of the notes in six bytes
TOKEN_HOLDER = "ADMIN_TOKEN"  # noqa: S105 - how sign-in names who has it


class Reason(StrEnum):
    """Why a dialogue is flagged."""

    bad_asr = "bad_asr"
    llm_missed_upsell = "llm_missed_upsell"
    llm_false_positive = "llm_false_positive"
    wrong_quality = "wrong_quality"
    wrong_category = "wrong_category"
    other = "other"


class Attempted(StrEnum):
    """Whether something was offered."""

    yes = "yes"
    no = "no"
    uncertain = "uncertain"


class Reaction(StrEnum):
    """What the customer said to it."""

    accepted = "accepted"
    rejected = "rejected"
    unclear = "unclear"


class Status(StrEnum):
    """A dialogue's state of review."""

    NONE = "NONE"
    FLAGGED = "FLAGGED"
    RESOLVED = "RESOLVED"


class Corrected(BaseModel):
    """What the verdict should have been; null leaves it as it is."""

    attempted: Attempted | None = None
    quality_score: Annotated[int, Field(ge=0, le=3)] | None = None
    categories: list[Annotated[Text, Field(max_length=200)]] | None = Field(None, max_length=50)
    closing_question: bool | None = None
    customer_reaction: Reaction | None = None


class NewReview(BaseModel):
    """A flag on a dialogue."""

    reason: Reason
    notes: Annotated[Text, Field(max_length=20_000)] | None = None
    reviewer: Annotated[Text, Field(max_length=1000)] | None = None
    corrected: Corrected | None = None


def build(database: Database, commands: Commands, admin: Any) -> APIRouter:
    """The routes; `admin` is the dependency that lets callers in and says their names."""
    router = APIRouter(prefix="/api/v1/reviews", tags=["sales (seed 002)"])
    _add_list(router, database)
    _add_writes(router, database, commands, admin)
    return router


def _add_list(router: APIRouter, database: Database) -> None:
    @router.get("", summary="Reviews, newest first", response_model=dict[str, Any])
    async def get_reviews(
        day: Annotated[date | None, Query(alias="date", description="UTC day of the dialogue's start.")] = None,
        point_id: UUID | None = None,
        status: Annotated[Status | None, Query(description="Of the dialogue.")] = None,
        reason: Reason | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        offset: Annotated[int, Query(ge=0)] = 0,
    ) -> Response:
        """`total` before paging and a page with the dialogues' verdicts."""
        where = None if day is None else utc(day)
        wanted = sales_reviews.Wanted(
            where and where.first, where and where.end, point_id, status, reason, limit, min(offset, 2**62)
        )
        total, rows = await database.read(partial(sales_reviews.page, wanted=wanted))
        return sales_shapes.answer({"total": total, "reviews": [sales_shapes.review_row(row) for row in rows]})


def _add_writes(router: APIRouter, database: Database, commands: Commands, admin: Any) -> None:
    read_review, known = reads(NewReview, largest=REVIEW_BYTES), Depends(admin)

    @router.post(
        "/{dialogue_id}", summary="Flag a dialogue", response_model=dict[str, Any],
        openapi_extra=documented(NewReview),
    )  # fmt: skip
    async def flag(dialogue_id: UUID, request: Request, caller: str = known) -> Response:
        """The review; any dialogue can be flagged, analysed or not. With an `Idempotency-Key` a retry is the same."""
        new = await read_review(request)
        dialogue = await database.read(partial(sales_dialogue.row, dialogue_id=dialogue_id))
        if dialogue is None:
            raise HTTPException(404, "Dialogue not found")
        said = new.model_dump(mode="json")
        if new.corrected:
            said["corrected"] = new.corrected.model_dump(mode="json", exclude_none=True)
        if new.reviewer is None and caller != TOKEN_HOLDER:
            said["reviewer"] = caller
        review_id = id_of(request, caller)
        was = review_id and await database.read(partial(sales_reviews.one, review_id=UUID(review_id)))
        if was:
            # Empty is null, as the read model has it.
            return sales_shapes.answer(
                sales_shapes.review(repeated(was, said | {"corrected": said["corrected"] or None}))
            )
        return sales_shapes.answer(sales_shapes.review(await commands.review(dialogue, said, review_id)))

    @router.patch("/{review_id}", summary="Settle a review, or open it again", response_model=dict[str, Any])
    async def settle(review_id: UUID, resolved: bool = True) -> Response:
        """The review as it is; its dialogue becomes RESOLVED or FLAGGED."""
        review = await database.read(partial(sales_reviews.one, review_id=review_id))
        if review is None:
            raise HTTPException(404, "Review not found")
        await commands.resolve(review, resolved)
        return sales_shapes.answer(sales_shapes.review(review))

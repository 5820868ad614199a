"""The thread that empties the outbox. Never touches the camera; the camera never waits for it."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from http import HTTPStatus

from edge_agents.emotion_sensor.backoff import Backoff
from edge_agents.emotion_sensor.delivery import Delivery, Later, Refused, Stored, Verdict, says_ok
from edge_agents.emotion_sensor.errors import SensorError
from edge_agents.emotion_sensor.outbox import Outbox, Post

BULK = "/api/v1/logs/bulk"
log = logging.getLogger(__name__)


class Sender:
    """Takes posts from an outbox of its own and delivers them, one at a time, until told to stop."""

    def __init__(self, open_outbox: Callable[[], Outbox], delivery: Delivery, backoff: Backoff | None = None) -> None:
        self._open_outbox = open_outbox
        self._delivery = delivery
        self._backoff = backoff or Backoff()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._delivered: set[int] = set()
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def wake(self) -> None:
        """There is a new post."""
        self._wake.set()

    def stop(self, grace_s: float) -> None:
        """Try what is left once more, for at most `grace_s` seconds; the rest stays in the outbox."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(grace_s)

    def _run(self) -> None:
        outbox: Outbox | None = None
        while True:
            self._wake.clear()
            try:
                outbox = outbox or self._open_outbox()
                pause = self.step(outbox)
            except (sqlite3.Error, SensorError) as error:
                pause = self._after_trouble(outbox, error)
            except Exception:  # a slip of ours must not leave a device that senses and never sends
                log.exception("Sending failed in a way that was not foreseen; tried again in 60 s.")
                pause = 60.0
            if pause is None or pause > 0:
                if self._stopping.is_set():
                    return
                self._rest(pause)

    def _after_trouble(self, outbox: Outbox | None, error: sqlite3.Error | SensorError) -> float:
        if outbox is not None and outbox.mend(error):
            self._delivered.clear()  # the new file numbers its posts from 1 again
            return 0.0
        log.warning("The outbox cannot be read or written (%s); tried again in 5 s.", error)
        return 5.0

    def _rest(self, pause: float | None) -> None:
        """Until there is a new post, or `pause` seconds after a failure: a new post must not shorten that."""
        if pause is None:
            self._wake.wait()
        else:
            self._stopping.wait(pause)

    def step(self, outbox: Outbox) -> float | None:
        """Deliver one post: seconds to rest after it (0: go on at once), None when there is nothing to send."""
        if outbox.follow():
            self._delivered.clear()
        self._forget_delivered(outbox)
        post = outbox.next_post(tuple(self._delivered))
        if post is None:
            return None
        return self._settle(outbox, post, self._delivery.post_gzipped(BULK, post.body, says_ok))

    def _settle(self, outbox: Outbox, post: Post, verdict: Verdict) -> float:
        match verdict:
            case Stored(answer):
                self._settle_stored(outbox, post, answer.get("inserted"))
                return 0.0
            case Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, answer) if post.n_points > 1:
                outbox.split(post)
                text = "Post %d (%d points) is too large for the server: it goes in two halves. It said: %r"
                log.warning(text, post.post_id, post.n_points, answer[:500])
                return 0.0
            case Refused(status, answer):
                outbox.refuse(post.post_id, status, answer)
                text = "The server refused post %d (%d points) with %d: it is set aside, see `refused`. It said: %r"
                log.error(text, post.post_id, post.n_points, status, answer[:500])
                return 0.0
            case Later(reason, retry_after, this_post):
                if this_post:
                    outbox.pass_over(post.post_id)
                pause = self._backoff.after_failure(retry_after)
                log.warning("Post %d waits %.1f s: %s", post.post_id, pause, reason)
                return pause

    def _settle_stored(self, outbox: Outbox, post: Post, inserted: object) -> None:
        if self._backoff.failures:
            log.info("The server is back.")
        self._backoff.after_success()
        self._delivered.add(post.post_id)
        self._forget_delivered(outbox)
        log.info("Post %d: %d points delivered, %r inserted.", post.post_id, post.n_points, inserted)

    def _forget_delivered(self, outbox: Outbox) -> None:
        """Delete what the server has. With a full disk that fails; remembered, it is not sent again and again."""
        try:
            for post_id in sorted(self._delivered):
                outbox.done(post_id)
                self._delivered.discard(post_id)
        except sqlite3.OperationalError as error:
            log.warning("Delivered posts cannot be deleted (%s); they stay until the disk has room.", error)

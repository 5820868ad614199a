"""What can go wrong, in words for the robot's owner."""

from __future__ import annotations


class RobotError(Exception):
    """The robot cannot go on; the message is shown as it is and says what to do."""


class SourceUnavailable(RobotError):
    """Nothing to look at."""


class NotRegistered(Exception):
    """The server does not take these keys (any more): an engineer has to sign the robot in. The message says why."""


class ServerAway(Exception):
    """No answer, or one that says "later" (429, 5xx). `effect_unknown`: the request may have worked."""

    def __init__(self, why: str, *, effect_unknown: bool = True) -> None:
        super().__init__(why)
        self.effect_unknown = effect_unknown


class Refused(Exception):
    """The server said no. `detail` is what its JSON said under that name, or the text of the answer."""

    def __init__(self, status: int, detail: object) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail


class BadAnswer(Exception):
    """An answer of another shape than agreed."""

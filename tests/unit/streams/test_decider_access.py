"""Who may sign in to the railway, and who has: the rules of the decider `access`."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from schemas.envelope import KeyRing
from schemas.errors import InvalidEvent
from streams.access_proofs import fingerprint, signed_bytes
from streams.access_state import State
from streams.deciders import access
from streams.decisions import Accepted, Command
from tests.drivers.access import (
    AT,
    BY,
    EVA,
    IVAN,
    R1,
    R2,
    S1,
    S2,
    SECOND,
    answered,
    answering,
    asking,
    carded,
    created,
    decider_of,
    digest,
    given,
    issued,
    may,
    named,
    opened,
    pem_of,
    revoked,
    robot,
    terminal,
)
from tests.drivers.deciding import AT_US, RING

CREATED = created(named())
REGISTERED = ("RobotRegistered", robot() | AT)
TERMINAL = ("TerminalRegistered", terminal() | AT)
ALLOWED = (CREATED, may(EVA, 3))
SIGNED_IN = (*ALLOWED, REGISTERED, issued(), answered(), opened())
NO_ENGINEER = ("engineer_not_found", "Engineer not found")


def test_an_engineer_is_created_without_privileges():
    case = given().when("CreateEngineer", named())
    asked = case.verdict.events[0].record  # pyright: ignore
    case.then(("EngineerCreated", asked), result={"engineer_id": EVA, "created_us": AT_US})
    assert case.state.engineers[EVA].privileges == 0


def test_a_login_belongs_to_one_engineer_until_he_is_removed():
    again = named(IVAN)
    given(CREATED).when("CreateEngineer", again).refused("login_taken", "Engineer already exists")
    case = given(CREATED)
    gone = {"engineer_id": EVA} | BY
    case.when("RemoveEngineer", gone).then(("EngineerRemoved", gone | AT))
    case.when("CreateEngineer", again).then(created(again))
    case.when("RemoveEngineer", gone).refused(*NO_ENGINEER)


def test_a_login_stays_taken_when_a_newer_key_seals_and_is_free_when_its_key_is_gone():
    newer = KeyRing({**RING.keys, "k2": bytes(32)}, "k2")
    given(CREATED, ring=newer).when("CreateEngineer", named(IVAN, ring=newer)).refused(
        "login_taken", "Engineer already exists"
    )
    without = KeyRing({"k2": bytes(32)}, "k2")
    case = given(CREATED, ring=without)
    assert case.state.engineers[EVA].mark == ""
    again = named(IVAN, ring=without)
    case.when("CreateEngineer", again).then(created(again))
    assert given(ring=without).when("CreateEngineer", named()).verdict.code == "unreadable"  # pyright: ignore


def test_logins_do_not_stand_in_the_state():
    case = given(created(named(login="somebody")))
    assert b"somebody" not in case.decider.state.dump(case.state)
    assert case.decider.state.load(case.decider.state.dump(case.state)) == case.state


def test_privileges_are_replaced_as_a_whole():
    case = given(CREATED)
    asked = {"engineer_id": EVA, "privileges": 5} | BY
    case.when("SetEngineerPrivileges", asked).then(("EngineerPrivilegesSet", asked | AT))
    case.when("SetEngineerPrivileges", asked).then()
    nothing = asked | {"privileges": 0}
    case.when("SetEngineerPrivileges", nothing).then(("EngineerPrivilegesSet", nothing | AT))
    case.when("SetEngineerPrivileges", asked | {"engineer_id": IVAN}).refused(*NO_ENGINEER)


def test_a_card_belongs_to_one_engineer_and_goes_with_him():
    case = given(CREATED, created(named(IVAN, "ivan")), may(EVA, 4))
    case.when("SetAuthCard", carded(EVA, "aa")).then(("AuthCardSet", carded(EVA, "aa") | AT))
    case.when("SetAuthCard", carded(EVA, "aa")).then()
    case.when("SetAuthCard", carded(IVAN, "aa")).refused("card_taken", "Card already belongs to another engineer")
    case.when("SetAuthCard", carded(EVA, "bb")).then(("AuthCardSet", carded(EVA, "bb") | AT))
    case.when("SetAuthCard", carded(IVAN, "aa")).then(("AuthCardSet", carded(IVAN, "aa") | AT))
    case.when("SetAuthCard", carded(EVA, None)).then(("AuthCardSet", carded(EVA, None) | AT))
    case.when("SetAuthCard", carded(EVA, None)).then()
    assert case.state.engineers[EVA].privileges == 4
    case.when("RemoveEngineer", {"engineer_id": IVAN} | BY).then(("EngineerRemoved", {"engineer_id": IVAN} | BY | AT))
    case.when("SetAuthCard", carded(EVA, "aa")).then(("AuthCardSet", carded(EVA, "aa") | AT))
    case.when("SetAuthCard", carded(IVAN, "cc")).refused(*NO_ENGINEER)


@pytest.mark.parametrize("events", [(), (CREATED,), (CREATED, may(EVA, 2 | 4))])
def test_a_robot_needs_an_engineer_who_may_register_it(events: Any):
    given(*events).when("RegisterRobot", robot()).refused("insufficient_privileges", "Insufficient privileges")


@pytest.mark.parametrize("events", [(), (CREATED,), (CREATED, may(EVA, 1 | 4))])
def test_a_terminal_needs_an_engineer_who_may_register_it(events: Any):
    given(*events).when("RegisterTerminal", terminal()).refused("insufficient_privileges", "Insufficient privileges")


def test_a_key_of_an_unknown_kind_is_bad_data():
    with pytest.raises(InvalidEvent, match="no algorithm"):
        given(*ALLOWED).when("RegisterRobot", robot(algorithm="none"))
    with pytest.raises(InvalidEvent, match="no command"):
        given().when("CreateStore", BY)


def test_a_robot_of_a_known_model_replaces_the_earlier_one_and_its_sessions():
    case = given(*ALLOWED).when("RegisterRobot", robot())
    case.then(REGISTERED, result={"robot_id": R1})
    other = robot("0f9d3c1e-0000-4000-8000-0000000000a3", "m2")
    case.when("RegisterRobot", other).then(("RobotRegistered", other | AT))
    case = given(*SIGNED_IN, issued("c2"))
    gone = ("RobotRemoved", {"robot_id": R1} | AT | BY)
    new = robot(R2, key="new pem")
    case.when("RegisterRobot", new).then(revoked("s1", "robot_replaced"), gone, ("RobotRegistered", new | AT))
    case.when("AnswerChallenge", answering("c2")).then(result={"opened": False})
    case.when("IssueChallenge", asking()).then(result={"known": False})
    assert (len(case.state.sessions), len(case.state.challenges)) == (0, 0)


def test_removing_a_robot_ends_its_sessions_and_an_unknown_one_is_removed_already():
    case = given(*SIGNED_IN)
    gone = {"robot_id": R1} | BY
    case.when("RemoveRobot", gone).then(revoked("s1", "robot_removed"), ("RobotRemoved", gone | AT))
    case.when("RemoveRobot", gone).then()
    assert (len(case.state.models), len(case.state.sessions)) == (0, 0)


def test_another_key_of_a_store_replaces_the_first_and_ends_its_sessions():
    stored: dict[str, Any] = {"client_type": "STORE"}
    case = given(*ALLOWED, TERMINAL, issued(component_id=S1, **stored), opened(component_id=S1, **stored))
    again = terminal(key="new pem")
    case.when("RegisterTerminal", again).then(revoked("s1", "terminal_replaced"), ("TerminalRegistered", again | AT))
    case.when("AnswerChallenge", answering(client_type="STORE")).then(result={"opened": False})
    forgotten = {"store_id": S1} | BY
    case.when("ForgetTerminal", forgotten).then(("TerminalForgotten", forgotten | AT))
    case.when("ForgetTerminal", forgotten).then()
    case = given(*ALLOWED, TERMINAL, opened(component_id=S1, **stored))
    case.when("ForgetTerminal", forgotten).then(
        revoked("s1", "terminal_forgotten"), ("TerminalForgotten", forgotten | AT)
    )


def test_a_challenge_tells_the_server_which_key_it_is_for():
    case = given(*ALLOWED, REGISTERED).when("IssueChallenge", asking())
    case.then(issued(), result={"known": True, "algorithm": "RSA_OAEP", "key_sha256": fingerprint("pem")})


@pytest.mark.parametrize(
    "asked",
    [
        asking(component_id=R2),
        asking(component_id=S1),
        asking(client_type="STORE"),
        asking(nonce="shown in clear"),
        asking(component_id=S2, client_type="STORE"),
    ],
)
def test_who_is_not_known_gets_no_challenge_and_no_refusal(asked: dict[str, Any]):
    """An RSA key gets none whose text is shown in clear, whatever the server may have thought of its kind."""
    given(*ALLOWED, REGISTERED, TERMINAL).when("IssueChallenge", asked).then(result={"known": False})


def test_the_right_answer_opens_a_session():
    case = given(*ALLOWED, REGISTERED, issued())
    case.when("AnswerChallenge", answering())
    case.then(answered(), opened(), result={"opened": True, "component_id": R1, "expires_us": AT_US + 3600 * SECOND})


@pytest.mark.parametrize(
    ("challenge", "answer"),
    [
        ({}, answering(text="wrong")),
        ({}, answering(text=None)),
        ({}, answering(text=None, signature="A" * 86 + "==")),
        ({}, answering(client_type="STORE")),
        ({"at_us": AT_US - 30 * SECOND}, answering()),
    ],
    ids=["wrong", "none", "another way", "foreign", "late"],
)
def test_any_other_answer_spends_the_challenge(challenge: dict[str, Any], answer: dict[str, Any]):
    case = given(*ALLOWED, REGISTERED, issued(**challenge))
    case.when("AnswerChallenge", answer).then(answered(passed=False), result={"opened": False})
    case.when("AnswerChallenge", answering()).then(result={"opened": False})
    assert (len(case.state.sessions), len(case.state.challenges)) == (0, 0)


def test_an_unknown_challenge_is_no_event():
    given(*ALLOWED, REGISTERED).when("AnswerChallenge", answering("c9")).then(result={"opened": False})


def test_fifty_racing_answers_open_one_session():
    decider, state = decider_of(), given(*ALLOWED, REGISTERED, issued()).state
    verdicts: list[Accepted] = []
    for n in range(50):
        command = Command("AnswerChallenge", answering(session_id=f"s{n}", token_sha256=digest(str(n))), AT_US, str(n))
        verdict = decider.decide(state, command)
        assert isinstance(verdict, Accepted)
        for fact in verdict.events:
            state = decider.evolve(state, fact.name, fact.record)
        verdicts.append(verdict)
    assert [verdict.result["opened"] for verdict in verdicts if verdict.result] == [True] + [False] * 49
    assert list(state.sessions) == ["s0"]


def test_an_ed25519_key_signs_in_by_its_signature():
    key, foreign = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    registered = ("RobotRegistered", robot(key=pem_of(key), algorithm="ED25519") | AT)

    def signed(signer: Ed25519PrivateKey, *words: str) -> dict[str, Any]:
        signature = base64.b64encode(signer.sign(signed_bytes(*words))).decode()
        return answering(text="nonce", signature=signature)

    right = ("ROBOT", R1, "c1", "nonce")
    wrong = [("STORE", R1, "c1", "nonce"), ("ROBOT", R2, "c1", "nonce"), ("ROBOT", R1, "c2", "nonce"),
             ("ROBOT", R1, "c1", "other")]  # fmt: skip
    answers = [signed(key, *words) for words in wrong]
    answers += [signed(foreign, *right), answering(text="nonce"), answering(text="nonce", signature="not base64")]
    for answer in answers:
        case = given(*ALLOWED, registered, issued(nonce="nonce", proof_sha256=digest("nonce")))
        case.when("AnswerChallenge", answer).then(answered(passed=False), result={"opened": False})
    case = given(*ALLOWED, registered).when("IssueChallenge", asking())
    case.then(result={"known": False})  # without a nonce there is nothing to sign
    case.when("IssueChallenge", asking(nonce="nonce")).then(issued(nonce="nonce"))
    case.when("AnswerChallenge", signed(key, *right)).then(answered(), opened())


def test_the_bytes_that_are_signed():
    assert signed_bytes("ROBOT", R1, S1, "n") == f"sensorium component sign-in 1\nROBOT\n{R1}\n{S1}\nn".encode()


def test_eight_challenges_may_be_open_and_the_oldest_goes():
    case = given(*ALLOWED, REGISTERED, *(issued(f"c{n}") for n in range(8)))
    case.when("IssueChallenge", asking("c8")).then(answered("c0", passed=False), issued("c8"))
    assert sorted(case.state.challenges) == [f"c{n}" for n in range(1, 9)]
    case.when("IssueChallenge", asking("c8")).then(result={"known": False})


def test_expired_challenges_are_forgotten_when_the_next_one_is_issued():
    past = [issued(f"c{n}", at_us=AT_US - 31 * SECOND) for n in range(8)]
    case = given(*ALLOWED, REGISTERED, *past).when("IssueChallenge", asking("c8")).then(issued("c8"))
    case = given(*ALLOWED, REGISTERED, *past, issued("c8"))
    assert list(case.state.challenges) == ["c8"]


def test_sessions_of_one_component_are_bounded():
    case = given(*ALLOWED, REGISTERED, *(opened(f"s{n}") for n in range(access.OPEN_SESSIONS)), issued())
    last = answering(session_id="last")
    case.when("AnswerChallenge", last).then(answered(), revoked("s0", "too_many"), opened("last"))
    past = [opened(f"s{n}", at_us=AT_US - 3600 * SECOND) for n in range(access.OPEN_SESSIONS)]
    case = given(*ALLOWED, REGISTERED, *past, issued()).when("AnswerChallenge", last)
    case.then(answered(), opened("last"))
    assert list(case.state.sessions) == ["last"]


def test_a_session_in_use_lives_on_and_one_that_expired_does_not_come_back():
    begun = AT_US - 600 * SECOND
    asked = {"session_id": "s1", "life_ms": 3_600_000} | BY
    case = given(*ALLOWED, REGISTERED, opened(at_us=begun)).when("RenewSession", asked)
    case.then(("SessionRenewed", {"session_id": "s1", "expires_us": AT_US + 3600 * SECOND} | AT | BY))
    case.when("RenewSession", asked).then()
    case.when("RenewSession", asked | {"life_ms": 1}).then()  # nobody makes it shorter
    unknown = ("session_not_found", "Session not found")
    case.when("RenewSession", asked | {"session_id": "s9"}).refused(*unknown)
    case = given(*ALLOWED, REGISTERED, opened(at_us=AT_US - 3600 * SECOND))
    case.when("RenewSession", asked).refused(*unknown)
    case.when("RevokeSession", {"session_id": "s1"} | BY).refused(*unknown)


def test_a_session_is_revoked_once():
    case = given(*SIGNED_IN).when("RevokeSession", {"session_id": "s1"} | BY)
    case.then(revoked("s1", "revoked"))
    case.when("RevokeSession", {"session_id": "s1"} | BY).refused("session_not_found", "Session not found")


Step = tuple[str, int, int]
_STEPS = st.lists(
    st.tuples(st.sampled_from(["ask", "answer", "wrong", "renew"]), st.integers(0, 11), st.integers(0, 40)),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@drawn(_STEPS)
def test_limits_and_times_hold_whatever_comes(steps: list[Step]):
    """Checked against a plain book of what was issued: one session for one challenge in time, never more."""
    decider, state = decider_of(), given(*ALLOWED, REGISTERED).state
    now, issued_at, unspent = AT_US, dict[str, int](), set[str]()
    for name, n, seconds in steps:
        now += seconds * SECOND
        challenge_id = f"c{n}"
        match name:
            case "ask":
                command = Command("IssueChallenge", asking(challenge_id), now, "c")
            case "renew":
                command = Command("RenewSession", {"session_id": f"s/c{n}", "life_ms": 60_000} | BY, now, "c")
            case _:
                text = "text" if name == "answer" else "wrong"
                session = {"session_id": f"s/{challenge_id}", "life_ms": 60_000}
                command = Command("AnswerChallenge", answering(challenge_id, text, **session), now, "c")
        verdict = decider.decide(state, command)
        events = verdict.events if isinstance(verdict, Accepted) else ()
        for fact in events:
            state = decider.evolve(state, fact.name, fact.record)
            if fact.name == "ChallengeIssued":
                issued_at[fact.record["challenge_id"]] = now
                unspent.add(fact.record["challenge_id"])
        in_time = challenge_id in unspent and now < issued_at[challenge_id] + 30 * SECOND
        assert any(fact.name == "SessionOpened" for fact in events) == (name == "answer" and in_time)
        unspent -= {fact.record["challenge_id"] for fact in events if fact.name == "ChallengeAnswered"}
        _holds(state, now)


def _holds(state: State, now: int) -> None:
    owner = state.components[f"ROBOT/{R1}"]
    assert len(owner.challenges) <= access.OPEN_CHALLENGES + 8  # expired ones wait for the next to be issued
    assert sum(one.expires_us > now for one in owner.challenges) <= access.OPEN_CHALLENGES
    assert sum(one.expires_us > now for one in owner.sessions) <= access.OPEN_SESSIONS
    assert sorted(one.challenge_id for one in owner.challenges) == sorted(state.challenges)
    assert sorted(one.session_id for one in owner.sessions) == sorted(state.sessions)

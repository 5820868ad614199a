from __future__ import annotations

from schemas.envelope import KeyRing, seal
from streams.deciders import users
from streams.decisions import Accepted, Command, Refused
from tests.drivers.deciding import AT_US, RING, details, given

A, B = "0f9d3c1e-0000-4000-8000-00000000000a", "0f9d3c1e-0000-4000-8000-00000000000b"
ANNA = details(A, username="anna", full_name="Anna", password_hash="h")
ASKED = {"user_id": A, "details": ANNA, "is_admin": True, "by": "token"}
CREATED = ("UserCreated", ASKED | {"at_us": AT_US})
DELETED = ("UserDeleted", {"user_id": A, "at_us": AT_US, "by": "token"})
SAME = {"user_id": A, "details": None, "is_admin": None, "is_active": None, "by": "token"}
AT = {"at_us": AT_US}


AGAIN = {"user_id": B, "details": details(B, username="anna"), "is_admin": False, "by": "token"}


def test_a_user_is_created():
    given("users").when("CreateUser", ASKED).then(CREATED, result={"user_id": A, "created_us": AT_US})


def test_a_name_belongs_to_one_user():
    given("users", CREATED).when("CreateUser", AGAIN).refused("username_taken", "Username already exists")


def test_names_differ_by_case():
    other = {"user_id": B, "details": details(B, username="Anna"), "is_admin": False, "by": "token"}
    given("users", CREATED).when("CreateUser", other).then(("UserCreated", other | AT))


def test_a_deleted_users_name_is_free_again():
    given("users", CREATED, DELETED).when("CreateUser", AGAIN).then(("UserCreated", AGAIN | AT))


def test_a_user_is_changed_where_something_changes():
    case = given("users", CREATED)
    case.when("ChangeUser", SAME | {"is_admin": True}).then()
    case.when("ChangeUser", SAME | {"is_admin": False, "is_active": True}).then(
        ("UserChanged", SAME | {"is_admin": False} | AT)
    )
    renamed = SAME | {"details": details(A, full_name="Anna P.")}
    case.when("ChangeUser", renamed).then(("UserChanged", renamed | AT))


def test_nobody_changes_or_deletes_a_user_who_is_not_there():
    given("users").when("ChangeUser", SAME | {"is_admin": True}).refused("user_not_found", "User not found")
    given("users").when("DeleteUser", {"user_id": A, "by": "token"}).refused("user_not_found", "User not found")


def test_a_user_is_deleted_by_somebody_else():
    given("users", CREATED).when("DeleteUser", {"user_id": A, "by": "token"}).then(DELETED)
    given("users", CREATED).when("DeleteUser", {"user_id": A, "by": A}).refused("self", "Cannot delete yourself")


def test_a_sign_in_is_recorded_of_who_may():
    given("users", CREATED).when("RecordSignIn", {"user_id": A}).then(("UserSignedIn", {"user_id": A} | AT))
    inactive = ("UserChanged", SAME | {"is_active": False} | AT)
    case = given("users", CREATED, inactive).when("RecordSignIn", {"user_id": A})
    case.refused("inactive", "The user is not active")
    given("users").when("RecordSignIn", {"user_id": A}).refused("user_not_found", "User not found")


def test_a_name_stays_taken_when_a_newer_key_seals():
    newer = KeyRing({**RING.keys, "k2": bytes(32)}, "k2")
    state = users.evolve(users.State(), *CREATED, RING)
    sealed = seal(newer, f"user/{B}", "UserDetails", {"username": "anna"})
    command = Command("CreateUser", {"user_id": B, "details": sealed, "is_admin": False, "by": None}, AT_US, "c")
    assert users.decide(state, command, newer) == Refused("username_taken", "Username already exists")


def test_a_name_whose_key_is_gone_is_forgotten_and_free():
    without = KeyRing({"k2": bytes(32)}, "k2")
    state = users.evolve(users.State(), *CREATED, without)
    assert state.users[A].mark == ""
    sealed = seal(without, f"user/{B}", "UserDetails", {"username": "anna"})
    command = Command("CreateUser", {"user_id": B, "details": sealed, "is_admin": False, "by": None}, AT_US, "c")
    assert isinstance(users.decide(state, command, without), Accepted)
    old = Command("CreateUser", ASKED, AT_US, "c")
    assert users.decide(users.State(), old, without).code == "unreadable"


def test_names_do_not_stand_in_the_state():
    case = given("users", CREATED)
    assert b"anna" not in case.decider.state.dump(case.state)

from __future__ import annotations

import pytest

from schemas.errors import InvalidEvent
from streams.deciders.devices import announce
from tests.drivers.deciding import AT_US, device, given

D, OTHER = "0f9d3c1e-0000-4000-8000-000000000003", "0f9d3c1e-0000-4000-8000-000000000004"
ASKED = device(D, "t" * 64, by="token")
REGISTERED = ("DeviceRegistered", ASKED | {"at_us": AT_US})
DISABLED = ("DeviceDisabled", {"device_id": D, "at_us": AT_US, "by": None})
ENABLED = ("DeviceEnabled", {"device_id": D, "at_us": AT_US, "by": None})
TOLD = {key: ASKED[key] for key in ("device_id", "point_id", "register_id", "is_enabled")} | {"created_us": AT_US}


def test_a_new_device_is_registered():
    given("devices").when("RegisterDevice", ASKED).then(REGISTERED, result=TOLD)


def test_a_device_is_registered_once_whatever_else_is_asked():
    again = device(D)
    given("devices", REGISTERED).when("RegisterDevice", again).refused("device_exists", "Device already exists")


def test_a_token_belongs_to_one_device():
    case = given("devices", REGISTERED).when("RegisterDevice", device(OTHER, "t" * 64))
    case.refused("token_taken", "Token already belongs to another device")


def test_a_device_can_be_registered_shut_out():
    asked = ASKED | {"is_enabled": False}
    given("devices").when("RegisterDevice", asked).then(("DeviceRegistered", asked | {"at_us": AT_US}))


def test_a_device_is_shut_out_and_let_in_again():
    off, on = ({"device_id": D, "is_enabled": wanted, "by": None} for wanted in (False, True))
    case = given("devices", REGISTERED)
    case.when("SetDeviceEnabled", off).then(DISABLED, result=TOLD | {"is_enabled": False})
    case.when("SetDeviceEnabled", on).then(ENABLED, result=TOLD)


def test_what_is_so_already_is_no_event():
    on = {"device_id": D, "is_enabled": True, "by": None}
    given("devices", REGISTERED).when("SetDeviceEnabled", on).then(result=TOLD)


def test_nobody_can_switch_a_device_that_is_not_there():
    case = given("devices").when("SetDeviceEnabled", {"device_id": D, "is_enabled": False, "by": None})
    case.refused("device_not_found", "Device not found")


@pytest.mark.parametrize(
    ("command", "event", "key"),
    [("NamePoint", "PointNamed", "point_id"), ("NameRegister", "RegisterNamed", "register_id")],
)
def test_points_and_registers_are_named_and_renamed_even_before_they_have_devices(command, event, key):
    named = {key: D, "name": "A", "by": None}
    case = given("devices")
    case.when(command, named).then((event, named | {"at_us": AT_US}))
    case.when(command, named).then()
    renamed = named | {"name": "B"}
    case.when(command, renamed).then((event, renamed | {"at_us": AT_US}))


def test_an_unknown_command_is_invalid():
    with pytest.raises(InvalidEvent):
        given("devices").when("DeleteUser", {"user_id": D, "by": None})


def test_the_gateway_is_told_whom_a_token_stands_for():
    case = given("devices", REGISTERED, DISABLED)
    (token,) = announce(case.state, *DISABLED)
    assert token.topic == "devices.tokens"
    assert token.key == D
    assert token.record == {
        "device_id": D,
        "point_id": ASKED["point_id"],
        "register_id": ASKED["register_id"],
        "token_sha256": "t" * 64,
        "enabled": False,
    }
    assert announce(case.state, "PointNamed", {"point_id": D, "name": "A"}) == ()


def test_a_state_is_a_value():
    case = given("devices", REGISTERED)
    before = case.decider.state.dump(case.state)
    case.decider.evolve(case.state, *DISABLED)
    assert case.decider.state.dump(case.state) == before
    assert case.decider.state.load(before) == case.state

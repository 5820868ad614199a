"""Decider `devices`: which recorders may send audio, with which token, and what points and registers are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from schemas.errors import InvalidEvent
from streams.decisions import Accepted, Command, Fact, Refused

TOKENS: Final = "devices.tokens"


class Device(msgspec.Struct, frozen=True):
    """A registered recorder, bound to its point and register."""

    point_id: str
    register_id: str
    token_sha256: str
    is_enabled: bool
    created_us: int


class State(msgspec.Struct, frozen=True):
    """Everything registered, in one partition: a token belongs to one device only."""

    devices: dict[str, Device] = {}
    owners: dict[str, str] = {}
    """SHA-256 of a token -> device."""
    points: dict[str, str] = {}
    registers: dict[str, str] = {}


def decide(state: State, command: Command) -> Accepted | Refused:
    """Give the events of a command, or why not."""
    record, at = command.record, {"at_us": command.at_us, "by": command.record["by"]}
    match command.name:
        case "RegisterDevice":
            return _register(state, record, at)
        case "SetDeviceEnabled":
            return _set_enabled(state, record, at)
        case "NamePoint":
            return _name("PointNamed", "point_id", state.points, record, at)
        case "NameRegister":
            return _name("RegisterNamed", "register_id", state.registers, record, at)
        case _:
            raise InvalidEvent(f"{command.name} is no command for devices.")


def evolve(state: State, name: str, record: Mapping[str, Any]) -> State:
    """Give the state after an event."""
    match name:
        case "DeviceRegistered":
            bound = (record["point_id"], record["register_id"], record["token_sha256"])
            device = Device(*bound, record["is_enabled"], record["at_us"])
            owners = {**state.owners, device.token_sha256: record["device_id"]}
            return _replace(state, devices={**state.devices, record["device_id"]: device}, owners=owners)
        case "DeviceEnabled" | "DeviceDisabled":
            device = msgspec.structs.replace(state.devices[record["device_id"]], is_enabled=name == "DeviceEnabled")
            return _replace(state, devices={**state.devices, record["device_id"]: device})
        case "PointNamed":
            return _replace(state, points={**state.points, record["point_id"]: record["name"]})
        case "RegisterNamed":
            return _replace(state, registers={**state.registers, record["register_id"]: record["name"]})
        case _:
            return state


def announce(state: State, name: str, record: Mapping[str, Any]) -> Sequence[Fact]:
    """Tell the gateway whom a token stands for now."""
    if name not in ("DeviceRegistered", "DeviceEnabled", "DeviceDisabled"):
        return ()
    device_id = record["device_id"]
    device = state.devices[device_id]
    token = {
        "device_id": device_id,
        "point_id": device.point_id,
        "register_id": device.register_id,
        "token_sha256": device.token_sha256,
        "enabled": device.is_enabled,
    }
    return (Fact("DeviceTokenSet", device_id, token, TOKENS),)


def _register(state: State, record: Mapping[str, Any], at: dict[str, Any]) -> Accepted | Refused:
    device_id, token = record["device_id"], record["token_sha256"]
    if device_id in state.devices:
        return Refused("device_exists", "Device already exists")
    if token in state.owners:
        return Refused("token_taken", "Token already belongs to another device")
    fields = ("device_id", "point_id", "register_id", "token_sha256", "is_enabled")
    event = Fact("DeviceRegistered", device_id, {field: record[field] for field in fields} | at)
    bound = (record["point_id"], record["register_id"], token)
    return Accepted((event,), _told(device_id, Device(*bound, record["is_enabled"], at["at_us"])))


def _set_enabled(state: State, record: Mapping[str, Any], at: dict[str, Any]) -> Accepted | Refused:
    device_id, wanted = record["device_id"], record["is_enabled"]
    device = state.devices.get(device_id)
    if device is None:
        return Refused("device_not_found", "Device not found")
    told = _told(device_id, msgspec.structs.replace(device, is_enabled=wanted))
    if device.is_enabled == wanted:
        return Accepted((), told)
    name = "DeviceEnabled" if wanted else "DeviceDisabled"
    return Accepted((Fact(name, device_id, {"device_id": device_id} | at),), told)


def _name(
    event: str, key: str, names: Mapping[str, str], record: Mapping[str, Any], at: dict[str, Any]
) -> Accepted | Refused:
    """A name for something nobody has heard of is kept as well: devices may follow."""
    if names.get(record[key]) == record["name"]:
        return Accepted()
    return Accepted((Fact(event, record[key], {key: record[key], "name": record["name"]} | at),))


def _told(device_id: str, device: Device) -> dict[str, Any]:
    """What the caller may know: everything but the token."""
    return {
        "device_id": device_id,
        "point_id": device.point_id,
        "register_id": device.register_id,
        "is_enabled": device.is_enabled,
        "created_us": device.created_us,
    }


def _replace(state: State, **changed: Any) -> State:
    return msgspec.structs.replace(state, **changed)

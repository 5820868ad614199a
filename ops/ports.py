"""Which TCP ports are free, and who has the taken ones."""

from __future__ import annotations

import errno
import socket

import psutil

from ops.errors import OperatorError


def claim(host: str, port: int, variable: str) -> int:
    """Return the port when it can be bound now. OperatorError says who has it and which variable to set."""
    error = bind_error(host, port)
    if error is None:
        return port
    if error.errno == errno.EADDRINUSE:
        raise OperatorError(f"Port {port} is taken by {owner(port)}: stop that, or set {variable} to another port.")
    if error.errno == errno.EACCES:
        raise OperatorError(f"Port {port} needs special rights here: set {variable} to a port above 1023.")
    raise OperatorError(f"{host} is not an address of this machine: set SENSORIUM_HOST to one that is.")


def next_free(start: int, host: str = "127.0.0.1", tries: int = 200) -> int:
    """The first free port from start on."""
    for port in range(start, min(start + tries, 65536)):
        if bind_error(host, port) is None:
            return port
    raise OperatorError(f"No free port between {start} and {start + tries}: set KAFKA_PORT.")


def bind_error(host: str, port: int) -> OSError | None:
    """Why a listener could not be opened here, or None."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None


def owner(port: int) -> str:
    """The program that listens on a port, in words."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return "another program"
    for connection in connections:
        if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
            return f"{_name(connection.pid)} (process {connection.pid})" if connection.pid else "another user's program"
    return "another program"


def _name(pid: int) -> str:
    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return "a program"

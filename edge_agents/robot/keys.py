"""The robot's key pair and its login file: made, kept, and used to answer a challenge. Files only, no network."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from edge_agents.robot.errors import NotRegistered, RobotError

log = logging.getLogger(__name__)
PrivateKey = rsa.RSAPrivateKey | Ed25519PrivateKey
PRIVATE, PUBLIC = "private_key.pem", "public_key.pem"
_OAEP: Final = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
_ROUNDS: Final = 100_000
"""PBKDF2 rounds and the empty salt are those of robots in the field, so that their key files stay readable."""


def new_key(kind: str) -> PrivateKey:
    """A fresh key: `rsa` (2048 bits, exponent 65537) or `ed25519`."""
    return Ed25519PrivateKey.generate() if kind == "ed25519" else rsa.generate_private_key(65537, 2048)


def public_pem(key: PrivateKey) -> str:
    """The public half as PEM, SubjectPublicKeyInfo, with a newline at the end."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def answer_to(key: PrivateKey, robot_id: str, request_id: str, data: str) -> str:
    """What proves that we hold the key: the decrypted text (RSA), or a signature (Ed25519).

    Raises NotRegistered when an RSA challenge cannot be decrypted: the server does not know us by this key.
    """
    if isinstance(key, Ed25519PrivateKey):
        lines = ("sensorium component sign-in 1", "ROBOT", robot_id.lower(), request_id, data)
        return base64.b64encode(key.sign("\n".join(lines).encode())).decode()
    try:
        return key.decrypt(base64.b64decode(data, validate=True), _OAEP).decode()
    except (ValueError, binascii.Error) as error:
        raise NotRegistered("the server's challenge is not for this key") from error


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """Where keys and login file are, and what the private key is encrypted with."""

    folder: Path
    login_file: Path
    password: str = ""

    def robot_id(self) -> str | None:
        """The id of the last sign-in; None when there was none (or the file is unreadable, which is said)."""
        try:
            told = json.loads(self.login_file.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            log.warning("The login file %s cannot be read: %s", self.login_file, error)
            return None
        found = told.get("robot_id") if isinstance(told, dict) else None
        if not isinstance(found, str) or not found:
            log.warning("The login file %s names no robot.", self.login_file)
            return None
        return found

    def key(self) -> PrivateKey:
        """The private key. Raises NotRegistered when it is missing, damaged or of a kind that cannot sign in."""
        path = self.folder / PRIVATE
        try:
            data = path.read_bytes()
            try:
                key = serialization.load_pem_private_key(data, self._secret())
            except TypeError:  # not encrypted
                key = serialization.load_pem_private_key(data, None)
        except (OSError, ValueError, UnsupportedAlgorithm) as error:
            raise NotRegistered(f"the private key {path} cannot be read ({error})") from error
        if not isinstance(key, PrivateKey):
            raise NotRegistered(f"the private key {path} is neither RSA nor Ed25519")
        return key

    def keep(self, key: PrivateKey, robot_id: str) -> None:
        """Store a registered key pair, then the id: each file is replaced in one step and is for this account only.

        Raises RobotError when nothing can be written.
        """
        encryption = serialization.BestAvailableEncryption(self._secret())
        form = serialization.PrivateFormat.PKCS8
        private = key.private_bytes(serialization.Encoding.PEM, form, encryption)
        try:
            for folder in (self.folder, self.login_file.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(self.folder / PRIVATE, private)
            _replace(self.folder / PUBLIC, public_pem(key).encode())
            _replace(self.login_file, json.dumps({"robot_id": robot_id}).encode())
        except OSError as error:
            raise RobotError(f"the keys cannot be stored ({error}): see KEY_PATH and LOGIN_FILE_PATH") from error

    def _secret(self) -> bytes:
        derive = PBKDF2HMAC(hashes.SHA256(), 32, b"", _ROUNDS)
        return derive.derive(self.password.encode())


def _replace(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise

"""The way to the network as the environment has it. Children are started without one, so it is handed to them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_CERTIFICATES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_HUB: Final = ("HF_ENDPOINT", "HF_TOKEN", "HF_HUB_OFFLINE")
NAMES: Final = (*_PROXIES, *(name.lower() for name in _PROXIES), *_CERTIFICATES, *_HUB)


def network(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Proxies, certificates and the model hub's address, as far as they are set."""
    there = os.environ if environ is None else environ
    return {name: there[name] for name in NAMES if there.get(name)}


def set_network(names: Mapping[str, str]) -> None:
    """Make them this process' own; what is no such name is passed over."""
    for name, value in names.items():
        if name in NAMES:
            os.environ[name] = value

"""API keys: made, hashed for the settings, and checked in constant time.

A key is random and long, so one round of SHA-256 keeps it secret: there is nothing to guess, and a
wrong key costs the server microseconds.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence

from twopass.pipeline.errors import SettingsError

__all__ = ["MIN_KEY", "hash_key", "key_in", "matches", "new_key"]

MIN_KEY = 24  # characters; shorter ones might be guessed


def new_key() -> str:
    """Make a key of 256 random bits."""
    return secrets.token_urlsafe(32)


def hash_key(key: str, salt: bytes | None = None) -> str:
    """Return what goes into ``serve.api_keys`` for a key.

    Raises:
        SettingsError: when the key is too short to be hashed by one round.

    """
    if len(key) < MIN_KEY:
        raise SettingsError(
            f"expected a key of at least {MIN_KEY} characters, found {len(key)}; "
            "'twopass serve --new-key' makes one"
        )
    salt = secrets.token_bytes(16) if salt is None else salt
    return f"sha256:{salt.hex()}:{hashlib.sha256(salt + key.encode()).hexdigest()}"


def matches(key: str, hashed: Sequence[str]) -> bool:
    """Tell whether a key is one of those that were hashed; all are tried, whatever is found."""
    found = False
    for entry in hashed:
        _, salt, digest = entry.split(":")
        candidate = hashlib.sha256(bytes.fromhex(salt) + key.encode("utf-8", "replace"))
        found |= hmac.compare_digest(candidate.hexdigest(), digest)
    return found


def key_in(headers: Mapping[str, str]) -> str | None:
    """Find the key in a request's headers, wherever clients put it.

    ``X-API-Key`` and ``api-key`` come before ``Authorization`` (Bearer or ApiKey), which a proxy
    may have to hand on.
    """
    if key := headers.get("x-api-key") or headers.get("api-key"):
        return key
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() in ("bearer", "apikey") and key.strip() else None

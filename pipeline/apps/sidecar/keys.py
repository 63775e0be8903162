"""API keys: created, hashed for the settings, and checked in constant time.

A key is long and random, so one round of SHA-256 protects it: it cannot be guessed, and a wrong key
costs the server microseconds.
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
    """Return a new key of 256 random bits."""
    return secrets.token_urlsafe(32)


def hash_key(key: str, salt: bytes | None = None) -> str:
    """Return the hash of a key, for ``serve.api_keys``.

    Raises:
        SettingsError: when the key is too short.

    """
    if len(key) < MIN_KEY:
        raise SettingsError(
            f"expected a key of at least {MIN_KEY} characters, found {len(key)}; "
            "'twopass serve --new-key' makes one"
        )
    salt = secrets.token_bytes(16) if salt is None else salt
    return f"sha256:{salt.hex()}:{hashlib.sha256(salt + key.encode()).hexdigest()}"


def matches(key: str, hashed: Sequence[str]) -> bool:
    """Return whether a key is one of the hashed ones; all are compared, to take constant time."""
    found = False
    for entry in hashed:
        _, salt, digest = entry.split(":")
        candidate = hashlib.sha256(bytes.fromhex(salt) + key.encode("utf-8", "replace"))
        found |= hmac.compare_digest(candidate.hexdigest(), digest)
    return found


def key_in(headers: Mapping[str, str]) -> str | None:
    """Find the key in a request's headers, wherever clients put it.

    ``X-API-Key`` and ``api-key`` take precedence over ``Authorization`` (Bearer or ApiKey), which a
    proxy may have to pass on.
    """
    if key := headers.get("x-api-key") or headers.get("api-key"):
        return key
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() in ("bearer", "apikey") and key.strip() else None

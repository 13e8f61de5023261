"""The keyed hash behind tokens, and how the key of a class is made.

**Block of a class.** HKDF-SHA256 (RFC 5869) expands a key to 64 bytes, one block of SHA-256, with the classification
and the version as context. So one root key gives every class a key of its own, and knowing one says nothing of
the others.

**Hash.** ``SHA-256(block ‖ length ‖ ':' ‖ text)``, of which tokens keep the first 128 of 256 bits. The first
compression takes in nothing but the block, so what follows runs from a secret state; the length in front makes the
messages prefix-free, and for those the cascade is a pseudorandom function under the assumption that HMAC rests on
(Bellare, Canetti, Krawczyk 1996). HMAC's second pass is what costs engines half their speed: they have no HMAC, and no
way to keep an inner state between rows. See ``docs/adr/0015-token-keys.md``.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

HEX_DIGITS: Final = 32
"""What a token shows of the hash: 128 bits."""

_SALT: Final = b"feature_platform.tokens"
_FINGERPRINT: Final = b"fingerprint"
"""No message starts with a letter: those of values start with their length."""


def class_block(key: bytes, classification: str, version: int) -> bytes:
    """The 64 secret bytes of one class and version."""
    pseudorandom_key = hmac.digest(_SALT, key, "sha256")
    context = f"{classification}\0{version}\0".encode()
    first = hmac.digest(pseudorandom_key, context + b"\x01", "sha256")
    return first + hmac.digest(pseudorandom_key, first + context + b"\x02", "sha256")


def keyed_hash(block: bytes, text: str) -> str:
    """32 hexadecimal digits for a canonical text."""
    raw = text.encode()
    return hashlib.sha256(block + b"%d:" % len(raw) + raw).hexdigest()[:HEX_DIGITS]


def block_fingerprint(block: bytes) -> str:
    """16 hexadecimal digits that tell keys apart and say nothing about them."""
    return hashlib.sha256(block + _FINGERPRINT).hexdigest()[:16]

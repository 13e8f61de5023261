"""Made-up values: personal ones that are valid, and others that only look personal. The same in every run."""

from __future__ import annotations

import hashlib
import random
import uuid

from feature_platform.governance.detection.validators import IBAN_LENGTHS
from feature_platform.governance.tokens import TokenKeys
from feature_platform.governance.transforms.cards import luhn

chance = random.Random(20_260_101)


def digits(length: int) -> str:
    return "".join(chance.choice("0123456789") for _ in range(length))


def card(prefix: str = "4", length: int = 16) -> str:
    body = prefix + digits(length - 1 - len(prefix))
    return body + next(check for check in "0123456789" if luhn(body + check))


def iban(country: str = "CZ") -> str:
    account = digits(IBAN_LENGTHS[country] - 4)
    letters = "".join(str(int(letter, 36)) for letter in country)
    return f"{country}{98 - int(account + letters + '00') % 97:02}{account}"


def merchant_codes() -> list[str]:
    return [f"MC{chance.randrange(10_000):05}-{chance.choice('ABCDE')}" for _ in range(2_000)]


HARD_NEGATIVES = {
    "merchant codes": merchant_codes,
    "epoch milliseconds": lambda: [str(1_767_225_600_000 + 977 * n) for n in range(5_000)],
    "epoch microseconds": lambda: [str(1_767_225_600_000_000 + 977 * n) for n in range(5_000)],
    "uuids": lambda: [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(5_000)],
    "md5": lambda: [hashlib.md5(str(n).encode(), usedforsecurity=False).hexdigest() for n in range(5_000)],
    "sha256 in capitals": lambda: [hashlib.sha256(str(n).encode()).hexdigest().upper() for n in range(5_000)],
    "order ids": lambda: [digits(16) for _ in range(5_000)],
    "few order ids": lambda: [digits(16) for _ in range(12)],
    "sequential ids": lambda: [str(4_000_000_000_000_000 + n) for n in range(5_000)],
    "version strings": lambda: [f"{chance.randrange(9)}.{n % 30}.{n % 7}.{n % 20}" for n in range(2_000)],
    "windows builds": lambda: [f"10.0.{19000 + n}.{n % 9}" for n in range(500)],
    "trace ids": lambda: [f"{chance.getrandbits(64):016x}" for _ in range(5_000)],
    "trace parents": lambda: [
        f"00-{chance.getrandbits(128):032x}-{chance.getrandbits(64):016x}-01" for _ in range(5_000)
    ],
    "tokens": lambda: [TokenKeys(bytes(range(40))).token("email", str(n)) for n in range(2_000)],
    "timestamps": lambda: [f"2026-01-{1 + n % 28:02}T10:{n % 60:02}:00+01:00" for n in range(2_000)],
    "amounts": lambda: [f"{chance.random() * 10**13:.4f}" for _ in range(2_000)],
    "mentions": lambda: ["@alice", "ping @bob", "a @ b", "logo@2x.png", "user@host", "pkg@1.2.3"],
    "countries": lambda: ["CZ", "DE", "US"] * 100,
    "iban look-alikes": lambda: [f"DE{digits(20)}" for _ in range(2_000)],
    "part numbers": lambda: [f"{digits(3)}-{digits(2)}-{digits(5)}" for _ in range(2_000)],
    "categories": lambda: ["grocery", "travel agency", "fuel", "fast food"] * 50,
    "phone-like prices": lambda: [f"+{n}.{n % 100:02} %" for n in range(2_000)],
    "birth-number-like fractions": lambda: [f"{digits(6)}/{digits(4)}" for _ in range(2_000)],
}

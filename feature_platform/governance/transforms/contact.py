"""E-mail addresses and telephone numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from sqlglot import exp

from feature_platform.governance import expressions as sql
from feature_platform.governance.canonical import canonical, canonical_expression
from feature_platform.governance.transforms.mail_domains import COMMON_DOMAINS
from feature_platform.types import Engine

_PART: Final = f"[^@.{sql.WHITESPACE_CLASS}]+"
_DOMAIN: Final = f"{_PART}(?:[.]{_PART})+"
_REST: Final = "[0-9]{5,12}"
"""What follows the calling code; E.164 allows 15 digits in all."""

_ONE_DIGIT: Final = "1 7"
_TWO_DIGITS: Final = """
20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 90 91
92 93 94 95 98
"""
_THREE_DIGITS: Final = """
211 212 213 216 218 220 221 222 223 224 225 226 227 228 229 230 231 232 233 234 235 236 237 238 239 240 241 242 243
244 245 246 247 248 249 250 251 252 253 254 255 256 257 258 260 261 262 263 264 265 266 267 268 269 290 291 297 298
299 350 351 352 353 354 355 356 357 358 359 370 371 372 373 374 375 376 377 378 380 381 382 383 385 386 387 389 420
421 423 500 501 502 503 504 505 506 507 508 509 590 591 592 593 594 595 596 597 598 599 670 672 673 674 675 676 677
678 679 680 681 682 683 685 686 687 688 689 690 691 692 800 808 850 852 853 855 856 870 878 880 881 882 883 886 888
960 961 962 963 964 965 966 967 968 970 971 972 973 974 975 976 977 979 992 993 994 995 996 998
"""
CALLING_CODES: Final = tuple(tuple(codes.split()) for codes in (_ONE_DIGIT, _TWO_DIGITS, _THREE_DIGITS))
"""Country calling codes of one, two and three digits (ITU-T E.164, assigned codes); no code is the start of another."""


def email_domain(engine: Engine, args: Sequence[exp.Expression]) -> exp.Expression:
    """The domain of a well-formed address if it is a large provider's, else ``other``."""
    value = canonical_expression("email", args[0], engine)
    domain = sql.extract(value, f"^[^@{sql.WHITESPACE_CLASS}]+@({_DOMAIN})$", engine)
    return (
        exp.case()
        .when(sql.one_of(domain, COMMON_DOMAINS), domain)
        .when(domain.copy().is_(exp.null()).not_(), sql.text("other"))
    )


def email_domain_python(value: Any) -> str | None:
    text = None if value is None else canonical("email", value)
    if text is None or not re.fullmatch(f"[^@{sql.WHITESPACE_CLASS}]+@{_DOMAIN}", text):
        return None
    domain = text.split("@")[1]
    return domain if domain in COMMON_DOMAINS else "other"


def phone_country(engine: Engine, args: Sequence[exp.Expression]) -> exp.Expression:
    """The calling code, ``+420``, of a number in international form (``+`` or ``00`` first)."""
    value = canonical_expression("phone", args[0], engine)
    return sql.extract(value, f"^([+](?:{_codes()})){_REST}$", engine)


def phone_country_python(value: Any) -> str | None:
    match = None if value is None else re.fullmatch(f"([+](?:{_codes()})){_REST}", canonical("phone", value))
    return match[1] if match else None


def _codes() -> str:
    return "|".join(code for group in CALLING_CODES for code in group)

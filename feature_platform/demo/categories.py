"""What merchants sell: category codes (ISO 18245), usual amounts, how much of it online."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from feature_platform.demo.randomness import Draw, Integers


@dataclass(frozen=True, slots=True)
class Category:
    """One kind of merchant. Amounts are log-normal around ``median`` (in units of the currency)."""

    code: str
    name: str
    share: float
    median: float
    sigma: float
    online_share: float
    trade: str
    """How such a merchant calls itself."""


CATEGORIES: Final = (
    Category("5411", "grocery", 22, 28, 0.8, 0.12, "Market"),
    Category("5812", "restaurant", 17, 24, 0.7, 0.08, "Kitchen"),
    Category("5814", "fast_food", 10, 9, 0.5, 0.15, "Diner"),
    Category("5541", "fuel", 7, 48, 0.4, 0.0, "Fuel"),
    Category("5311", "department_store", 6, 45, 0.9, 0.35, "Stores"),
    Category("5651", "clothing", 8, 52, 0.8, 0.5, "Fashion"),
    Category("5732", "electronics", 4, 140, 1.1, 0.6, "Electronics"),
    Category("5912", "pharmacy", 5, 16, 0.7, 0.15, "Pharmacy"),
    Category("4111", "transport", 7, 6, 0.8, 0.45, "Transit"),
    Category("4511", "airline", 2, 260, 0.8, 0.95, "Airways"),
    Category("7011", "hotel", 3, 170, 0.7, 0.6, "Hotel"),
    Category("5815", "digital_goods", 4, 11, 0.7, 1.0, "Media"),
    Category("7995", "gambling", 1, 40, 1.0, 0.95, "Games"),
    Category("6051", "quasi_cash", 1, 120, 1.1, 0.9, "Exchange"),
    Category("6011", "cash", 3, 90, 0.6, 0.0, "Cash Point"),
)
RISKY: Final = tuple(entry.name in ("electronics", "gambling", "quasi_cash", "digital_goods") for entry in CATEGORIES)


def category_of(draw: Draw, merchants: Integers) -> Integers:
    """Positions in :data:`CATEGORIES`."""
    return draw.weighted("category", merchants, tuple(float(entry.share) for entry in CATEGORIES))

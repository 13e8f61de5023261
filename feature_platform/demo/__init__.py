"""The demonstration: deterministic payments data, and the guided run behind ``make demo``."""

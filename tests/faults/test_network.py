"""What a client of PostgreSQL says to its own system about networks that swallow packets."""

from __future__ import annotations

from feature_platform.stores.postgres_connection import connect
from tests.faults.world import Servers


def test_a_silent_network_is_given_up_after_a_minute_unless_the_address_says_otherwise(mortal: Servers) -> None:
    port = mortal.networks["tables"].port
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable"
    for more, idle, unanswered in (("", "30", "60000"), ("&keepalives_idle=7&tcp_user_timeout=9000", "7", "9000")):
        with connect(url + more) as session:
            given = session.info.get_parameters()
            assert (given["keepalives_idle"], given["tcp_user_timeout"]) == (idle, unanswered)
            assert (given["keepalives_interval"], given["keepalives_count"]) == ("10", "3")

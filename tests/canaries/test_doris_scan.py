"""Every table of a Doris cluster is searched, staged rows and what is said of tables included."""

from __future__ import annotations

from datetime import date

import pyarrow as pa

from feature_platform.canaries.doris import Doris
from feature_platform.canaries.files import Unsearched
from feature_platform.canaries.listing import Canary
from feature_platform.canaries.needles import Needles
from feature_platform.stores.doris.layout import Shape
from feature_platform.stores.doris.ledger import DorisLedger
from feature_platform.stores.doris.warehouse import DorisWarehouse
from feature_platform.stores.protocols import TableName
from tests.stores.doris.double.running import doubled
from tests.stores.warehouse_cases import day, publish, schema, stream

MAIL = "zoe.quillfeather@example.org"
BORN = "1921-03-17"
NEEDLES = Needles.of([Canary("payers", "email", "email", MAIL), Canary("payers", "born", "birth_date", BORN)])
NOTES = schema(customer_id="bigint", note="string", tags="array<string>", born="date")


def row(note: str = "", tags: list[str] | None = None, born: str | None = None) -> list[dict[str, object]]:
    return [{"customer_id": 1, "note": note, "tags": tags, "born": born}]


def test_everything_that_a_cluster_holds_is_searched(postgres_url: str) -> None:
    with doubled() as (settings, cluster):
        shape = Shape(description=f"asked for by {MAIL}", comments={"note": (f"as {MAIL} wrote", "")})
        warehouse = DorisWarehouse("d", settings, DorisLedger(postgres_url, "canaries"), shapes=lambda _: shape)
        clean = DorisWarehouse("d", settings, DorisLedger(postgres_url, "canaries"))
        publish(clean, row(), NOTES, table=TableName("features", "clean"))
        assert list(Doris(NEEDLES, settings).search()) == []
        for name, found in (("text", row(note=MAIL)), ("listed", row(tags=["x", MAIL]))):
            publish(clean, found, NOTES, table=TableName("features", name))
        born = [{**row()[0], "born": date.fromisoformat(BORN)}]
        publish(clean, born, NOTES, table=TableName("features", "dated"))
        clean.stage(TableName("features", "kept"), NOTES, stream(NOTES, row(note=MAIL)), partition=day("2026-06-30"))
        publish(warehouse, row(), NOTES, table=TableName("features", "said"))
        cluster.execute("CREATE DATABASE IF NOT EXISTS `shop`")
        cluster.execute("CREATE TABLE `shop`.`payers` (\n  `email` STRING NULL\n)\nDISTRIBUTED BY RANDOM BUCKETS 1")
        cluster.load(("shop", "payers"), pa.table({"email": [MAIL]}), None, [])
        search = Doris(NEEDLES, settings, frozenset({("shop", "payers")})).search()
        places = {str(each[0]) for each in search if not isinstance(each, Unsearched)}
        everywhere = {str(each[0]) for each in Doris(NEEDLES, settings).search() if not isinstance(each, Unsearched)}
        cluster.faults.plan("mysql.select", "fine", "fine", "refuse:access denied; need SELECT privilege")
        unsearched = [each for each in Doris(NEEDLES, settings).search() if isinstance(each, Unsearched)]
        warehouse.close()
        clean.close()
    assert places == {
        "fp_features.text",
        "fp_features.listed",
        "fp_features.dated",
        "fp_features.kept, staged",
        "names and comments of tables",
        "names and comments of columns",
    }
    assert everywhere - places == {"shop.payers"}
    assert [each.why for each in unsearched] == ["DENIED"]

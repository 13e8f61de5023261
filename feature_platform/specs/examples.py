"""One example per kind for the reference page. Together they are a whole project, and the tests load and link them."""

from __future__ import annotations

from typing import Final

EXAMPLES: Final[dict[str, str]] = {
    "platform": """\
kind: platform
name: payments
purposes:
  fraud_detection: To stop payments that the card holder did not make.
profiles:
  embedded:
    stores:
      warehouse: {type: duckdb_delta}
      redis: {type: redis}
  production:
    stores:
      warehouse: {type: postgres, url_env: WAREHOUSE_URL}
      redis: {type: redis, url_env: REDIS_URL}
""",
    "domain": """\
kind: domain
name: payments
description: Card authorisations and what follows from them.
owner: team:payments-platform
""",
    "entity": """\
kind: entity
name: card
description: A payment card, by its number.
keys:
  - {name: card_number, type: string, pii: payment_card}
""",
    "source": """\
kind: source
name: transactions
description: Card authorisations, one row per attempt.
path: transactions/*.parquet
event_time: event_time
available_at: ingested_at
key: [transaction_id]
columns:
  transaction_id: {type: bigint, pii: none}
  card_number: {type: string, pii: payment_card}
  event_time: {type: timestamp}
  ingested_at: {type: timestamp}
  merchant_id: {type: bigint, pii: none}
  amount: {type: "decimal(18,2)", unit: USD, pii: none}
  status: {type: string, pii: none, description: "`approved` or `declined`."}
""",
    "feature_view": """\
# Windowed aggregations over events
kind: feature_view
name: card_spend
description: What a card spends, and where.
entity: card
source: transactions
where: status = 'approved'
aggregations:
  - {function: sum, column: amount, windows: [1h, 1d, 30d], default: 0}
  - {function: count, windows: [1h, 1d, 30d]}
  - {function: count_distinct, column: merchant_id, windows: [7d], name: merchants}
features:
  amount_sum_30d: {min: 0, not_null: true}
materialization: {online: redis, schedule: "@daily", partition: day, start: 2026-01-01}
---
# Rows from SQL
kind: feature_view
name: last_authorisation
entity: card
sql: |
  SELECT card_number, event_time, amount, status = 'declined' AS was_declined
  FROM transactions
event_time: event_time
ttl: 365d
contract: {rows_min: 1, freshness: 2d}
materialization: {online: redis, schedule: "@daily"}
---
# Computed when it is read, from other features and the request
kind: feature_view
name: card_risk
entity: card
inputs: [card_spend]
request: {amount: "decimal(18,2)"}
derived:
  - {name: share_of_month, expression: "amount / nullif(card_spend.amount_sum_30d, 0)"}
""",
    "feature_service": """\
kind: feature_service
name: fraud_model
description: What the fraud model is trained and served with.
version: 2
purpose: fraud_detection
features: ["card_spend:*", "last_authorisation:was_declined", "card_risk:share_of_month"]
""",
    "policy": """\
kind: policy
name: privacy
owner: privacy@payments.example
rules:
  - {classification: payment_card, action: token, transforms: [bin6, last4]}
  - {classification: [email, phone], purposes: [fraud_detection], action: token, transforms: [email_domain]}
  - {classification: [national_id, free_text], action: deny}
""",
}
"""Kind → YAML, in the order in which one would write them."""

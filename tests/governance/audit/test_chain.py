"""Every way to change a chain is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_platform.governance.audit.chain import Checkpoint, Head, Record, Verdict, Verifier, seal
from feature_platform.governance.audit.keys import AuditKeys
from tests.governance.audit.ledgers import KEY, KEYS, OTHER_KEYS

AT = datetime(2026, 7, 1, tzinfo=UTC)
RECORDS = seal(KEYS, Head(), "one.segment", [(place, f'{{"rows":{place}}}') for place in range(8)], AT)


def head_of(record: Record) -> Head:
    return Head(record.seq, record.hash, AT, record.segment, record.position)


END = Checkpoint.sign(KEYS, head_of(RECORDS[-1]), len(RECORDS), AT)


def verify(records: Sequence[Record], checkpoints: Sequence[Checkpoint] = (END,), keys: AuditKeys = KEYS) -> Verdict:
    verifier = Verifier(keys, checkpoints)
    for record in records:
        verifier.feed(record)
    return verifier.finish()


def test_an_untouched_chain_is_whole() -> None:
    verdict = verify(RECORDS)
    assert verdict.whole
    assert (verdict.records, verdict.first, verdict.last, verdict.checkpoints) == (8, 1, 8, 1)
    assert verdict.head == RECORDS[-1].hash.hex()


def test_an_empty_ledger_is_whole_until_a_checkpoint_says_otherwise() -> None:
    assert verify([], []).whole
    assert not verify([]).whole


@given(st.integers(0, 7), st.data())
def test_any_single_change_of_any_record_is_found(place: int, data: st.DataObject) -> None:
    record = RECORDS[place]
    changed = data.draw(
        st.sampled_from(
            [
                replace(record, text=record.text.replace('"rows":', '"rows":1')),
                replace(record, text=record.text + " "),
                replace(record, seq=record.seq + 1),
                replace(record, recorded_at="2026-07-02T00:00:00.000000Z"),
                replace(record, segment="other.segment"),
                replace(record, position=record.position + 1),
                replace(record, hash=bytes([record.hash[0] ^ 1]) + record.hash[1:]),
                replace(record, text="no JSON at all"),
            ]
        )
    )
    assert not verify([*RECORDS[:place], changed, *RECORDS[place + 1 :]]).whole


@given(st.permutations(RECORDS))
def test_any_other_order_is_found(records: list[Record]) -> None:
    assert verify(records).whole == (records == RECORDS)


@given(st.lists(st.sampled_from(range(8)), unique=True, max_size=7))
def test_any_missing_records_are_found_the_last_ones_by_the_checkpoint(kept: list[int]) -> None:
    assert not verify([RECORDS[place] for place in sorted(kept)]).whole


def test_a_cut_off_end_is_found_by_the_checkpoint_alone() -> None:
    cut = RECORDS[:5]
    assert verify(cut, []).whole
    assert "cut off" in verify(cut).findings[0].what


def test_a_chain_rewritten_with_another_key_is_found() -> None:
    rewritten = seal(OTHER_KEYS, Head(), "one.segment", [(place, '{"rows":0}') for place in range(8)], AT)
    assert verify(rewritten, [], OTHER_KEYS).whole
    assert not verify(rewritten, []).whole


def test_an_added_record_is_found() -> None:
    extra = replace(RECORDS[-1], seq=9)
    assert not verify([*RECORDS, extra]).whole
    assert not verify([*RECORDS[:4], RECORDS[3], *RECORDS[4:]]).whole


def test_every_fault_is_counted_and_placed_and_the_list_stays_short() -> None:
    many = seal(KEYS, Head(), "s", [(place, '{"rows":0}') for place in range(60)], AT)
    spoiled = [replace(record, text=record.text + " ") if record.seq % 2 else record for record in many]
    verdict = verify(spoiled, [])
    assert verdict.faults == 30
    assert len(verdict.findings) == 20
    assert verdict.findings[0].seq == 1


def test_a_forged_checkpoint_is_found_and_proves_nothing() -> None:
    forged = replace(END, head="00" * 32)
    verdict = verify(RECORDS, [forged])
    assert not verdict.whole
    assert "not signed" in verdict.findings[0].what


def test_older_records_may_be_in_the_archive_if_a_checkpoint_vouches_for_the_rest() -> None:
    boundary = Checkpoint.sign(KEYS, head_of(RECORDS[2]), 3, AT)
    assert verify(RECORDS[3:], [boundary, END]).whole
    assert not verify(RECORDS[3:]).whole
    assert not verify(RECORDS[4:], [boundary, END]).whole


def test_a_rotated_key_goes_on_with_the_same_chain() -> None:
    both = AuditKeys({1: KEY, 2: KEY[::-1]})
    more = seal(both, head_of(RECORDS[-1]), "two.segment", [(0, '{"rows":9}')], AT)
    assert verify([*RECORDS, *more], [END], both).whole
    with_old_key_only = verify([*RECORDS, *more])
    assert "key version 2" in with_old_key_only.findings[0].what


@pytest.mark.parametrize("name", ["seq", "head", "count", "at", "key"])
def test_a_checkpoint_is_signed_as_a_whole(name: str) -> None:
    value = getattr(END, name)
    assert END.holds(KEYS)
    assert not replace(END, **{name: value + 1 if isinstance(value, int) else f"{value}0"}).holds(KEYS)

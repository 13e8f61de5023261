import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from feature_platform.specs.durations import ALL, Duration, is_all

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}
_texts = st.builds(lambda number, unit: f"{number}{unit}", st.integers(1, 9_999_999), st.sampled_from("smhdw"))


@given(_texts)
def test_a_duration_prints_as_it_was_written(text: str) -> None:
    assert str(Duration.parse(text)) == text


@given(_texts)
def test_a_duration_is_its_number_of_units_in_microseconds(text: str) -> None:
    assert Duration.parse(text).microseconds == int(text[:-1]) * _SECONDS[text[-1]] * 1_000_000


@given(_texts)
def test_a_duration_survives_validation_and_serialization(text: str) -> None:
    adapter = TypeAdapter(Duration)
    assert adapter.validate_python(adapter.dump_python(adapter.validate_python(text))) == Duration.parse(text)


@given(st.text(max_size=12))
def test_text_is_a_duration_or_refused(text: str) -> None:
    try:
        duration = Duration.parse(text)
    except ValueError:
        return
    assert duration.microseconds > 0
    assert duration.text == text


@pytest.mark.parametrize("text", ["", "0d", "1", "d", "-1d", "1.5h", "1 d", "1D", "12345678s", "1d\n", "١d"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        Duration.parse(text)


def test_a_number_is_no_duration() -> None:
    with pytest.raises(ValidationError, match="a duration is text"):
        TypeAdapter(Duration).validate_python(30)


def test_only_the_lifetime_window_is_all() -> None:
    assert is_all(ALL)
    assert not is_all(Duration.parse("30d"))

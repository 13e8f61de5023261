"""Personal data is found, and what only looks like it is left alone."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_platform.errors import GovernanceError
from feature_platform.governance.detection import classify, looks_personal, presidio, shape
from feature_platform.governance.detection.judge import Hits, judge
from feature_platform.governance.detection.national_ids import SCHEMES as IDENTIFIERS
from feature_platform.governance.detection.national_ids import Scheme, compact
from feature_platform.governance.detection.parts import NOT_ASCII, Part
from feature_platform.governance.detection.patterns import LONG, LONG_NUMBER, PARTS, PATTERNS, SUSPICIOUS
from feature_platform.governance.detection.readings import readings
from feature_platform.governance.detection.validators import valid_part
from tests.governance.samples import HARD_NEGATIVES, card, digits, iban

NAMES = {
    "email": "customeremail correo_electronico adresse_mail posta_elettronica mail_klienta contact_email email_2",
    "payment_card": "creditCardNumber numero_tarjeta num_carte numeroCartao nr_karty kaartnummer cc_num",
    "birth_date": "birthDate date_naissance fechaNacimiento data_di_nascita data_nascimento data_urodzenia",
    "person_name": "customerlastname nombre_completo cognome imie nazwisko achternaam priezvisko fname ФИО 姓名",
    "phone": "telefonni_cislo numer_telefonu telefoonnummer numero_de_telephone telemovel cellulare msisdn home-phone",
    "ip_address": "ipAddr remote_addr ip_adresa user_ip",
    "national_id": "ssn pesel dni codice_fiscale steuer_id bsn cpf nhs_number cislo_op national_id_number",
    "address": "strasse ulice indirizzo endereco direccion straat homeAddress address_line_1 billingaddress bydliste",
    "postcode": "zip plz code_postal codigo_postal kod_pocztowy home_postcode",
    "iban": "customer_iban account_number cislo_uctu numer_konta rekeningnummer",
    "device_id": "deviceId imei idfa mac_address advertising_id",
    "free_text": "notes poznamka bemerkung commentaire customer_comment uwagi opmerkingen",
}


@pytest.mark.parametrize(("classification", "names"), NAMES.items())
def test_names_of_many_languages_and_spellings_are_recognised(classification: str, names: str) -> None:
    assert {name: looks_personal(name) for name in names.split()} == dict.fromkeys(names.split(), classification)


def classes(values: list[Any], name: str = "c") -> set[str]:
    return {finding.classification for finding in classify(name, values)}


# Names


@pytest.mark.parametrize(
    ("name", "classification"),
    [
        ("email", "email"),
        ("customerEmail", "email"),
        ("E_MAIL_2", "email"),
        ("card_number", "payment_card"),
        ("cislo_karty", "payment_card"),
        ("Kartennummer", "payment_card"),
        ("datum_narození", "birth_date"),
        ("dob", "birth_date"),
        ("Vorname", "person_name"),
        ("příjmení", "person_name"),
        ("account_holder_name", "person_name"),
        ("mobile_number", "phone"),
        ("client_ip", "ip_address"),
        ("rodne_cislo", "birth_number"),
        ("passport_no", "national_id"),
        ("shipping_address", "address"),
        ("ip_address", "ip_address"),
        ("email_address", "email"),
        ("PSČ", "postcode"),
        ("IBAN", "iban"),
        ("device_id", "device_id"),
        ("dispute_narrative", "free_text"),
    ],
)
def test_a_personal_name_is_recognised_in_many_languages(name: str, classification: str) -> None:
    assert looks_personal(name) == classification


FACTS = """
    email_verified email_domain has_email card_number_hash card_last4 phone_country phone_count days_since_email
    merchant_postcode branch_address store_phone product_name merchant_name name amount customer_id event_time is_active
    company description panel shipping_method zipfile_size stripped_amount note_count birth_year customer_age ipo_date
    card_type email_opt_in name_of_product phone_model ip_rating birth_rate address_verified address_id phone_id gate
    liczba_dni emailtemplate mailserver server_ip email_sha256 nationality telemetry pancake japan_sales telegram_sent
    passport_country mobile_os cell_tower note_type street_view_url product_comment device_model message_id
"""


@pytest.mark.parametrize("name", FACTS.split())
def test_the_name_of_a_fact_about_a_value_is_not_personal(name: str) -> None:
    assert looks_personal(name) is None


# Values that are personal


@pytest.mark.parametrize(
    ("text", "classification"),
    [
        ("jan.novak@example.com", "email"),
        ("Contact: <Jan.Novak@Example.co.uk>!", "email"),
        ("jan%40example.com", "email"),
        ("jan\uff20example.com", "email"),
        ("žofie@pošta.cz", "email"),
        ("CZ6508000000192000145399", "iban"),
        ("pay to CZ65 0800 0000 1920 0014 5399 today", "iban"),
        ("GB29 NWBK 6016 1331 9268 19", "iban"),
        ("4111111111111111", "payment_card"),
        ("card 4111-1111-1111-1111.", "payment_card"),
        ("3782 822463 10005", "payment_card"),
        ("call +420 601 234 567 now", "phone"),
        ("+14155552671", "phone"),
        ("from 203.0.113.77", "ip_address"),
        ("2001:db8::8a2e:370:7334", "ip_address"),
        ("219-09-9999", "national_id"),
        ("rc 710319/2745 ", "birth_number"),
        ("00:1B:44:11:3A:B7", "device_id"),
    ],
)
def test_one_value_in_a_column_of_words_is_enough(text: str, classification: str) -> None:
    assert classification in classes([f"ticket {n}" for n in range(200)] + [text])


@given(st.emails())
def test_generated_addresses_are_noticed_by_the_coarse_pattern_and_the_class(email: str) -> None:
    assert re.search(SUSPICIOUS, email)
    assert re.search(PATTERNS["email"], email)


@pytest.mark.parametrize("part", [*PARTS, LONG], ids=lambda part: part.pattern[:30])
def test_every_match_of_a_part_passes_the_tests_that_come_first(part: Part) -> None:
    @settings(max_examples=20)
    @given(st.from_regex(part.pattern))
    def check(text: str) -> None:
        assert not part.one_of or (not text.isascii() if part.one_of == NOT_ASCII else set(part.one_of) & set(text))
        assert not part.like or any(re.fullmatch(_like(each), text) for each in part.like)
        assert len(text) >= part.shortest
        letters = {"": ".?", "upper": "[A-Z]", "lower": "[a-z]", "letter": "[A-Za-z]"}
        assert re.search(letters[part.has], text)
        assert re.search(part.head, text)

    check()


def _like(pattern: str) -> str:
    """A LIKE pattern without escapes as a regular expression."""
    wild = {"%": "(?s:.*)", "_": "(?s:.)"}
    return "".join(wild.get(character) or re.escape(character) for character in pattern)


SCHEMES = [
    ("4", 13),
    ("4", 16),
    ("51", 16),
    ("2221", 16),
    ("34", 15),
    ("6011", 16),
    ("3528", 16),
    ("36", 14),
    ("62", 19),
]


@pytest.mark.parametrize(("prefix", "length"), SCHEMES)
def test_numbers_of_every_scheme_are_cards(prefix: str, length: int) -> None:
    numbers = [card(prefix, length) for _ in range(50)]
    assert all(re.search(LONG_NUMBER, number) for number in numbers)
    assert classes(numbers) == {"payment_card"}


@pytest.mark.parametrize("country", ["CZ", "DE", "PL", "NO", "BE"])
def test_ibans_of_any_length_pass_their_checksum_and_no_other_number(country: str) -> None:
    good = iban(country)
    assert valid_part("iban", good) == good
    wrong = good[:-1] + str((int(good[-1]) + 1) % 10)
    assert valid_part("iban", wrong) is None


def test_two_percent_of_cards_among_random_identifiers_are_found() -> None:
    numbers = [digits(16) for _ in range(39_200)] + [card() for _ in range(800)]
    assert classes(numbers) == {"payment_card"}


def test_people_are_found_by_the_share_of_their_names() -> None:
    names = ["Jan Novák", "Eva Svobodová", "Hans Müller", "Marie Curie", "Petr Pavel", "Acme Ltd", "ČEZ Group"]
    assert "person_name" in classes(names)


def test_streets_are_found_by_their_shape() -> None:
    streets = [
        "12 Baker Street, London",
        "Hlavní ulice 14, Praha",
        "Hauptstraße 5, Berlin",
        "8 rue de Rivoli 2",
        "Via Roma 4",
    ]
    assert "address" in classes(streets)


def test_words_that_nothing_recognises_are_free_text() -> None:
    assert classes([f"the parcel number {n} never came back" for n in range(50)]) == {"free_text"}


def test_the_name_alone_is_a_finding_with_less_confidence() -> None:
    (finding,) = classify("email", [None, None])
    assert (finding.classification, finding.evidence, finding.rows) == ("email", "name", 0)


# National identifiers, by examples that their issuers or the literature give

OFFICIAL = {
    "UK NHS": "943 476 5919",
    "PL PESEL": "44051401359",
    "ES DNI": "12345678Z",
    "IT codice fiscale": "RSSMRA85T10A562S",
    "FR NIR": "1 84 12 76 451 089 46",
    "DE Steuer-ID": "86095742719",
    "BR CPF": "529.982.247-25",
    "NL BSN": "111222333",
    "SE personnummer": "811228-9874",
    "NO fødselsnummer": "01010750160",
    "FI HETU": "131052-308T",
    "BE rijksregister": "85.07.30-033.28",
    "CH AHV": "756.9217.0769.85",
    "TR TCKN": "10000000146",
    "CN resident id": "11010519491231002X",
    "IN Aadhaar": "2341 2341 2346",
    "RO CNP": "1800101221144",
    "HR OIB": "69435151530",
    "BG EGN": "7523169263",
    "PT NIF": "123456789",
    "CA SIN": "130 692 544",
    "IE PPS": "1234567FA",
    "CZ, SK birth number": "710319/2745",
}


@pytest.mark.parametrize(("name", "text"), OFFICIAL.items())
def test_an_official_example_is_valid_and_with_another_digit_it_is_not(name: str, text: str) -> None:
    (scheme,) = (each for each in IDENTIFIERS if each.name == name)
    assert scheme.form.fullmatch(text)
    assert scheme.valid(compact(text))
    place = max(index for index, character in enumerate(text[:-1]) if character.isdecimal())
    others = [text[:place] + digit + text[place + 1 :] for digit in "0123456789" if digit != text[place]]
    assert sum(scheme.valid(compact(other)) for other in others) <= 1


@pytest.mark.parametrize("scheme", [each for each in IDENTIFIERS if each.chance < 0.5], ids=lambda scheme: scheme.name)
def test_random_texts_of_a_form_are_valid_no_more_often_than_the_scheme_says(scheme: Scheme) -> None:
    forms = {"IN PAN", "MX CURP", "passport, machine readable"}
    texts = [text for length in range(8, 19) for text in (digits(length) for _ in range(600))]
    right = [text for text in texts if scheme.form.fullmatch(text)]
    if right and scheme.name not in forms:
        valid = sum(scheme.valid(compact(text)) for text in right)
        assert valid <= scheme.chance * len(right) * 1.5 + 8


# Readings

ADDRESS = "jan.novak@example.com"
ENCODED = [
    base64.b64encode(ADDRESS.encode()).decode(),
    base64.urlsafe_b64encode(f"{ADDRESS}?>".encode()).decode().rstrip("="),
    base64.b64encode(base64.b64encode(ADDRESS.encode())).decode(),
    ADDRESS.encode().hex(),
    "0x" + ADDRESS.encode().hex().upper(),
    ADDRESS.replace("@", "%40"),
    ADDRESS.replace("@", "%2540"),
    ADDRESS.replace("@", "&#64;"),
    ADDRESS.replace("@", "\\u0040"),
    ADDRESS.replace("@", "\uff20"),
    "\u200b".join(ADDRESS),
    json.dumps({"a": [{"b": ADDRESS}]}),
    json.dumps(json.dumps({"a": ADDRESS})),
    f"token={base64.b64encode(ADDRESS.encode()).decode()}&x=1",
]


@pytest.mark.parametrize("text", ENCODED)
def test_an_encoded_address_is_found(text: str) -> None:
    assert "email" in classes([f"ticket {n}" for n in range(200)] + [text])


@pytest.mark.parametrize(
    "value", [["x", ADDRESS], {"a": {"b": (ADDRESS,)}}, ADDRESS.encode(), bytearray(ADDRESS.encode()), {ADDRESS}]
)
def test_an_address_in_a_nested_value_is_found(value: Any) -> None:
    assert classes([value]) == {"email"}


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.binary() | st.datetimes(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8))  # fmt: skip
def test_no_value_makes_it_raise(value: Any) -> None:
    classify("c", [value, value])


@given(st.text(max_size=60))
def test_the_first_reading_is_the_text_itself_and_there_are_few(text: str) -> None:
    found = readings(text)
    assert found[0] == text
    assert len(set(found)) == len(found) <= 12


LONG = 20_000
_BITS = ["a", "1 ", "@", "a@", "1-", "A1", "1.", "(", "[", '"', "a ", "12 Main ", "%40", "&#64;", "aaaa", "4", ":"]
HOSTILE = [bit * LONG for bit in (*_BITS, "\u200b")]
HOSTILE += [
    f"{start} {bit * 200}"[:199] for start in ("via", "12", "Jan", "+1") for bit in ("a", "a ", "1 ", "1-", "a.", "a'")
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:8]))
def test_a_hostile_text_costs_no_more_than_its_length(text: str) -> None:
    begin = time.process_time()
    classify("address", [text, text + "!"])
    assert time.process_time() - begin < 2


# Values that only look personal


@pytest.mark.parametrize("kind", sorted(HARD_NEGATIVES))
def test_what_only_looks_personal_is_left_alone(kind: str) -> None:
    assert classes(HARD_NEGATIVES[kind]()) == set()


class Secret:
    def __str__(self) -> str:
        raise ValueError(ADDRESS)


@pytest.mark.parametrize("value", [1.5, True, b"x", ["a"], float("nan"), "", " ", "\0", Decimal("NaN"), Secret()])
def test_odd_values_are_no_trouble(value: Any) -> None:
    assert classify("c", [value, None]) == []


# The verdict


def test_no_hits_are_no_finding() -> None:
    assert judge("email", Hits(0, 0, [])) is None


def test_a_card_among_identifiers_of_the_same_shape_is_no_evidence() -> None:
    assert judge("payment_card", Hits(3, 3, [card()] * 3, passing_luhn=3, long_numbers=900)) is None
    assert judge("payment_card", Hits(3, 3, [card()] * 3, passing_luhn=3, long_numbers=3)) is not None


@pytest.mark.parametrize(("passing", "found"), [(10_000, False), (10_400, False), (12_000, True)])
def test_many_numbers_must_pass_luhn_far_more_often_than_by_chance(passing: int, found: bool) -> None:
    hits = Hits(100_000, 100_000, [digits(16)], passing_luhn=passing, long_numbers=100_000)
    assert (judge("payment_card", hits) is not None) is found


@given(st.text(max_size=80))
def test_a_shape_holds_no_letter_or_digit_of_the_text(text: str) -> None:
    assert set(re.sub(r"\{[0-9]+\}?", "", shape(text))) <= set("9Aa…?") | {c for c in text if not c.isalnum()}


def test_a_finding_says_nothing_of_the_value() -> None:
    (finding,) = classify("c", ["jan.novak@example.com"])
    assert "novak" not in repr(finding)
    assert finding.shape == "a{3}.a{5}@a{7}.a{3}"


# Presidio


def test_presidio_confirms_what_it_knows() -> None:
    finding = presidio.ask("email", ["jan@example.com", "eva@example.org"], 7)
    assert finding is not None
    assert (finding.evidence, finding.rows, finding.share) == ("presidio", 7, 1.0)


@pytest.mark.parametrize("classification", ["payment_card", "ip_address", "free_text"])
def test_presidio_is_not_asked_where_chance_fools_it(classification: str) -> None:
    assert presidio.ask(classification, ["4111111111111111", "1.2.3.4"], 1) is None


def test_a_presidio_that_breaks_or_runs_out_of_time_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from presidio_analyzer.predefined_recognizers import EmailRecognizer

    def out_of_time(*_: Any, **__: Any) -> Any:
        raise TimeoutError

    presidio.ask("email", ["jan@example.com"], 1)
    monkeypatch.setattr(EmailRecognizer, "validate_result", out_of_time)
    with pytest.raises(GovernanceError, match="ran out of time"):
        presidio.ask("email", ["jan@example.com"], 1)


def test_detection_does_not_import_presidio_before_it_is_asked() -> None:
    program = (
        "import sys, feature_platform.governance.detection as d, feature_platform.governance.detection.presidio\n"
        "d.classify('email', ['jan@example.com'])\n"
        "print([m for m in ('presidio_analyzer', 'spacy', 'duckdb', 'pyarrow') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


TINY_MODEL = """
import sys, pathlib, spacy
folder = pathlib.Path(sys.argv[1])
nlp = spacy.blank("en")
ruler = nlp.add_pipe("entity_ruler")
ruler.add_patterns([{"label": "PERSON", "pattern": [{"LOWER": "zbygniev"}, {"IS_TITLE": True}]}])
nlp.meta.update(name="tiny_names", version="1.0.0")
package = folder / "en_tiny_names"
package.mkdir()
nlp.to_disk(package / "data")
(package / "__init__.py").write_text(
    "import pathlib, spacy\\n"
    "def load(**options):\\n"
    "    return spacy.load(pathlib.Path(__file__).parent / 'data', **options)\\n"
)
info = folder / "en_tiny_names-1.0.0.dist-info"
info.mkdir()
(info / "METADATA").write_text("Metadata-Version: 2.1\\nName: en_tiny_names\\nVersion: 1.0.0\\n")
(info / "entry_points.txt").write_text("[spacy_models]\\nen_tiny_names = en_tiny_names:load\\n")
"""

ASK = """
import sys
from feature_platform.governance.detection import presidio
assert "spacy" not in sys.modules
print(presidio.installed_models())
texts = ["paid back to Zbygniev Qwerta", "order of Zbygniev Ploc", "for Zbygniev Xu", "a parcel", "late"]
print(presidio.ask_for_people(texts))
print(presidio.ask_for_people(["a parcel", "late"]))
"""


def test_an_installed_language_model_is_asked_for_people(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(tmp_path)])}

    def run(program: str, *arguments: str) -> list[str]:
        command = [sys.executable, "-c", program, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        return done.stdout.splitlines()

    run(TINY_MODEL, str(tmp_path))
    models, found, nobody = run(ASK)
    assert "en_tiny_names" in models
    assert "classification='person_name'" in found
    assert "evidence='presidio', rows=3, share=0.6" in found
    assert "Zbygniev" not in found
    assert nobody == "None"


def test_compiling_a_project_imports_no_detector_that_is_heavy() -> None:
    program = (
        "import sys, feature_platform.compiler.project, feature_platform.project.project\n"
        "print([m for m in ('presidio_analyzer', 'spacy', 'phonenumbers', 'tldextract') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""What the name of a column says. A lexicon in several languages, made for precision: it stops a strict compile.

A name is cut into words (``clientEmail2`` → client, email). A class is recognised by a run of words; a word that turns
the column into a fact *about* the value (``email_verified``, ``phone_count``, ``card_number_hash``) takes it back,
and so does a word that makes it a firm's or a machine's (``merchant_postcode``).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

from feature_platform.specs.models import Classification

_LEXICON: Final[Mapping[Classification, str]] = {
    "payment_card": """
        pan; card number; card no; card num; card nr; cardnumber; cardno; credit card; creditcard; cc number;
        ccnumber; ccn; debit card number; kartennummer; numero carte; numero de carte; numero tarjeta; numero carta;
        cislo karty; numer karty; kortnummer; kaartnummer
    """,
    "email": """
        email; e mail; email address; mail address; emailaddress; mailadresse; correo; correo electronico;
        courriel; adresse mail; posta elettronica; sahkoposti; epost
    """,
    "person_name": """
        first name; firstname; last name; lastname; middle name; full name; fullname; given name; family name; surname;
        maiden name; holder name; cardholder; cardholder name; customer name; client name; account holder; user full
        name; contact name; beneficiary name; payer name; payee name; vorname; nachname; familienname; prenom; nom de
        famille; nombre completo; apellido; apellidos; nome completo; cognome; sobrenome; jmeno; prijmeni; imie;
        nazwisko; fornavn; etternavn; efternavn; fornamn; efternamn; voornaam; achternaam
    """,
    "birth_date": """
        birth date; birthdate; date of birth; dateofbirth; dob; birthday; birth day; geburtsdatum; geburtstag;
        date naissance; date de naissance; fecha nacimiento; fecha de nacimiento; data nascita; data di nascita;
        data nascimento; datum narozeni; data urodzenia; geboortedatum; fodselsdato; syntymaaika
    """,
    "birth_number": "birth number; birthnumber; rodne cislo; rodnecislo",
    "phone": """
        phone; phone number; phonenumber; telephone; tel; telefon; telefonnummer; telefono; telefone; telefonu; mobile
        number; mobile phone; cell phone; cellphone; msisdn; handynummer; mobil; mobilnummer; movil; cellulare;
        komorka
    """,
    "ip_address": "ip; ip address; ipaddress; ipaddr; ip addr; ipv4; ipv6; remote addr; adresse ip; direccion ip",
    "national_id": """
        ssn; social security; social security number; national id; national identifier; nationalid; passport;
        passport number; passport no; nino; national insurance number; pesel; cnp; curp; cpf; aadhaar; aadhar; dni; nif;
        codice fiscale; personnummer; fodselsnummer; bsn; burgerservicenummer; personalausweis; ausweisnummer; tax id;
        taxpayer id; steuer id; driver license; drivers license; driving licence; id card number; numero de securite
        sociale
    """,
    "address": """
        address; street; street address; street name; home address; postal address; mailing address; billing address;
        shipping address; delivery address; residence address; address line; adresse; anschrift; strasse; hausnummer;
        house number; rue; direccion; calle; domicilio; indirizzo; endereco; adresa; ulice; ulica; adres; straat; gate
    """,
    "postcode": """
        postcode; post code; postal code; postalcode; zip; zip code; zipcode; plz; postleitzahl; code postal; codigo
        postal; cap postale; psc; kod pocztowy; postnummer
    """,
    "iban": """
        iban; bank account; bank account number; account number; accountnumber; kontonummer; numero de compte;
        numero cuenta; numero conto; cislo uctu; numer konta; kontonr
    """,
    "device_id": """
        device id; deviceid; device fingerprint; imei; imsi; idfa; idfv; gaid; advertising id; android id; mac address;
        macaddress; browser fingerprint; serial number of device; hardware id
    """,
    "free_text": """
        comment; comments; free text; freetext; note; notes; narrative; remark; remarks; memo; message text;
        message body; complaint text; kommentar; anmerkung; bemerkung; commentaire; comentario; commento;
        poznamka; uwagi; opmerking
    """,
}

_ABOUT_WORDS: Final = """
    active age avg band bin bucket category change changed changes city cnt count country counts created
    days distance domain domains exists flag frequency has hash hashed is kind known label lang language
    len length level mask masked match matched matches max mean min missing model n num opt opted optin os
    prefix present provider quality rate ratio region reputation risk score seen sent share since status sum tld
    token tokens total type updated valid validated verified version year years zone
"""
_ABOUT: Final = frozenset(_ABOUT_WORDS.split())
_OF_FIRMS_WORDS: Final = """
    atm bank branch company corporate dealer department depot district event file host issuer merchant office
    organisation organization outlet plant pos product server shop site station store supplier terminal vendor
    warehouse
"""
_OF_FIRMS: Final = frozenset(_OF_FIRMS_WORDS.split())
_PLACES: Final = frozenset({"address", "postcode", "phone", "person_name", "email"})
"""Classes that firms have too; theirs are not personal."""

_PART: Final = re.compile("(?:last|first)_?[0-9]")
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def looks_personal(column_name: str) -> Classification | None:
    """The class that a column of this name most probably holds, or None.

    >>> looks_personal("customerEmail")
    'email'
    >>> looks_personal("email_verified") is None
    True
    """
    words = _words(column_name)
    if not words or _ABOUT & set(words) or _PART.search(column_name.lower()):
        return None
    lengths = {phrase: _match(phrase, words) for phrase in _PHRASES}
    longest = max(lengths, key=lambda phrase: lengths[phrase])
    if not lengths[longest]:
        return None
    classification = _PHRASES[longest]
    if classification in _PLACES and _OF_FIRMS & set(words):
        return None
    return classification


def _words(name: str) -> tuple[str, ...]:
    plain = unicodedata.normalize("NFKD", name)
    ascii_only = "".join(character for character in plain if not unicodedata.combining(character))
    return tuple(word.lower() for word in _WORD.findall(ascii_only) if not word.isdigit())


def _match(phrase: tuple[str, ...], words: tuple[str, ...]) -> int:
    """Letters of the phrase if its words stand in a row in the name, else 0: the longest phrase tells most."""
    size = len(phrase)
    hit = any(words[start : start + size] == phrase for start in range(len(words) - size + 1))
    return sum(map(len, phrase)) if hit else 0


_PHRASES: Final[Mapping[tuple[str, ...], Classification]] = {
    tuple(phrase.split()): classification
    for classification, phrases in _LEXICON.items()
    for phrase in phrases.replace("\n", " ").split(";")
}

"""Names and addresses of people in texts, by dictionaries and shapes: never one cell, only the share of a column's
distinct values.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from feature_platform.governance.detection.finding import Finding, shape

_FIRST_NAMES: Final = """
    adam adela agnes agnieszka ahmed ales alejandro alena alessandro alexander alexandra ali alice alzbeta amelia
    amina amy ana andrea andreas andrew andrzej angela anja anna anne antonio arthur barbara barbora beata benjamin
    bernd birgit bohumil brian bruno camille carlos carmen carol caroline catherine charlotte chloe christian
    christine christopher claire claudia dagmar dana daniel daniela david deborah denisa diana dieter dmitri dominik
    donald donna dorota edward elena elizabeth ellen emil emily emma eric erik ernst esther eva fatima fernando filip
    florian francesca francesco francois frank frantisek franz friedrich gabriel gabriela george gerhard giulia
    giuseppe grzegorz guido gunter hana hanna hannah hans harry heidi heinrich helena helga henry hermann hugo ibrahim
    igor ingrid irena isabel isabella ivan ivana jacek jack jacob jakub james jan jana jane janusz jarmila jaroslav
    javier jean jennifer jens jessica jill jiri joan joanna jonas joao johan johann johanna john jorge josef jose
    joseph juan judith julia julie jurgen kamil karel karen karin karl karolina kateryna kathrin katarzyna katerina
    kenneth kevin klaus kristina krzysztof ladislav larissa lars laura lea lenka leon liam libor linda lisa lothar
    louise lubomir lucas lucia lucie luis lukas maciej magdalena malgorzata manfred manuel marcel marcin marek
    margaret maria marian marie marina mario marketa marta martin martina mary mateusz matthew matthias maximilian
    mehmet mia michael michaela michal miguel mikulas milan milos miroslav mohamed mohammed monika muhammad nadia
    nancy natalia nathan nicolas nicole nina noah olga oliver olivia omar oskar otto pablo pamela patricia patrick
    paul paula pavel pavla pawel pedro peter petr petra philipp pierre piotr radek rafael ralf raphael rebecca renata
    richard robert roberto rolf roman ruben rudolf ryan sabine samuel sandra sara sarah sebastian sergei silvia simon
    simona sofia sophia sophie stanislav stefan stefanie stepan stephen steven susan susanne svetlana sven tatiana
    tereza theresa thomas tim tomas tomasz tony ursula uwe valentina vaclav vera veronika victor viktor vincent vit
    vladimir vojtech waltraud werner wilhelm william wolfgang xavier yusuf yvonne zdenek zofia zuzana
"""
FIRST_NAMES: Final = frozenset(_FIRST_NAMES.split())

_WORD: Final = r"[^\W\d_]+"
_NAME: Final = re.compile(rf"{_WORD}(?:[-'’]{_WORD})?(?:[ ,]+{_WORD}\.?(?:[-'’]{_WORD})?){{0,3}}")
_STREET: Final = re.compile(
    r"\b\d{1,5}[a-z]?,? .*\b(?:street|st|avenue|ave|road|rd|lane|ln|drive|boulevard|blvd|court|square)\b"
    r"|\b(?:rue|avenue|via|viale|piazza|calle|avenida|rua|ulica|ul|ulice|namesti|plac)\b\.? .*\b\d{1,5}\b"
    r"|(?:strasse|straße|str\.|gasse|weg|platz|straat|laan|gatan|vej) \d{1,5}",
    re.IGNORECASE,
)
_NAME_SHARE: Final = 0.3
_ADDRESS_SHARE: Final = 0.2


def judge_texts(texts: Sequence[str]) -> tuple[Finding, ...]:
    """Findings for ``person_name`` and ``address`` in some distinct values of a column."""
    if not texts:
        return ()
    findings = []
    names = [text for text in texts if _is_name(text)]
    if len(names) >= 3 and len(names) / len(texts) >= _NAME_SHARE:
        share = len(names) / len(texts)
        findings.append(Finding("person_name", 0.8, "dictionary", len(names), share, shape(names[0])))
    addresses = [text for text in texts if _STREET.search(_plain(text))]
    if len(addresses) >= 3 and len(addresses) / len(texts) >= _ADDRESS_SHARE:
        share = len(addresses) / len(texts)
        findings.append(Finding("address", 0.7, "pattern", len(addresses), share, shape(addresses[0])))
    return tuple(findings)


def looks_like_free_text(texts: Sequence[str]) -> bool:
    """Whether most distinct values are several words: what people wrote, whatever it is about."""
    wordy = sum(
        sum(re.fullmatch(rf"{_WORD}[.,!?;:]?", part) is not None for part in text.split()) >= 3 for text in texts
    )
    return len(texts) >= 10 and wordy / len(texts) >= 0.5


def _is_name(text: str) -> bool:
    plain = _plain(text)
    words = re.findall(_WORD, plain.lower())
    return bool(_NAME.fullmatch(plain)) and bool(FIRST_NAMES & set(words))


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.strip())
    return "".join(character for character in decomposed if not unicodedata.combining(character))

"""Microsoft Presidio as one voice among others: asked about distinct hits that our own validators do not confirm.

Runs with its pattern recognisers: no download, no network. Where a spaCy model is installed as a package, its named
entities are asked for people in texts; which are there is known from their entry points, without importing spaCy.

It is heavy (two seconds to import, 500 to 1,000 texts per second), so it is imported when the first hit needs it and
never on the compile path. A pattern that runs into its time limit is skipped by Presidio with a log line; here that is
an error, because what was not looked at is not known to be clean.

Not asked: card numbers and IP addresses. For those it says yes to one random number in ten and to version strings.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from threading import Lock
from typing import Any, Final

from feature_platform.errors import GovernanceError
from feature_platform.governance.codes import DETECTION_FAILED
from feature_platform.governance.detection.finding import Finding, shape

ENTITIES: Final[Mapping[str, tuple[str, ...]]] = {
    "email": ("EMAIL_ADDRESS",),
    "iban": ("IBAN_CODE",),
    "phone": ("PHONE_NUMBER",),
    "national_id": ("US_SSN", "US_ITIN"),
    "device_id": ("MAC_ADDRESS",),
}
"""Classes that Presidio is asked about, and what it calls them."""

_CERTAIN: Final = 0.5
"""Below it are guesses: any ten digits are a telephone number with 0.4."""
_SHARE: Final = 0.5
_TIMEOUT_SECONDS: Final = "1"
_PEOPLE: Final = 0.2
"""Part of the texts that has to name somebody: models see people in the names of shops, too."""
_FEW_PEOPLE: Final = 3
_ASKED: Final = 200
_LONGEST: Final = 1_000
_LOCK: Final = Lock()


def ask(classification: str, texts: Sequence[str], rows: int) -> Finding | None:
    """Presidio's finding for distinct texts that looked like ``classification``; None if it does not confirm half of
    them.

    Raises:
        GovernanceError: FP-GOV-020, Presidio is not installed, failed, or ran out of time.
    """
    entities = ENTITIES.get(classification)
    if entities is None or not texts:
        return None
    try:
        with _LOCK, _NoTimeouts() as watch:
            confirmed = [text for text in texts if _certain(_analyzer(), text, entities)]
            watch.check()
    except ImportError:
        raise _failure("Presidio is not installed", "install feature-platform[detection]") from None
    except GovernanceError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever breaks inside a recogniser must close the gate
        raise _failure(f"Presidio failed with {type(error).__name__}", "see its log; run the gate again") from None
    if not confirmed or len(confirmed) / len(texts) < _SHARE:
        return None
    return Finding(classification, 0.8, "presidio", rows, len(confirmed) / len(texts), shape(confirmed[0]))


@cache
def installed_models() -> tuple[str, ...]:
    """Packages of spaCy pipelines that were installed when this process first asked, e.g. ``en_core_web_sm``; nothing
    is imported or fetched. Asked once, since it reads the metadata of every package there is."""
    return tuple(sorted({point.name for point in entry_points(group="spacy_models")}))


def ask_for_people(texts: Sequence[str]) -> Finding | None:
    """``person_name`` if the installed language models see people in a part of these distinct texts; None without a
    model.

    Raises:
        GovernanceError: FP-GOV-020, a model is installed and could not be asked.
    """
    models = installed_models()
    asked = [text[:_LONGEST] for text in texts[:_ASKED] if any(map(str.isalpha, text))]
    if not models or not asked:
        return None
    try:
        with _LOCK:
            found = [text for text in asked if any(_names_somebody(model, text) for model in models)]
    except Exception as error:  # noqa: BLE001 - a model that breaks must close the gate
        raise _failure(f"a spaCy model failed with {type(error).__name__}", "mend or remove the model") from None
    share = len(found) / len(asked)
    if len(found) < _FEW_PEOPLE or share < _PEOPLE:
        return None
    return Finding("person_name", 0.8, "presidio", len(found), share, shape(found[0]))


def _names_somebody(model: str, text: str) -> bool:
    language = model.partition("_")[0]
    results = _with_model(model).analyze(text, language=language, entities=["PERSON"], score_threshold=_CERTAIN)
    return bool(results)


@cache
def _with_model(model: str) -> Any:
    _offline()
    import spacy
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import SpacyNlpEngine
    from presidio_analyzer.predefined_recognizers import SpacyRecognizer

    language = model.partition("_")[0]

    class Installed(SpacyNlpEngine):
        """Presidio's own loader would download a model that it does not find."""

        def load(self) -> None:
            self.__dict__["nlp"] = {language: spacy.load(model)}

    engine = Installed(models=[{"lang_code": language, "model_name": model}])
    engine.load()
    registry = RecognizerRegistry([SpacyRecognizer(supported_language=language)], supported_languages=[language])
    return AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=[language])


def _certain(analyzer: Any, text: str, entities: tuple[str, ...]) -> bool:
    results = analyzer.analyze(text, language="en", entities=list(entities), score_threshold=_CERTAIN)
    return bool(results)


def _offline() -> None:
    os.environ.setdefault("REGEX_TIMEOUT_SECONDS", _TIMEOUT_SECONDS)  # read when Presidio is imported
    import tldextract

    # Its default extractor fetches the public suffix list from the network on first use.
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


@cache
def _analyzer() -> Any:
    _offline()
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NoOpNlpEngine

    engine = NoOpNlpEngine(models=[{"lang_code": "en", "model_name": "no_op"}])
    return AnalyzerEngine(nlp_engine=engine)


class _NoTimeouts(logging.Handler):
    """Notices that Presidio logged a pattern as timed out."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._timeouts = 0
        self._logger = logging.getLogger("presidio-analyzer")

    def emit(self, record: logging.LogRecord) -> None:
        if "timed out" in str(record.msg).lower() or "timeout" in str(record.msg).lower():
            self._timeouts += 1

    def check(self) -> None:
        if self._timeouts:
            raise _failure("a Presidio pattern ran out of time", "shorten the texts, or declare the column's class")

    def __enter__(self) -> _NoTimeouts:
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)


def _failure(what: str, mend: str) -> GovernanceError:
    return GovernanceError(DETECTION_FAILED.problem(what, mend=mend))

"""The residual rule: what people wrote, whatever it is about. Nobody can tell what such a text holds, so it is denied
until somebody says what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from feature_platform.governance.detection.finding import Finding
from feature_platform.governance.detection.people import words_of

_SMALL: Final = """
    a aan aber about aby after again al ale all als am an and ani any ao are as asi at au auch auf aus aux avec
    az back bardzo be because been before bei bez bij bin bis bitte bo bude but by byl byla bylo called came can
    ce ces cette che chi ci co com como con cosa could czy da dal dans das dass dat de del della dem den der des
    deze di did die dit dla do doch does door dos du e een ein eine el ela ele ella elle em en er era es est
    esta este et etait eu foi for from fur geen gli ha habe had has hat have hay he heb heeft her het hij him
    his ho hoe i ich if ihm ihr ik il im in io is isso ist it its ja jak jako je jeho jen jest jestli ji jiz
    jsem jsme jsou juz k kan kde kdy kdyz kein ktera ktery la las le les leur lo los lub lui ma maar mais mam
    mas me meer mehr mein met meu mi mia mich mijn minha mio mir mit mne moje molto mon muj muy my na naar nach
    nam nao nas ne nebo nel neni never nic nicht nie niet no noch nog non nos not nous nur o od oder of om on
    ook op or os ou our over par para pas pelo per perche pero piu please plus po pod por porque pour pred pri
    pro prosim prosze protoze qu quando que qui s sa schon se sehr sem ses seu she si sich sie sin sind so son
    sono sont still su sur ta tak take tam te tego ten than that the their them then there they this to toen too
    took tu tym u uber uit um uma un una und une uns up us uz v van ve von voor vor vous vsak w war was wat we
    wel wenn were what when which who why wie wij will wir with would wurde y ya you your z za ze zijn zu zum
    zur
"""
_SMALL_WORDS: Final = frozenset(_SMALL.split())
"""Of English, German, Czech, French, Spanish, Portuguese, Italian, Polish, Dutch."""
_TOKENS: Final = 2.0
_DISTINCT: Final = 0.5
_FEW_TEXTS: Final = 10
_LETTERS: Final = 0.75


def judge_free_text(texts: Sequence[str], distinct_share: float) -> Finding | None:
    """The residual rule: texts that differ, of two words or more on average, in letters, put together with the small
    words of a language or long. Names of products and places are not.
    """
    if len(texts) < _FEW_TEXTS or distinct_share < _DISTINCT:
        return None
    counted = [words_of(text[:2_000]) for text in texts]
    average = sum(len(text[:2_000].split()) for text in texts) / len(texts)
    if average < _TOKENS or _letters(texts) < _LETTERS:
        return None
    written = sum(sum(word in _SMALL_WORDS for word in words) >= max(1, len(words) // 8) for words in counted)
    share = written / len(texts)
    if share < (0.3 if average >= 4 else 0.6):
        return None
    return Finding("free_text", 0.7, "residual", len(texts), share)


def _letters(texts: Sequence[str]) -> float:
    total = sum(len(text[:2_000]) for text in texts)
    letters = sum(character.isalpha() or character in " .,'!?" for text in texts for character in text[:2_000])
    return letters / total if total else 0.0

"""Error codes of governance: policies, tokens, detection."""

from __future__ import annotations

from typing import Final

from feature_platform.errors import Code

UNKNOWN_TRANSFORM: Final = Code(
    "FP-GOV-001",
    "Unknown governed transform",
    "A policy rule names a transform that is not in the catalogue. The catalogue is closed: only functions whose "
    "result is known to keep little of the value, and which give the same result on every engine, may read a "
    "classified column.",
)
TRANSFORM_DOES_NOT_FIT: Final = Code(
    "FP-GOV-002",
    "Transform does not accept this classification",
    "A policy rule allows a transform for a classification that it can't read, such as `bin6` for e-mail "
    "addresses. Such a rule would never take effect, and whoever wrote it believes otherwise.",
)
POINTLESS_RULE: Final = Code(
    "FP-GOV-003",
    "Rule for columns that are not personal",
    "A policy rule lists the classification `none`. Those columns are open to everyone; a rule for them has no effect.",
)
RAW_NEVER_HOLDS: Final = Code(
    "FP-GOV-004",
    "Raw values are never shown by this rule",
    "The most restrictive rule wins, and for every purpose and role that the `raw` rule names another rule is "
    "stricter. Whoever wrote it believes otherwise. The other rule has to say which roles it is for.",
)
COMBINATION_NOT_OPEN: Final = Code(
    "FP-GOV-005",
    "Combination of transforms that the rule does not allow",
    "`combinations` says which of the rule's own transforms may stand together, so each has at least two of them. Such "
    "an entry would never take effect.",
)
TRANSFORM_UNUSABLE: Final = Code(
    "FP-GOV-006",
    "Approved transform can't be used",
    "A policy approves a transform of a team's package that is not installed, can't be imported, is not what the "
    "platform takes for a transform, or has the name of another one. It is left out; what needs it does not compile.",
)
TRANSFORM_CHANGED: Final = Code(
    "FP-GOV-007",
    "Transform is not the one that was approved",
    "The installed package has another version or another definition of the transform than the privacy owner looked "
    "at. A changed transform may let out more, so it has to be approved anew.",
)
TRANSFORM_NOT_APPROVED: Final = Code(
    "FP-GOV-008",
    "Transform is not approved",
    "A rule names a transform of an installed package that no policy approves. Packages can add transforms only with "
    "the privacy owner's approval; until then their code is not even loaded.",
)
TOKEN_KEY_MISSING: Final = Code(
    "FP-GOV-010",
    "No token key",
    "Personal keys leave their source as keyed tokens only. Without the key nothing that reads a personal key can "
    "run. Only the embedded profile makes a key of its own; every other profile takes it from an environment "
    "variable, a key file or a plug-in.",
)
TOKEN_KEY_WEAK: Final = Code(
    "FP-GOV-011",
    "Token key is not usable",
    "A token key is at least 32 random bytes in hexadecimal or base64, with an optional version such as `v2:` and "
    "classification such as `email:v2:` before it. A short or guessable key would let anyone find the card number "
    "behind a token by trying all of them.",
)
TOKEN_KEY_EXPOSED: Final = Code(
    "FP-GOV-012",
    "Token key file can be read by others",
    "A file with token keys must be readable by its owner alone.",
)
TOKEN_KEY_DIFFERS: Final = Code(
    "FP-GOV-013",
    "Database was set up with another token key",
    "The database already tokenises with a key of this version, and it is a different one. Going on would give one "
    "person two tokens. A new key needs a new version.",
)
TOKEN_SETUP_FAILED: Final = Code(
    "FP-GOV-014",
    "Token function could not be installed",
    "The connection could not be given its token function, so nothing may run on it.",
)
NOT_TOKENISABLE: Final = Code(
    "FP-GOV-015",
    "Value can't be tokenised",
    "Only text, integers, decimals and dates have one canonical text that is the same in every engine; doubles, "
    "timestamps, arrays and booleans do not name anybody.",
)
NO_KEY_OF_VERSION: Final = Code(
    "FP-GOV-016",
    "No token key of this version",
    "Rows or a caller's tokens were made with a version of the token key that this process does not have. Looking them "
    "up with another version would find nobody and say so as if it were true.",
)
MIXED_KEY_VERSIONS: Final = Code(
    "FP-GOV-017",
    "Tokens of two key versions in one query",
    "What the query reads holds tokens of one classification in two versions of the key, because a rotation is not "
    "over. One person has two tokens there, so a join would lose rows and a count would count them twice.",
)
DETECTION_FAILED: Final = Code(
    "FP-GOV-020",
    "Detection could not be evaluated",
    "A detector raised or ran out of time. What was not looked at is not known to be clean, so this counts as a "
    "failure.",
)
PROFILES_UNREADABLE: Final = Code(
    "FP-GOV-021",
    "Profiles of sources can't be read",
    "What `fp profile` found is kept in one file of the state folder. If it is damaged, columns that hold personal "
    "data would pass for clean, so nothing compiles until it is made again.",
)

"""The problems that a single document can have. What only shows between documents is in ``registry.codes``."""

from __future__ import annotations

from typing import Final

from feature_platform.errors import Code

FOLDER: Final = Code(
    "FP-SPEC-001",
    "No project folder",
    "The folder of the project does not exist, is not a folder, or holds no YAML or JSON file.",
)
LINK: Final = Code(
    "FP-SPEC-002",
    "Symbolic link refused",
    "A symbolic link is broken, runs in a circle, or leads out of the project. What a project means must not depend "
    "on files that are not part of it.",
)
UNREADABLE: Final = Code(
    "FP-SPEC-003",
    "File cannot be read",
    "The file system refused to give the file or folder, or it is not a plain file.",
)
TOO_LARGE: Final = Code(
    "FP-SPEC-004",
    "File too large",
    "A file of definitions is limited to 1 MB. Definitions are small; what is larger is data in the wrong place.",
)
NOT_UTF8: Final = Code(
    "FP-SPEC-005", "Not UTF-8", "Files are read as UTF-8, the only encoding that YAML and JSON share."
)
CHARACTER: Final = Code(
    "FP-SPEC-006",
    "Forbidden character",
    "Control characters, NUL among them, have no meaning in a definition and would hide what it says.",
)
SYNTAX: Final = Code(
    "FP-SPEC-007",
    "Not YAML",
    "The text does not follow the rules of YAML. Documents that stand before the place are still checked.",
)
JSON_SYNTAX: Final = Code("FP-SPEC-008", "Not JSON", "The text of a .json file does not follow the rules of JSON.")
TAB: Final = Code("FP-SPEC-009", "Tab in the indentation", "YAML forbids tabs where indentation carries meaning.")
EMPTY: Final = Code(
    "FP-SPEC-010",
    "Nothing there",
    "A file or document is empty. Most often something was forgotten, so it is not passed over in silence.",
)
DUPLICATE_KEY: Final = Code(
    "FP-SPEC-011",
    "Field written twice",
    "The same field stands twice in one mapping. Which one counts would be a guess.",
)
KEY_NOT_TEXT: Final = Code(
    "FP-SPEC-012", "Field name is not text", "The name of a field is text, not a number, list or mapping."
)
TAG: Final = Code(
    "FP-SPEC-013",
    "YAML tag",
    "Tags such as `!!python/object` or `!!str` choose a type by force. Types come from the field; nothing is ever "
    "constructed from a file.",
)
MERGE_KEY: Final = Code(
    "FP-SPEC-014",
    "Merge key",
    "`<<` mixes fields of another mapping in. YAML 1.2 dropped it, and it hides what a definition says.",
)
ALIAS: Final = Code(
    "FP-SPEC-015",
    "Alias cannot be used",
    "An alias (`*name`) is unknown, contains itself, or the aliases of a document multiply into more than 10,000 "
    "values.",
)
TOO_DEEP: Final = Code(
    "FP-SPEC-016", "Nested too deep", "A document nests more than 20 levels; no kind needs more than 6."
)
NUMBER: Final = Code("FP-SPEC-017", "Number out of range", "A number has too many digits or is not finite.")
NOT_A_MAPPING: Final = Code(
    "FP-SPEC-020", "Not a document", "A document is a mapping of fields, one of which is `kind`."
)
NO_KIND: Final = Code("FP-SPEC-021", "Kind missing", "Every document says in `kind` what it describes.")
UNKNOWN_KIND: Final = Code("FP-SPEC-022", "Unknown kind", "`kind` names something that the platform does not know.")
UNKNOWN_FIELD: Final = Code(
    "FP-SPEC-023",
    "Unknown field",
    "The kind has no such field. A misspelt optional field would otherwise be ignored in silence.",
)
MISSING_FIELD: Final = Code("FP-SPEC-024", "Field missing", "The kind asks for a field that is not there.")
WRONG_TYPE: Final = Code(
    "FP-SPEC-025",
    "Wrong type",
    "The value is of another type than the field. Nothing is converted: `yes` is text, a quoted number is text, only "
    "`true` and `false` are booleans.",
)
WRONG_VALUE: Final = Code(
    "FP-SPEC-026", "Value not allowed", "The value has the right type but not a value that the field allows."
)
CONTRADICTION: Final = Code(
    "FP-SPEC-027", "Fields do not fit together", "Two fields of the document exclude or need each other."
)

"""Error codes of the SDK: spines, feature names, purposes, online reads."""

from __future__ import annotations

from typing import Final

from feature_platform.errors import Code

UNKNOWN_PURPOSE: Final = Code(
    "FP-SDK-001",
    "Unknown purpose",
    "A session states why it uses data, and the purposes are listed in `platform.yaml`. Without one nothing is "
    "handed out, because policies decide by purpose.",
)
UNKNOWN_FEATURE: Final = Code(
    "FP-SDK-002",
    "Unknown feature",
    "A feature is asked for as `view:feature`, as `view:*`, or by the name of a feature service; what was asked for "
    "is none of these.",
)
NOT_PERMITTED: Final = Code(
    "FP-SDK-003",
    "Feature not allowed for this purpose",
    "What went into a feature decides who may have it. Its labels hold something that no policy opens for the "
    "session's purpose and role, or its view is declared for other purposes.",
)
SPINE_NOT_READABLE: Final = Code(
    "FP-SDK-010",
    "Spine can't be read",
    "A spine is an Arrow table or reader, a pandas or polars data frame, the path of a Parquet file, or a query: "
    "`Sql(...)`.",
)
SPINE_COLUMN_MISSING: Final = Code(
    "FP-SDK-011",
    "Spine lacks a column",
    "A training set needs the time of each row, the keys of the entities whose features are asked for, and the "
    "request values of derived features.",
)
SPINE_COLUMN_TYPE: Final = Code(
    "FP-SDK-012",
    "Spine column has another type",
    "Keys and request values must convert to their declared types without loss, and the time must be a timestamp or "
    "a date.",
)
SPINE_COLUMN_CLASH: Final = Code(
    "FP-SDK-013",
    "Column name is taken",
    "The spine has two columns of one name, or one with the name of a feature that was asked for; nothing is "
    "silently replaced.",
)
SPINE_COLUMN_LABEL: Final = Code(
    "FP-SDK-014",
    "Spine column holds something else than the key",
    "A query that gives a spine has a column with the name of a key, or of a request value, that is made of another "
    "personal value, or of a part of one. It would find nobody, or carry a token into a computation.",
)
UNWRITABLE_TYPE: Final = Code(
    "FP-SDK-015",
    "Column can't be written to this kind of file",
    "An extra column of the spine has a type of Arrow that the file's format does not have, such as a union or a "
    "nested value in CSV. Rows in memory can have it.",
)
NOT_ONLINE: Final = Code(
    "FP-SDK-020",
    "View is not kept online",
    "Only views with an online store can be read online. Others are for training sets and analysis.",
)
REQUEST_VALUE: Final = Code(
    "FP-SDK-021",
    "Value is missing or has another type",
    "Every entity of an online read needs the keys of the views, and the request values of derived features, in "
    "their types.",
)
UNKNOWN_DATASET: Final = Code(
    "FP-SDK-030",
    "Unknown dataset",
    "A dataset is asked for as `name` (its newest version) or `name@3`, and there is none of that name or number.",
)
DATASET_DAMAGED: Final = Code(
    "FP-SDK-031",
    "Dataset is damaged",
    "The file with a dataset's rows is missing or has another digest than when it was written. A version of a dataset "
    "never changes, so these are not the rows that a model was trained on.",
)
DATASET_KEYS: Final = Code(
    "FP-SDK-033",
    "Dataset has tokens of another key version",
    "The keys of a dataset are kept as tokens, and tokens of two versions of a key can't be matched. "
    "After a rotation a dataset can be made again as long as its version is in the ring, and no published view that it "
    "reads was rewritten with a newer one. Its rows can be read for ever.",
)
BAD_DATASET_NAME: Final = Code(
    "FP-SDK-032", "Name can't name a dataset", "Datasets are named in lower-case letters, digits and `_`."
)

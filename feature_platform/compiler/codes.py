"""Error codes of the compiler: queries, views, services; aggregations, derived features, training sets."""

from __future__ import annotations

from typing import Final

from feature_platform.errors import Code

SYNTAX: Final = Code(
    "FP-SQL-001",
    "SQL is not understood",
    "The text does not parse as SQL of the platform's dialect (DuckDB's). Nothing that the parser does not "
    "understand is passed on.",
)
NOT_ONE_SELECT: Final = Code(
    "FP-SQL-002",
    "Not exactly one SELECT",
    "A query is one SELECT, possibly with CTEs and set operations. Several statements, DDL, DML, COPY, SET, ATTACH, "
    "PIVOT and "
    "the like can reach what a guarded scan can't see.",
)
CONSTRUCT: Final = Code(
    "FP-SQL-003",
    "Construct is not supported",
    "The dialect is a closed list of constructs that mean the same on every engine and whose lineage is known. What "
    "is not on "
    "the list does not compile.",
)
ROUND_TRIP: Final = Code(
    "FP-SQL-004",
    "Parser and renderer disagree",
    "The query's tree, written as text and read again, gives another tree. Then an engine could understand something "
    "else than "
    "what was checked.",
)
UNKNOWN_TABLE: Final = Code(
    "FP-SQL-005",
    "Unknown table",
    "A query reads sources and feature views of the project, by their bare names, and its own CTEs. Nothing else "
    "exists for it.",
)
UNKNOWN_COLUMN: Final = Code(
    "FP-SQL-006",
    "Unknown column",
    "No table in scope has a column of this name. Columns are those declared in the project.",
)
AMBIGUOUS_COLUMN: Final = Code(
    "FP-SQL-007",
    "Ambiguous column",
    "Several tables in scope have a column of this name, so it needs its table in front.",
)
OUTPUT_NAMES: Final = Code(
    "FP-SQL-008",
    "Output names clash",
    "Two tables of one SELECT, or two CTEs, have the same name, compared without regard to case as the engines do; or "
    "ORDER BY names what a SELECT DISTINCT does not give.",
)
SET_OPERATION: Final = Code(
    "FP-SQL-009",
    "Branches of a set operation do not fit",
    "UNION, INTERSECT and EXCEPT align columns by position unless BY NAME is written: each branch needs as many, of "
    "types with a common supertype.",
)
GROUPING: Final = Code(
    "FP-SQL-010",
    "Aggregation is not well-formed",
    "Beside an aggregate, a column has to be grouped or aggregated itself; aggregates don't nest and have no place "
    "in WHERE, ON or "
    "GROUP BY.",
)
UNKNOWN_FUNCTION: Final = Code(
    "FP-SQL-011",
    "Unknown function",
    "The function catalogue is closed: every entry is tested to give the same value on every engine. What has no "
    "entry does not "
    "compile.",
)
NOT_REPRODUCIBLE: Final = Code(
    "FP-SQL-012",
    "Result would not be reproducible",
    "The clock, random numbers, session state and an order that is not fixed give another value each time: training "
    "and serving "
    "could never agree.",
)
ARGUMENTS: Final = Code(
    "FP-SQL-013", "Arguments do not fit", "The function exists, but not for this number or these types of arguments."
)
OPERAND_TYPES: Final = Code(
    "FP-SQL-014",
    "Operands do not fit",
    "Engines convert silently in different ways, so the platform converts only between numbers and from date to "
    "timestamp.",
)
UNTYPED: Final = Code(
    "FP-SQL-015", "Column without a type", "A column that is NULL in every row has no type unless it is cast."
)
CAST: Final = Code(
    "FP-SQL-016",
    "Cast is not portable",
    "The engines give different values or texts for this conversion, or it would stop a run with the value in the "
    "message.",
)
LITERAL: Final = Code("FP-SQL-017", "Literal is not valid", "A constant does not have the form that its type asks for.")
JOIN: Final = Code(
    "FP-SQL-018",
    "Join is not supported",
    "A join lacks its condition, or one that its kind can have: ASOF takes equalities and one inequality between the "
    "sides, NATURAL a column in common, and no RIGHT or FULL JOIN looks beside itself.",
)
DENIED: Final = Code(
    "FP-SQL-020",
    "Column is denied by policy",
    "A classified column may be read only as far as a policy opens it for the purposes of whoever asks. The default "
    "is no.",
)
TRANSFORM_NOT_ALLOWED: Final = Code(
    "FP-SQL-021",
    "Transform is not allowed by policy",
    "Governed transforms let out little of a value; which ones may be used on which classification, a policy says.",
)
TRANSFORM_MISPLACED: Final = Code(
    "FP-SQL-022",
    "Governed transform in the wrong place",
    "A governed transform runs inside the guarded scan of one source table, so it takes a classified column of that "
    "table, and besides it "
    "only constants and clear columns of the same table.",
)
TRANSFORM_ARGUMENTS: Final = Code(
    "FP-SQL-023",
    "Arguments of a governed transform do not fit",
    "The transform exists, but not for this column or these arguments.",
)
UNCLASSIFIED: Final = Code(
    "FP-SQL-024",
    "Unclassified column looks personal",
    "With `strict_pii`, a column whose name or values (`fp profile`) look personal must say what it holds before "
    "anything may read it. `pii: none` needs a reason then.",
)
TOKEN_USE: Final = Code(
    "FP-SQL-025",
    "Token is used as if it were the value",
    "A token tells only whether two values are equal. Its order, its characters and its comparison with a constant "
    "mean nothing, "
    "or probe for a known person.",
)
TOKEN_CLASSES: Final = Code(
    "FP-SQL-026",
    "Tokens of different classes are compared",
    "Every classification has tokens of its own; tokens of two classes, or a token and a plain value, are never equal.",
)
STAR_OVER_DENIED: Final = Code(
    "FP-SQL-027",
    "Star covers denied columns",
    "`*` stands for every column. Leaving out silently what a policy denies would let a policy change the shape of a "
    "table "
    "without anybody noticing, so the columns that are left out have to be written down.",
)
LABEL_NOT_PERMITTED: Final = Code(
    "FP-SQL-028",
    "Column of a view carries more than the purpose allows",
    "What was derived from personal data keeps its label at any distance; each reader's purpose has to allow it.",
)
NOT_TOKENISABLE: Final = Code(
    "FP-SQL-029",
    "Column can't be tokenised",
    "Only text, integers, decimals and dates have one canonical text that a token can be made of.",
)
KEY_COLUMN: Final = Code(
    "FP-SQL-030",
    "View lacks a key column of its entity",
    "A view in SQL has every key column of its entity, under that name, with that type; a personal key as the token "
    "of its class.",
)
TIME_COLUMN: Final = Code(
    "FP-SQL-031",
    "View lacks its time column",
    "The columns that `event_time` and `available_at` name must be in the SELECT, as timestamps in UTC.",
)
FEATURE_CONTRACT: Final = Code(
    "FP-SQL-032",
    "Feature contract does not fit",
    "`features` promises a feature or a type that the definition does not give.",
)
FEATURE_NAME: Final = Code(
    "FP-SQL-033",
    "Feature name is not usable",
    "Feature names are identifiers of letters, digits and underscores, not reserved by the platform, and a view has "
    "at least one.",
)
SERVICE_FEATURE: Final = Code(
    "FP-SQL-040",
    "Service asks for a feature that does not exist",
    "Features are named `view:feature`; `view:*` stands for all of a view.",
)
SERVICE_LABEL: Final = Code(
    "FP-SQL-041",
    "Feature is not allowed for the service's purpose",
    "Every label of every feature has to be allowed for the one purpose of the service, however far away the "
    "personal column is.",
)
VIEW_PURPOSE: Final = Code(
    "FP-SQL-042",
    "View may not be used for this purpose",
    "A view, or one that it is built on, limits the purposes that it may be used for.",
)
COMBINATION: Final = Code(
    "FP-SQL-043",
    "Forms of one value are brought together",
    "Two different parts of a card number, or a part beside a token of it, tell more than each alone, and may identify "
    "what each of them hides. A policy has to name the combination. The same holds for the features of a service.",
)
UNRENDERABLE: Final = Code(
    "FP-SQL-050",
    "No faithful text for an engine",
    "A construct has no rendering for one of the engines. Nothing is approximated.",
)
NO_FORM: Final = Code(
    "FP-SQL-051",
    "Engine lacks a construct",
    "Some constructs and functions exist on some engines only. A query may use them where nothing but these engines "
    "runs it; a feature view has to run on every engine.",
)
INPUT_TYPE: Final = Code(
    "FP-AGG-001",
    "Function does not fit its column",
    "Sums, averages and deviations need numbers; minimum and maximum need an order, which booleans, arrays and "
    "tokens do not have.",
)
CONDITION: Final = Code(
    "FP-AGG-002",
    "Condition is not about one event",
    "A `where` is one boolean expression over the columns of the source: no aggregates, no window functions, no "
    "subqueries.",
)
DEFAULT_TYPE: Final = Code(
    "FP-AGG-003",
    "Default does not fit the feature",
    "A `default` is a value of the feature's own type, representable without rounding.",
)
UNKNOWN_FEATURE: Final = Code(
    "FP-AGG-010",
    "Unknown feature",
    "A training set is made of features of the project's views, named `view:feature`.",
)
SPINE_COLUMN: Final = Code(
    "FP-AGG-011",
    "Spine lacks a column",
    "A spine has the key columns of every entity whose features are asked for, the time column, and what derived "
    "features take from the request.",
)
SPINE_TYPE: Final = Code(
    "FP-AGG-012",
    "Spine column has the wrong type",
    "A key column has the entity's type; the time column is a timestamp or a date, in UTC.",
)
DERIVED_INPUT: Final = Code(
    "FP-AGG-020",
    "Derived feature names something unknown",
    "An expression reads features of the view's `inputs` (by name where it is unique, else `view.feature`) and "
    "its `request` columns.",
)
DERIVED_AMBIGUOUS: Final = Code(
    "FP-AGG-021",
    "Derived feature's input is ambiguous",
    "Several inputs have a feature of this name, so it needs its view in front.",
)
DERIVED_REQUEST: Final = Code(
    "FP-AGG-022",
    "Request column does not fit",
    "A request column has one type wherever it is used, and its name is not that of a feature that the expression "
    "could mean.",
)
DERIVED_EXPRESSION: Final = Code(
    "FP-AGG-023",
    "Derived expression is not about one row",
    "A derived feature is computed from one row of inputs: no aggregates, no window functions, no subqueries.",
)

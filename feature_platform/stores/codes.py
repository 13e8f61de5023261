"""Every error code of the stores. The catalogue page is generated from here."""

from __future__ import annotations

from typing import Final

from feature_platform.errors import Code

COLUMNS_DIFFER: Final = Code(
    "FP-STORE-001",
    "Rows do not have the declared columns",
    "A relation is staged under a declared schema. A column that is missing, unexpected or of another type is refused "
    "before any row is written, since a silent cast would change values.",
)
SCHEMA_CHANGE: Final = Code(
    "FP-STORE-002",
    "A partition would change the table's columns",
    "Partitions of one table are read together. A partition may add columns (older partitions read NULL there); "
    "removing or retyping a column would make the older partitions unreadable.",
)
LAYOUT_CHANGE: Final = Code(
    "FP-STORE-003",
    "A partition would join rows that are not partitioned",
    "The table was published as a whole. One partition beside those rows would count some of them twice.",
)
NOT_PUBLISHED: Final = Code(
    "FP-STORE-004",
    "The table was never published",
    "A query names a table of the store that holds no published rows yet.",
)
STAGED_ROWS_GONE: Final = Code(
    "FP-STORE-005",
    "The staged rows are gone",
    "Staged rows are removed when they are discarded, and by a sweep once the process that staged them has ended.",
)
TABLE_BUSY: Final = Code(
    "FP-STORE-006",
    "Another process is publishing to the table",
    "Publications to one table wait for each other. The wait is limited so that a stuck process is noticed.",
)
TABLE_LATER: Final = Code(
    "FP-STORE-007",
    "Later rows are live already",
    "Two runs built the same table or partition, and the other one began later, follows a definition that was opened "
    "later, or stands for a later moment. What was overtaken replaces nothing; runs report this and go on.",
)
FILES_MISSING: Final = Code(
    "FP-STORE-010",
    "No file matches a source's path",
    "A source made of files needs at least one file. A wrong path must not look like an empty source.",
)
FILES_OUTSIDE: Final = Code(
    "FP-STORE-011",
    "A source's path leads out of the data folder",
    "Files are read below the profile's data folder only, after symbolic links are followed.",
)
FILES_COLUMNS: Final = Code(
    "FP-STORE-012",
    "Files lack a declared column",
    "Every column that a source declares must be in each of its files, under the same name.",
)
FILES_TYPES: Final = Code(
    "FP-STORE-013",
    "Files hold a type that cannot become the declared one",
    "Values of files are cast to the declared types. A cast that loses part of a value, such as a time of day, is "
    "refused: the declaration or the file is wrong.",
)
FILES_UNREADABLE: Final = Code(
    "FP-STORE-014",
    "A file cannot be read",
    "A file is damaged, or not in the declared format.",
)
QUERY_NOT_ALLOWED: Final = Code(
    "FP-STORE-020",
    "The store runs one query at a time, and nothing else",
    "Stores run a single SELECT. Rows are written by staging and publishing, not by statements.",
)
QUERY_FAILED: Final = Code(
    "FP-STORE-021",
    "The engine refused or could not finish a query",
    "The engine's own reason is given where it cannot hold values of rows; otherwise only its kind.",
)
QUERY_PARAMETER: Final = Code(
    "FP-STORE-022",
    "A query lacks a parameter",
    "The query's text asks for a named value that the caller did not give.",
)
QUERY_ENGINE: Final = Code(
    "FP-STORE-023",
    "A query is for another engine",
    "SQL is rendered per engine; a store runs only what was rendered for its own.",
)
OUT_OF_MEMORY: Final = Code(
    "FP-STORE-024",
    "A query needs more memory or temporary disk than the store may use",
    "The engine spills to disk where it can, within the profile's memory limit.",
)
UNSUPPORTED_TABLE: Final = Code(
    "FP-STORE-025",
    "A table has features that the store cannot read exactly",
    "Deletion vectors, column mapping, foreign partitions and types without an exact counterpart would be misread.",
)
FOLDER_UNUSABLE: Final = Code(
    "FP-STORE-026",
    "The store's folder has a name that cannot be used",
    "Paths of Delta tables are read as URLs, in which a percent sign and two digits stand for another character.",
)
STORE_UNREACHABLE: Final = Code(
    "FP-STORE-030",
    "The store cannot be reached",
    "The server does not answer, refuses the login, or the folder cannot be written.",
)
SERVER_MISSING: Final = Code(
    "FP-STORE-031",
    "No server program for the embedded store",
    "The embedded profile starts a real PostgreSQL and a real Redis; the PATH and the Python environment have none.",
)
SERVER_FAILED: Final = Code(
    "FP-STORE-032",
    "An embedded server did not start",
    "The server ended before it answered; the last lines of its log say why.",
)
BEHIND_POOLER: Final = Code(
    "FP-STORE-033",
    "What writes reaches PostgreSQL through a connection pooler",
    "A writer holds a lock in a session of its own, by which others know that it lives. A pooler in transaction mode "
    "gives every transaction another session, so the lock would stay with a stranger. Reads go through poolers; "
    "staging, publishing and cleaning up need the server's own address.",
)
ONLINE_SCHEMA: Final = Code(
    "FP-STORE-040",
    "The live rows online have another schema",
    "A reader and the published snapshot must agree on the columns. A definition changed and its view was not "
    "materialized since, or the reader runs an older definition; decoding anyway would misread values.",
)
ONLINE_DUPLICATE_KEY: Final = Code(
    "FP-STORE-041",
    "A snapshot has several rows for one key",
    "An online store keeps one row per entity. Which of several would win is chance, so none is published.",
)
ONLINE_NULL_KEY: Final = Code(
    "FP-STORE-042",
    "A snapshot has rows without a key",
    "A NULL in an entity key matches nothing, so such a row could never be read.",
)
ONLINE_KEY_TYPE: Final = Code(
    "FP-STORE-043",
    "A key is not of the type that the entity declares",
    "Keys are compared as typed values. A key of another type would find nothing, or another entity.",
)
ONLINE_ROW_UNREADABLE: Final = Code(
    "FP-STORE-044",
    "A row online is not in the documented layout",
    "Something other than this platform wrote to the snapshot, or the value lies outside what Python can hold.",
)
ONLINE_REFUSED: Final = Code(
    "FP-STORE-045",
    "The online store refused a command",
    "Out of memory, a read-only replica, missing permissions, a value that the store can't hold. The live snapshot is "
    "untouched.",
)
ONLINE_MOVING: Final = Code(
    "FP-STORE-046",
    "The live snapshot changed during every attempt to read it",
    "A read that meets a publication is repeated. Snapshots that are replaced faster than they can be read are a fault "
    "of the schedule.",
)
ONLINE_CHANGED: Final = Code(
    "FP-STORE-047",
    "The live rows online changed under a publication of changes",
    "Changes are made to the rows that they were found out against, or not at all. Another run published in between, "
    "or somebody removed rows.",
)
ONLINE_LATER: Final = Code(
    "FP-STORE-048",
    "Rows of a later moment are live already",
    "A run that stands for an earlier moment than what is live has come too late, e.g. because it was slower than the "
    "one after it. Online an older run never overwrites newer values; runs report this and go on.",
)
ONLINE_FUTURE: Final = Code(
    "FP-STORE-049",
    "The rows are as of a moment that is still to come",
    "By the clock of the store's server. Such rows would keep every run before that moment from publishing, so one "
    "machine whose clock is ahead could stop a view for as long.",
)
ONLINE_NO_ROOM: Final = Code(
    "FP-STORE-060",
    "The snapshot will not fit into the online store's memory",
    "Estimated from its first rows before any is sent. A server that runs out of memory in the middle of a load "
    "refuses it then, and everybody else's writes as well.",
)
ONLINE_EVICTS: Final = Code(
    "FP-STORE-061",
    "The online store may give up rows by itself",
    "With a maxmemory-policy that evicts any key, Redis makes room by removing rows of some view. Models would be told "
    "that those entities do not exist.",
)
ONLINE_PARTS_GONE: Final = Code(
    "FP-STORE-062",
    "A part of a view's rows online is gone",
    "Something removed keys of the online store: eviction, an operator, or a master that went before its replica had "
    "everything. An entity of such a part is not taken for one without a row.",
)
ONLINE_LAYOUT: Final = Code(
    "FP-STORE-063",
    "Keys in Redis are laid out in another way",
    "Readers and writers must agree on the format of keys and on the number of groups that entities fall into. Both "
    "are written down beside the rows; a difference is refused, since an entity would be looked for where it is not.",
)
DORIS_TABLE: Final = Code(
    "FP-STORE-050",
    "Doris has no such table",
    "Keys come first and are of types that sort, partitions are whole hours or days, names are plain: what Doris would "
    "refuse, or take and lose something of, is refused before it is asked.",
)
DORIS_CHANGE: Final = Code(
    "FP-STORE-051",
    "A table in Doris cannot be changed in place",
    "Adding nullable columns and lengthening a VARCHAR change metadata only. Anything else rewrites the table while "
    "readers look, so it is made anew, filled and swapped in.",
)
DORIS_VERSION: Final = Code(
    "FP-STORE-052",
    "The Doris cluster is older than what is supported",
    "Versions before 4.0 lack functions that queries use, or give them another meaning. The version is asked for "
    "before anything is written.",
)
LOAD_REFUSED: Final = Code(
    "FP-STORE-053",
    "Doris refused a load",
    "Rows that do not fit the table, a missing table or permission. Nothing of the load was written. The rows that "
    "Doris shows in its error log are never repeated here.",
)
LOAD_UNRESOLVED: Final = Code(
    "FP-STORE-054",
    "It is not known whether a load was committed",
    "The reply was lost, and the cluster did not say within the time allowed what became of the load's label. It is "
    "not sent under another label, since it could count twice; what was staged is given up.",
)
LOAD_ROWS: Final = Code(
    "FP-STORE-055",
    "Doris holds another number of rows than were sent",
    "Every load's reply and the staged table itself are counted. Missing or doubled rows are not published.",
)
LOAD_REDIRECT: Final = Code(
    "FP-STORE-056",
    "Doris sends a load to a host that is not allowed",
    "A frontend names the backend that takes the rows. Rows and credentials go only to frontends, to addresses in the "
    "profile's `backend_addresses`, and to hosts that its `backends` allow.",
)

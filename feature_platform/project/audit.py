"""What a project records in its audit trail, and which ledger that goes to.

One method per kind of event, so that a call is one line where things happen. How an event is made of a compiled view,
a guarded query or a check stands in :mod:`audit_events`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Final, Protocol

from feature_platform.errors import FeaturePlatformError
from feature_platform.governance.audit.event import Event, Refused, plain_name
from feature_platform.governance.audit.keys import AuditKeys
from feature_platform.governance.audit.trail import AuditTrail
from feature_platform.governance.canonical import CANONICAL
from feature_platform.project import audit_events as made
from feature_platform.project.audit_memory import Memory
from feature_platform.project.state import profile_named, state_folder
from feature_platform.project.stores import is_embedded, postgres_urls
from feature_platform.registry.fingerprint import digest
from feature_platform.registry.graph import Registry
from feature_platform.specs.models import PostgresStore, Profile

if TYPE_CHECKING:
    import pyarrow as pa

    from feature_platform.compiler.guard import GuardedQuery
    from feature_platform.compiler.plan import CompiledProject, CompiledQuery, CompiledView, Feature
    from feature_platform.governance.audit.event import Action
    from feature_platform.governance.audit.ledger import Ledger
    from feature_platform.governance.tokens import TokenKeys
    from feature_platform.monitoring.outcome import CheckOutcome
    from feature_platform.specs.models import SourceColumn
    from feature_platform.types import Engine

FOLDER: Final = "audit"
"""In the state folder: spool, checkpoints, and the ledger itself where the profile has no PostgreSQL."""


_SUBJECT_LENGTH: Final = 200


class Asker(Protocol):
    """Who asks for data, and why."""

    @property
    def purpose(self) -> str: ...
    @property
    def role(self) -> str: ...


class ProjectAudit:
    """The audit trail of one project and profile. Every method raises AuditError when it can't record: then nothing is
    released.
    """

    def __init__(self, registry: Registry, profile_name: str, state: Path) -> None:
        self._registry = registry
        self._profile: Profile = registry.platform.profiles[profile_name]
        self._environment = registry.platform.environment_of(profile_name)
        self._state = state
        self._memory = Memory(state / FOLDER / "recorded" / f"{profile_name}.json")
        self._servers = ExitStack()
        self._lock = RLock()

    @classmethod
    def open(cls, root: Path, *, profile: str | None = None) -> ProjectAudit:
        """The trail of a project that is not compiled: for auditors.

        Raises:
            FeaturePlatformError: the documents can't be read, or there is no such profile.
        """
        from feature_platform.registry.load import load_registry

        state = state_folder(root.absolute())
        registry = load_registry(root.absolute(), cache=state / "cache")
        return cls(registry, profile_named(registry, profile), state)

    @cached_property
    def trail(self) -> AuditTrail:
        """The trail, for what has no method here. Raises AuditError without its key."""
        own_key = self._state if is_embedded(self._profile) else None
        keys = AuditKeys.from_environment(self._profile.audit_key_env, own_key)
        return AuditTrail(self._state / FOLDER, keys, self._open_ledger, tool=_tool())

    @cached_property
    def policy_hash(self) -> str:
        """A digest of every rule of every policy: part of every event."""
        return digest(self._registry.policies)

    # --- compilation

    @contextmanager
    def compiling(self) -> Iterator[None]:
        """Records a compilation that fails: codes and places, never texts."""
        try:
            with self.refusals("compile", "project"):
                yield
        except BaseException:
            self.close()  # there will be no project to close it
            raise

    def compiled(self, compiled: CompiledProject) -> None:
        """Records what compilation came to: each view and service whose outcome is another than the last one that this
        state folder recorded, and the policies if they changed."""
        before = self._memory.read()
        outcomes = made.outcomes(compiled, self.policy_hash)
        events = list(self._policy_changes(before.get("policies", "")))
        for name, outcome in outcomes.items():
            if before.get(name) != outcome:
                events.append(self._with_policies(made.compiled(self.trail, compiled, name)))
        if events:
            self.trail.record_all(events)
            self.trail.hand_over()  # a process that only serves definitions may live for weeks
            self._memory.update({**outcomes, "policies": self.policy_hash})

    @contextmanager
    def refusals(self, action: Action, subject: str, asker: Asker | None = None, *, sql: str = "") -> Iterator[None]:
        """Records an error of this platform within the block as a refusal, and lets it go on."""
        try:
            yield
        except FeaturePlatformError as error:
            event = replace(
                self._event(action, subject, asker),
                decision="deny",
                refusals=tuple(Refused(code=each.code, place=str(each.where or "")) for each in error.problems),
                sql_before=self.trail.keys.sql_digest(sql) if sql else "",
            )
            self.trail.record(event)
            raise

    # --- reading

    def query(self, text: str, guarded: GuardedQuery, sent: str, engine: str, asker: Asker) -> Event:
        """Records that somebody's SQL was let through, and gives the event to record its rows with."""
        event = made.of_query(self._event("query", "query", asker), guarded)
        keys = self.trail.keys
        event = replace(event, sql_before=keys.sql_digest(text), sql_after=keys.sql_digest(sent), engine=engine)
        self.trail.record(event)
        if any(rule.gives == "raw" for rule in guarded.rules):
            self.trail.record(replace(event, action="raw_access"))
        return event

    def training_set(
        self,
        features: Sequence[tuple[CompiledView, Feature]],
        query: CompiledQuery,
        engine: Engine,
        asker: Asker,
    ) -> Event:
        """The event to record a training set's rows with. Its digest is of all texts of which one is sent, NUL between
        them: which it is, the spine's rows decide while it is read.
        """
        event = self._event("read", "training_set", asker)
        digest_after = self.trail.keys.sql_digest("\0".join(query.texts(engine)))
        return replace(made.of_features(event, features), sql_after=digest_after, engine=engine)

    def released(
        self, event: Event, open_rows: Callable[[], pa.RecordBatchReader]
    ) -> Callable[[], pa.RecordBatchReader]:
        """Opens the same rows, each time after a ``read`` was recorded; the end records how many there were."""

        def opened() -> pa.RecordBatchReader:
            reading = replace(event, action="read", at=self.trail.now(), request_id=self.trail.next_request())
            self.trail.record(reading)
            return made.counted(open_rows(), lambda rows: self._read_end(reading, rows))

        return opened

    def online(
        self, subject: str, features: Sequence[tuple[CompiledView, Feature]], asker: Asker
    ) -> Callable[[int], None]:
        """Records which features somebody will read, and gives what records one online read of so many entities: call
        that before the features are handed over. Reads cite the selection by its fingerprint, so that a record of five
        hundred features is as short as one of five.

        A killed process loses none of these records; a machine that crashes may lose those of the last half second,
        because waiting for the disk would take longer than the read.
        """
        short = subject if len(subject) <= _SUBJECT_LENGTH else f"{len(features)} features"
        selection = made.of_features(self._event("query", short, asker), features)
        selection = replace(selection, fingerprint=digest([selection.columns, selection.inputs]))
        self.trail.record(selection)
        read = replace(selection, action="online_read", columns=(), inputs=(), transforms=())
        trail, stamp = self.trail, read.stamp()

        def record(entities: int) -> None:
            trail.record_text(stamp.text(trail.now(), trail.next_request(), entities), durable=False)

        return record

    def table_read(self, view: CompiledView) -> None:
        """Records that a downstream asset is about to read a published view as a whole."""
        event = made.of_view(self._event("read", f"view:{view.name}"), view, self._registry.views[view.name].purposes)
        self.trail.record(event)

    def dataset(self, title: str, features: Sequence[str], labels: Mapping[str, str], rows: int, asker: Asker) -> None:
        """Records that a kept training set is about to be opened."""
        event = made.of_kept(self._event("read", f"dataset:{title}", asker), features, labels)
        self.trail.record(replace(event, rows=rows))

    def export(self, what: str, form: str, asker: Asker | None = None) -> None:
        """Records that something leaves for a file or a terminal."""
        event = replace(self._event("export", what, asker), engine=plain_name(form))
        self.trail.record(event)

    # --- detection and materialization

    def scan(self, source: str, columns: Mapping[str, SourceColumn]) -> None:
        """Records that detection is about to look at every row of a source."""
        classes = sorted({column.pii for column in columns.values() if column.pii not in (None, "none")}, key=str)
        event = self._event("scan", f"source:{source}")
        self.trail.record(replace(event, input_classes=tuple(map(str, classes)), counts={"columns": len(columns)}))

    def gate(self, view: str, partition: str, outcomes: Iterable[CheckOutcome], rows: int, run_id: str) -> None:
        """Records what the gate found in staged rows."""
        event = replace(made.of_checks(self._event("gate", _placed(f"view:{view}", partition)), outcomes), rows=rows)
        self.trail.record(replace(event, run_id=run_id))

    def materialization(  # noqa: PLR0913 - what is published, where, by whom
        self, view: CompiledView, store: str, partition: str, rows: int, run_id: str, *, went_back_from: str = ""
    ) -> None:
        """Records that rows are about to be published, on purpose in place of rows as of the later moment
        ``went_back_from``."""
        subject = f"{_placed(f'view:{view.name}', partition)} to store:{store}"
        event = self._event("materialization", subject)
        event = made.of_view(event, view, self._registry.views[view.name].purposes)
        self.trail.record(replace(event, rows=rows, run_id=run_id, previous=went_back_from))

    def removal(self, name: str, store: str, kind: str, rows: int) -> None:
        """Records that all rows of something that no definition asks for are about to be removed from a store."""
        event = self._event("removal", f"{kind}:{plain_name(name)} of store:{store}")
        self.trail.record(replace(event, rows=rows))

    # --- keys

    def token_keys(self, keys: TokenKeys) -> None:
        """Records that this process loaded the token keys, and which classes write with another version than last
        time."""
        versions = {name: keys.writing(name) for name in sorted(CANONICAL)}
        marks = digest([keys.fingerprint(name, version) for name, version in versions.items()])
        event = replace(self._event("key_use", "key:tokens"), fingerprint=marks, counts=versions)
        last = self._memory.read()
        events = [event]
        for name, version in versions.items():
            before = last.get(f"key:{name}", str(version))
            if before != str(version):
                rotated = replace(event, action="key_rotation", object=f"key:{name}", previous=before)
                events.append(replace(rotated, fingerprint=keys.fingerprint(name), counts={"version": version}))
        self.trail.record_all(events)
        self._memory.update({f"key:{name}": str(version) for name, version in versions.items()})

    # --- the ledger

    def store_opened(self, name: str) -> None:
        """A store was opened: from now on the ledger is within reach, if it needs no server or the same one."""
        store = self._ledger_store
        spec = self._profile.stores[store] if store else None
        needs_start = isinstance(spec, PostgresStore) and spec.url_env is None
        opened = self._profile.stores[name]
        if not needs_start or (isinstance(opened, PostgresStore) and opened.url_env is None):
            self.trail.start_draining()

    def close(self) -> None:
        """Everything that was recorded is durable; it is in the ledger too, if that was within reach."""
        with self._lock:
            if "trail" in self.__dict__:
                if self.trail.is_filling_up():
                    self.trail.start_draining()
                self.trail.close()
            self._servers.close()

    @property
    def _ledger_store(self) -> str | None:
        if self._profile.audit_store is not None:
            return self._profile.audit_store
        return next((name for name, spec in self._profile.stores.items() if isinstance(spec, PostgresStore)), None)

    def _open_ledger(self) -> Ledger:
        store = self._ledger_store
        if store is None:
            from feature_platform.governance.audit.file_ledger import FileLedger

            return FileLedger(self._state / FOLDER / "ledger")
        from feature_platform.governance.audit.postgres_ledger import PostgresLedger

        spec = self._profile.stores[store]
        assert isinstance(spec, PostgresStore), "the platform document was checked"
        return PostgresLedger(*postgres_urls(spec, self._state, self._servers))

    def _event(self, action: Action, subject: str, asker: Asker | None = None) -> Event:
        event = self.trail.event(action, subject)
        if asker is not None:
            event = replace(event, purposes=(asker.purpose,), role=plain_name(asker.role))
        return self._with_policies(event)

    def _with_policies(self, event: Event) -> Event:
        return replace(
            event, policy_hash=self.policy_hash, environment=self._environment, compiler=made.COMPILER_VERSION
        )

    def _policy_changes(self, before: str) -> Iterator[Event]:
        if before != self.policy_hash:
            counts = {name: len(policy.rules) for name, policy in self._registry.policies.items()}
            yield replace(self._event("policy_change", "policies"), previous=before, counts=counts)

    def _read_end(self, reading: Event, rows: int) -> None:
        end = self.trail.event("read_end", reading.object)
        end = replace(end, request_id=reading.request_id, rows=rows, purposes=reading.purposes, role=reading.role)
        self.trail.record(self._with_policies(end))


def _placed(subject: str, partition: str) -> str:
    return f"{subject}@{partition}" if partition else subject


def _tool() -> str:
    """The program: ``fp sql``, ``dagster``, a script's name."""
    path = Path(sys.argv[0] or "python")
    program = path.parent.name if path.name == "__main__.py" else path.name
    if program == "fp" and len(sys.argv) > 1:
        return plain_name(f"fp:{sys.argv[1]}")
    return plain_name(program)

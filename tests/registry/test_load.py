"""From a folder to a registry: one report over reading and linking, and a cache that can only save time."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from feature_platform.errors import FeaturePlatformError, RegistryError, SpecError
from feature_platform.registry import file_cache
from feature_platform.registry.graph import Registry
from feature_platform.registry.load import load_registry
from feature_platform.specs.examples import EXAMPLES


def _project(root: Path, **replaced: str) -> Path:
    """The examples of the reference, a file per kind; ``replaced``: kind → other text."""
    for kind, text in (EXAMPLES | replaced).items():
        path = root / "payments" / f"{kind}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def _facts(registry: Registry) -> object:
    """Everything that a registry says, comparable."""
    return {
        "views": {
            name: (view.spec, view.domain, view.owner, view.purposes, view.reads)
            for name, view in registry.views.items()
        },
        "sources": {name: (source.spec, source.domain) for name, source in registry.sources.items()},
        "services": {name: service.features for name, service in registry.services.items()},
        "others": (dict(registry.entities), dict(registry.domains), dict(registry.policies), registry.platform),
        "places": {
            key: (origin.location, dict(origin.fields), dict(origin.keys)) for key, origin in registry.origins.items()
        },
    }


def _problems(root: Path, cache: Path | None = None) -> list[tuple[str, str]]:
    with pytest.raises(FeaturePlatformError) as caught:
        load_registry(root, cache=cache)
    return [(problem.code, str(problem.where)) for problem in caught.value.problems]


def test_the_examples_of_the_reference_are_a_project(tmp_path: Path) -> None:
    registry = load_registry(_project(tmp_path))
    assert list(registry.views) == ["card_spend", "card_risk", "last_authorisation"]


def test_problems_of_reading_and_of_linking_come_in_one_report(tmp_path: Path) -> None:
    service = EXAMPLES["feature_service"].replace("card_risk:share_of_month", "card_spend:nothing")
    root = _project(tmp_path, feature_service=service, policy=EXAMPLES["policy"].replace("deny", "forbid"))
    with pytest.raises(SpecError) as caught:
        load_registry(root)
    assert [(problem.code, str(problem.where)) for problem in caught.value.problems] == [
        ("FP-REG-021", "payments/feature_service.yaml:6:64"),
        ("FP-SPEC-026", "payments/policy.yaml:7:56"),
    ]


def test_a_project_whose_documents_are_valid_but_do_not_fit_is_a_registry_error(tmp_path: Path) -> None:
    with pytest.raises(RegistryError):
        load_registry(_project(tmp_path, entity=EXAMPLES["entity"].replace("type: string", "type: bigint")))


def test_what_names_a_broken_document_is_not_blamed(tmp_path: Path) -> None:
    root = _project(tmp_path, source=EXAMPLES["source"].replace("decimal(18,2)", "decimal(99,2)"))
    assert [code for code, _ in _problems(root)] == ["FP-SPEC-026"]


@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_file_that_cannot_be_read_hides_nothing_and_blames_nobody(tmp_path: Path, kind: str) -> None:
    root = _project(tmp_path, **{kind: EXAMPLES[kind] + "---\n[\n"})
    assert [code for code, _ in _problems(root)] == ["FP-SPEC-007"]


@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_document_of_a_misspelt_kind_is_reported_once(tmp_path: Path, kind: str) -> None:
    root = _project(tmp_path, **{kind: EXAMPLES[kind].replace(f"kind: {kind}", f"kind: {kind}s")})
    assert {code for code, _ in _problems(root)} == {"FP-SPEC-022"}


# --- the cache


def test_from_the_cache_comes_the_same_registry(tmp_path: Path) -> None:
    root, cache = _project(tmp_path / "defs"), tmp_path / "cache"
    plain = _facts(load_registry(root))
    assert _facts(load_registry(root, cache=cache)) == plain
    assert _facts(load_registry(root, cache=cache)) == plain


def test_nothing_is_parsed_again_when_nothing_changed(tmp_path: Path) -> None:
    root, cache = _project(tmp_path / "defs"), tmp_path / "cache"
    load_registry(root, cache=cache)
    program = (
        "import sys\nfrom pathlib import Path\nfrom feature_platform.registry.load import load_registry\n"
        "load_registry(Path(sys.argv[1]), cache=Path(sys.argv[2]))\nprint('sqlglot' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(root), str(cache)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "False"


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    root, cache = _project(tmp_path / "defs"), tmp_path / "cache"
    load_registry(root, cache=cache)
    _project(root, entity=EXAMPLES["entity"].replace("A payment card", "A plastic card"))
    assert load_registry(root, cache=cache).entities["card"].description.startswith("A plastic card")


def test_a_moved_file_has_its_new_place(tmp_path: Path) -> None:
    root, cache = _project(tmp_path / "defs"), tmp_path / "cache"
    load_registry(root, cache=cache)
    (root / "payments" / "entity.yaml").rename(root / "entities.yaml")
    assert load_registry(root, cache=cache).origins["entity", "card"].location.file == "entities.yaml"


def test_problems_are_found_again_with_a_cache(tmp_path: Path) -> None:
    root, cache = _project(tmp_path / "defs", domain=EXAMPLES["domain"] + "x: 1\n"), tmp_path / "cache"
    assert _problems(root, cache) == _problems(root, cache) == _problems(root)


def _truncate(pack: bytes) -> bytes:
    return pack[: len(pack) // 2]


def _flip(pack: bytes) -> bytes:
    return pack[:-100] + bytes([pack[-100] ^ 1]) + pack[-99:]


def _other_version(pack: bytes) -> bytes:
    return pack.replace(pack[30:40], b"0000000000", 1)


@pytest.mark.parametrize("damage", [_truncate, _flip, _other_version, lambda _: b"", lambda _: os.urandom(1000)])
def test_a_damaged_pack_is_read_past_and_replaced(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    root, cache = _project(tmp_path / "defs"), tmp_path / "cache"
    plain = _facts(load_registry(root, cache=cache))
    (pack,) = cache.iterdir()
    whole = pack.read_bytes()
    pack.write_bytes(damage(whole))
    assert _facts(load_registry(root, cache=cache)) == plain
    assert file_cache.read_pack(cache)


class _Planted:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.system, ("touch planted",))


@pytest.mark.parametrize("value", [_Planted(), {"not": "an entry"}, os.path.join])
def test_a_planted_pickle_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: object) -> None:
    monkeypatch.chdir(tmp_path)
    assert file_cache.unpack(pickle.dumps(value)) is None
    assert not (tmp_path / "planted").exists()


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    root = _project(tmp_path / "defs")
    assert load_registry(root, cache=tmp_path / "file" / "cache").views


def test_processes_that_load_at_once_leave_a_whole_pack(tmp_path: Path) -> None:
    root, cache = _project(tmp_path / "defs"), tmp_path / "cache"
    program = (
        "import sys\nfrom pathlib import Path\nfrom feature_platform.registry.load import load_registry\n"
        "for n in range(20):\n"
        "    draft = Path(sys.argv[1], 'draft' + sys.argv[3])\n"
        "    draft.write_text(\n"
        "        f'kind: entity\\nname: x{sys.argv[3]}\\ndescription: round {n}\\nkeys: [{{name: a, type: int}}]\\n')\n"
        "    draft.rename(Path(sys.argv[1], 'payments', 'x' + sys.argv[3] + '.yaml'))\n"
        "    load_registry(Path(sys.argv[1]), cache=Path(sys.argv[2]))\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, str(root), str(cache), name]) for name in "ab"]
    assert [process.wait(timeout=60) for process in running] in ([0, 0],)
    load_registry(root, cache=cache)
    assert len(file_cache.read_pack(cache)) == len(EXAMPLES) + 2
    assert [path.name for path in cache.iterdir()] == ["specs.pack"]

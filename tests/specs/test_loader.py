"""From a folder to documents: which files count, what is refused unread, and that only a SpecError ever comes out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_platform.errors import Problem, SpecError
from feature_platform.specs.examples import EXAMPLES
from feature_platform.specs.files import MAX_BYTES
from feature_platform.specs.loader import LoadedProject, load, parse

DOMAIN = "kind: domain\nname: {name}\nowner: team:a\n"


def _write(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def _names(project: LoadedProject) -> list[str]:
    return [document.spec.name for document in project.documents]


def _problems(root: Path) -> list[tuple[str, str]]:
    with pytest.raises(SpecError) as caught:
        load(root)
    return [(problem.code, str(problem.where)) for problem in caught.value.problems]


def test_yaml_and_json_in_any_folder_are_loaded_in_the_order_of_their_paths(tmp_path: Path) -> None:
    root = _write(
        tmp_path,
        {
            "z.yaml": DOMAIN.format(name="z"),
            "b/deep/er/c.yml": DOMAIN.format(name="c1") + "---\n" + DOMAIN.format(name="c2"),
            "a.json": '{"kind": "domain", "name": "j", "owner": "team:a"}',
            "B.YAML": DOMAIN.format(name="upper"),
            "readme.md": "not ours",
        },
    )
    assert _names(load(root)) == ["upper", "j", "c1", "c2", "z"]


def test_hidden_files_and_folders_do_not_count(tmp_path: Path) -> None:
    root = _write(tmp_path, {"a.yaml": DOMAIN.format(name="a"), ".git/x.yaml": "[", ".x.yaml": "["})
    assert _names(load(root)) == ["a"]


def test_a_document_knows_its_file_from_the_root(tmp_path: Path) -> None:
    root = _write(tmp_path, {"payments/x.yaml": "# comment\n" + DOMAIN.format(name="a")})
    assert str(load(root).documents[0].origin.location) == "payments/x.yaml:2:1"


def test_all_problems_of_all_files_come_in_one_report(tmp_path: Path) -> None:
    root = _write(
        tmp_path,
        {
            "a.yaml": "kind: domain\nname: A\nowner: b\n---\nkind: domian\n",
            "b.yaml": "[",
            "c.json": '{"kind"',
            "d.yaml": DOMAIN.format(name="fine"),
        },
    )
    assert _problems(root) == [
        ("FP-SPEC-026", "a.yaml:2:7"),
        ("FP-SPEC-026", "a.yaml:3:8"),
        ("FP-SPEC-022", "a.yaml:5:7"),
        ("FP-SPEC-007", "b.yaml:2:1"),
        ("FP-SPEC-008", "c.json:1:8"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "7",
        '{"canaries": []}',
        "{ // settings, with comments\n}",
        '[{"name": "a"}, {"name": "b"}]',
        '{"components": {"kind": "another program speaks of kinds deeper down"}}',
    ],
)
def test_json_of_other_programs_does_not_count(tmp_path: Path, content: str) -> None:
    assert _names(load(_write(tmp_path, {"a.yaml": DOMAIN.format(name="a"), "stray.json": content}))) == ["a"]


def test_json_with_one_document_of_ours_is_read_whole(tmp_path: Path) -> None:
    root = _write(tmp_path, {"a.json": '[{"kind": "domain", "name": "j", "owner": "team:a"}, {"name": "b"}]'})
    assert _problems(root) == [("FP-SPEC-021", "a.json:1:54")]


def test_a_missing_folder_is_said_to_be_missing(tmp_path: Path) -> None:
    assert _problems(tmp_path / "nowhere") == [("FP-SPEC-001", "None")]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    root = _write(tmp_path, {"x.yaml": DOMAIN.format(name="a")})
    assert _problems(root / "x.yaml") == [("FP-SPEC-001", "None")]


def test_a_folder_without_definitions_is_refused(tmp_path: Path) -> None:
    assert _problems(tmp_path) == [("FP-SPEC-001", "None")]


def test_a_file_over_the_limit_is_refused_unread(tmp_path: Path) -> None:
    root = _write(tmp_path, {"big.yaml": "#" * (MAX_BYTES + 1), "fits.yaml": "#" * MAX_BYTES})
    assert _problems(root) == [("FP-SPEC-004", "big.yaml:1:1"), ("FP-SPEC-010", "fits.yaml:1:1")]


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"kind: domain\nname: caf\xe9\n", "a.yaml:2:10"),
        ("kind: domain\n".encode("utf-16"), "a.yaml:1:1"),
        (b"name: \xed\xa0\x80\n", "a.yaml:1:7"),
    ],
)
def test_what_is_not_utf8_is_refused_at_its_first_byte(content: bytes, where: str) -> None:
    assert [(problem.code, str(problem.where)) for problem in parse(content, "a.yaml").problems] == [
        ("FP-SPEC-005", where)
    ]


def test_a_byte_order_mark_is_passed_over() -> None:
    report = parse(b"\xef\xbb\xbf" + DOMAIN.format(name="a").encode(), "a.yaml")
    assert not report.problems
    assert str(report.documents[0].origin.where("kind")) == "a.yaml:1:7"


def test_a_link_out_of_the_project_is_refused(tmp_path: Path) -> None:
    outside = _write(tmp_path / "outside", {"x.yaml": DOMAIN.format(name="x")})
    root = _write(tmp_path / "root", {"a.yaml": DOMAIN.format(name="a")})
    (root / "file.yaml").symlink_to(outside / "x.yaml")
    (root / "folder").symlink_to(outside)
    assert _problems(root) == [("FP-SPEC-002", "file.yaml:1:1"), ("FP-SPEC-002", "folder:1:1")]


def test_links_that_lead_in_circles_or_nowhere_are_refused(tmp_path: Path) -> None:
    root = _write(tmp_path, {"sub/a.yaml": DOMAIN.format(name="a")})
    (root / "loop.yaml").symlink_to(root / "loop.yaml")
    (root / "gone.yaml").symlink_to(root / "nothing.yaml")
    (root / "sub" / "up").symlink_to(root)
    assert _problems(root) == [
        ("FP-SPEC-002", "gone.yaml:1:1"),
        ("FP-SPEC-002", "loop.yaml:1:1"),
        ("FP-SPEC-002", "sub/up:1:1"),
    ]


def test_a_link_to_a_file_that_is_found_anyway_does_not_load_it_twice(tmp_path: Path) -> None:
    root = _write(tmp_path, {"a.yaml": DOMAIN.format(name="a")})
    (root / "again.yaml").symlink_to(root / "a.yaml")
    assert _names(load(root)) == ["a"]


def test_a_mounted_config_map_is_loaded_through_its_links(tmp_path: Path) -> None:
    root = _write(tmp_path, {"..2026/a.yaml": DOMAIN.format(name="a")})
    (root / "..data").symlink_to("..2026")
    (root / "a.yaml").symlink_to("..data/a.yaml")
    project = load(root)
    assert _names(project) == ["a"]
    assert project.documents[0].origin.location.file == "a.yaml"


def test_a_root_that_is_a_link_itself_is_followed(tmp_path: Path) -> None:
    root = _write(tmp_path / "rev-1", {"a.yaml": DOMAIN.format(name="a")})
    (tmp_path / "current").symlink_to(root)
    assert _names(load(tmp_path / "current")) == ["a"]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    begin = time.perf_counter()
    assert _problems(tmp_path) == [("FP-SPEC-003", "pipe.yaml:1:1")]
    assert time.perf_counter() - begin < 1


def test_what_may_not_be_read_is_a_problem_like_any_other() -> None:
    folder = Path(tempfile.mkdtemp())  # not under tmp_path, whose parents are closed to the other user
    folder.chmod(0o755)
    root = _write(folder / "root", {"a.yaml": DOMAIN.format(name="a"), "sub/b.yaml": DOMAIN.format(name="b")})
    (root / "a.yaml").chmod(0)
    (root / "sub").chmod(0)
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from feature_platform.errors import SpecError\n"
        "from feature_platform.specs.loader import load\n"
        "os.chdir(sys.argv[1])\n"
        "if os.geteuid() == 0: os.seteuid(65534)\n"  # root may read everything
        "try: load(Path('.'))\n"
        "except SpecError as error: print(*[f'{p.code} {p.where}' for p in error.problems], sep='\\n')\n"
    )
    root.chmod(0o755)
    try:
        done = subprocess.run(
            [sys.executable, "-c", program, str(root)], capture_output=True, text=True, check=False, timeout=60
        )
    finally:
        (root / "sub").chmod(0o755)
        shutil.rmtree(folder)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["FP-SPEC-003 a.yaml:1:1", "FP-SPEC-003 sub/:1:1"]


def test_a_file_name_that_is_not_utf8_can_be_shown(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.yaml")).write_text("[")
    ((_, where),) = _problems(tmp_path)
    assert where.encode("utf-8").startswith(b"caf\\xe9.yaml")


def test_the_examples_of_the_reference_are_valid() -> None:
    for kind, text in EXAMPLES.items():
        report = parse(text.encode(), f"payments/{kind}.yaml")
        assert not report.problems
        assert {document.spec.kind for document in report.documents} == {kind}


def test_a_fragment_before_a_syntax_error_is_not_held_against_the_author() -> None:
    report = parse(b"kind: domain\nname: [\n", "a.yaml")
    assert [problem.code for problem in report.problems] == ["FP-SPEC-007"]


_PIECES = [
    "kind: ",
    "feature_view",
    "domain",
    "\n",
    "  ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ": ",
    ", ",
    "&a ",
    "*a ",
    "!!str ",
    "? ",
    "---",
    "'",
    '"',
    "#",
    "sql: ",
    "columns: ",
    "name: ",
    "x",
    "1d",
    "null",
    "\t",
    "%",
    "<<: ",
    "\\",
    "\u2028",
    "1e9",
    "|",
]
_pieces = st.sampled_from(_PIECES)


@settings(max_examples=300)
@given(st.one_of(st.binary(max_size=64), st.lists(_pieces, max_size=20).map(lambda parts: "".join(parts).encode())))
def test_whatever_a_file_holds_there_are_documents_or_problems(content: bytes) -> None:
    for name in ("a.yaml", "a.json"):
        report = parse(content, name)
        assert report.documents or report.problems or (name == "a.json" and b"kind" not in content)
        assert all(isinstance(problem, Problem) and problem.where and problem.mend for problem in report.problems)


@settings(max_examples=300)
@given(st.data())
def test_a_valid_document_with_any_line_replaced_is_valid_or_a_problem(data: st.DataObject) -> None:
    lines = EXAMPLES[data.draw(st.sampled_from(list(EXAMPLES)))].splitlines()
    number = data.draw(st.integers(0, len(lines) - 1))
    lines[number] = data.draw(st.one_of(st.text(max_size=20), st.lists(_pieces, max_size=6).map("".join)))
    report = parse("\n".join(lines).encode("utf-8", "replace"), "a.yaml")
    assert report.documents or report.problems

"""What scripts in the files beside a test definition do, and what can't be read of them."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.flow.notation import line
from tests.flow.shells import extracted

from callboard.events import Where
from callboard.flow.program import Call, Unseen, walk
from callboard.flow.shell import Files, Surroundings, TestText, test_scope
from callboard.flow.shell.script import Script

FILES: Mapping[str, str] = {
    "run.sh": "#!/bin/sh\nlava-send run-$1\n",
    "run-server.sh": "lava-send serve\n",
    "run-client.sh": "lava-wait serve\n",
    "strict.sh": "#!/bin/sh -e\nfalse\nlava-send never\n",
    "loose.sh": "#!/bin/bash\nfalse\nlava-send loose\nexit $RESULT\n",
    "smoke/smoke.sh": (
        ". ../lib/sh-test-lib\n"
        "while getopts 's:h' opt; do\n"
        "  case $opt in s) SKIP=$OPTARG ;; h) usage; exit 1 ;; *) exit 1 ;; esac\n"
        "done\n"
        "report smoke\n"
        "lava-send skipped-$SKIP\n"
    ),
    "smoke/here.sh": 'cd "$(dirname "$0")" || exit 1\n. ./own.sh\n',
    "smoke/own.sh": "lava-send own\n",
    "lib/sh-test-lib": 'report() { lava-send "$1-done"; }\nusage() { exit 1; }\n',
    "leaves.sh": "lava-send before\nreturn 0\nlava-send never\n",
    "calls.py": "#!/usr/bin/env python3\nimport os\nos.system('lava-send a')\n",
    "quiet.py": "#!/usr/bin/env python3\nprint('hello')\n",
    "self.sh": "./self.sh\n",
    "bad.sh": "lava-send a\nif (\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a test, and something outside of it."""
    (tmp_path / "outside.sh").write_text("lava-send outside\n")
    top = tmp_path / "repo"
    for name, text in FILES.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (top / "out.sh").symlink_to("../outside.sh")
    (top / "in.sh").symlink_to("run.sh")
    (top / "loop.sh").symlink_to("loop.sh")
    (top / "program").write_bytes(b"\x7fELF\0\0lava-role")
    (top / "calling").write_bytes(b"\x7fELF\0\0lava-send a")
    (top / "latin.sh").write_bytes(b"lava-send caf\xe9\n")
    (top / "large.sh").write_text("lava-send a\n" + "#" * 2**20)
    return top


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("./run.sh a; sh run.sh b; bash -x ./run.sh c", "send run-a; send run-b; send run-c"),
        ("sh -e run.sh $U b", "send run-…"),
        ("./run-$(lava-role).sh", "send serve"),
        ("./in.sh a", "send run-a"),
        ("cd smoke && ./smoke.sh -s x", "send smoke-done; send skipped-…"),
        ("cd smoke; cd ..; ./run.sh a", "send run-a"),
        ("(cd smoke); ./run.sh a", "send run-a"),
        ("cd nowhere || lava-send a", "(- | send a)"),
        ("cd smoke || lava-send a", ""),
        ("./smoke/here.sh", "send own"),
        (". ./leaves.sh; lava-send after", "{{send before; ^1}; send after}"),
        (". lib/sh-test-lib; report x", "send x-done"),
        ("X=a; . ./run.sh b; lava-send $X", "send run-b; send a"),
        ("./strict.sh || lava-send failed", "send failed"),
        ("./loose.sh; lava-send after", "{{send loose; ^1}; send after}"),
        ("lava-test-case x --shell ./run.sh a", "send run-a"),
        ("timeout 60 ./run.sh a; time ./run.sh b", "send run-a; send run-b"),
        ("ID=a; sh -c './run.sh $ID'", "send run-…"),
        (
            "python3 -m http.server 80; python3 -m quiet; python3 -m calls",
            "?python3; ?python3; <unseen>",
        ),
        ("python3 quiet.py; ./quiet.py; ./program", "?python3; ?./quiet.py; ?./program"),
        ("python3 calls.py; sudo ./calls.py; ./calling", "<unseen>; <unseen>; <unseen>"),
        ("./nowhere.sh; sh nowhere.sh; . ./nowhere", "<unseen>; <unseen>; <unseen>"),
        ("./out.sh; ../outside.sh; cd ..; ./outside.sh", "<unseen>; <unseen>; <unseen>"),
        ("./loop.sh; ./smoke; ./" + "a" * 300, "<unseen>; <unseen>; <unseen>"),
        ("./latin.sh; ./large.sh", "<unseen>; <unseen>"),
        ("/usr/bin/foo; /opt/lava-send a", "?/usr/bin/foo; send a"),
        ("cd /opt; ./run.sh a", "<unseen>"),
        ("cd $U; ./run.sh a", "<unseen>"),
        ("echo true > run.sh; ./run.sh a", "<unseen>"),
        ("sed -i s/a/b/ run.sh; ./run.sh a", "<unseen>"),
        ("cp strict.sh run.sh; ./run.sh", "<unseen>"),
        ("./self.sh", "<bound>"),
        ("./bad.sh", "<unparsed>"),
        ("X=a; . ./nowhere; lava-send x$X", "<unseen>; send x…"),
    ],
)
def test_a_file_does_what_its_text_says(folder: Path, steps: str, expected: str) -> None:
    found = line(extracted("set +e", steps, folder=folder))
    assert found in {expected, f"{{{expected}}}"}


def test_a_repository_of_the_definition_lies_below_its_folder(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/up.sh").write_text("lava-send up\n")
    (tmp_path / "out.sh").write_text("lava-send out\n")
    files = Files(None, "", {"tools": tmp_path / "tools"})
    script = Script.of_text("tools/up.sh; cd tools; ./up.sh; ../out.sh", Where("t.yaml", 1, 1, ""))
    test = TestText("0_t", None, script, {}, files)
    assert line([test_scope(test, Surroundings("", {}))]) == "{send up; send up; <unseen>}"


def test_a_call_in_a_file_says_where_in_the_file_it_is(folder: Path) -> None:
    [call] = (each for each in extracted("./run.sh a", folder=folder) if isinstance(each, Call))
    assert (call.where.file, call.where.line, call.where.column) == ("repo/run.sh", 2, 1)
    assert call.where.step == "lava-send run-$1"


def test_a_file_that_can_not_be_opened_is_something_that_nobody_can_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_arguments: object, **_options: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "open", refused)
    assert line(extracted("./run.sh", folder=folder)) == "<unseen>"


def test_what_can_not_be_read_is_named_as_it_is_written(folder: Path) -> None:
    items = extracted("./nowhere.sh; ./calls.py; ./large.sh", folder=folder)
    assert [each.reason for each in walk(items) if isinstance(each, Unseen)] == [
        "`./nowhere.sh` is not among the files of the test",
        "`./calls.py` makes calls, and is no shell script",
        "`./large.sh` can't be read as a script",
    ]

"""What is said of rehearsals that come out otherwise than a scenario expects."""

import asyncio
import re
from pathlib import Path

import pytest
from tests.verdicts import SCENARIOS

import callboard
from callboard.simulation.judgement import Judgement, judge
from callboard.simulation.production import Production
from callboard.simulation.staging import staged

DEVICES = """\
devices:
  rack-1: {type: qemu, driver: command, connection_command: telnet rack 7001}
"""


def written(folder: Path, text: str, definition: str = "two-roles") -> Path:
    """A scenario of a definition, in a folder."""
    (folder / "group.yaml").write_text((SCENARIOS / f"{definition}.yaml").read_text())
    path = folder / "x.scenario.yaml"
    path.write_text(f"definition: group.yaml\n{text}")
    return path


def said(found: Judgement, folder: Path) -> list[str]:
    """What is not as expected with the first seed that fails."""
    return [
        str(each).removeprefix(f"{folder}/x.scenario.yaml:")
        for each in found.complaints[0].first.mismatches
    ]


KILLED = "faults: [{kill: server, at: {call: lava-send ready}}]\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("expect: {status: canceled}", ["2:18: expected the status canceled, but it is complete"]),
        ("expect: {exit-code: 3}", ["2:21: expected the exit code 3, but it is 0"]),
        (
            "expect: {health: canceled}",
            ["2:18: expected every job canceled, but there are 3 complete"],
        ),
        (
            "expect: {health: {client: incomplete}}",
            ["2:27: expected every job of `client` incomplete, but there are 2 complete"],
        ),
        (
            "expect: {health: {client: {complete: 1, canceled: 1}}}",
            [
                (
                    "2:27: expected 1 canceled and 1 complete among the jobs of `client`, "
                    "but there are 2 complete"
                )
            ],
        ),
        (
            "expect: {errors: {server: JobError}}",
            ["2:27: expected the error JobError of every job of `server`, but job 1 has none"],
        ),
        (
            f"{KILLED}expect: {{errors: ~}}",
            [
                (
                    "3:18: expected no error of every job, but job 1 has InfrastructureError: "
                    "the device closed its connection"
                )
            ],
        ),
        (
            "expect: {results: {client: {0_use/ping: pass}}}",
            [
                (
                    "2:41: expected pass as 0_use/ping of every job of `client`, "
                    "but job 2 has no such result (and 1 more)"
                )
            ],
        ),
        (
            f"{KILLED}expect: {{results: {{client: {{0_use/multinode-wait-ready: pass}}}}}}",
            [
                (
                    "3:57: expected pass as 0_use/multinode-wait-ready of every job of `client`, "
                    "but job 2 has fail: lava-wait ready presumably can never be satisfied: "
                    "1 (server) ended without it (and 1 more)"
                )
            ],
        ),
        (
            "expect: {hopeless: [client]}",
            ["2:21: expected a hopeless wait of `client`, but it has none"],
        ),
        (
            'expect: {order: ["client: lava-wait ready", "server: lava-send ready"]}',
            [
                (
                    "2:45: expected `server: lava-send ready` after `client: lava-wait ready`, "
                    "but it came first, at N s and N s"
                )
            ],
        ),
        (
            f'{KILLED}expect: {{order: ["server: lava-send *", "client: lava-wait r?ady"]}}',
            [
                "3:18: expected `server: lava-send *`, but no node ever came past it",
                (
                    "3:41: expected `client: lava-wait r?ady`, but it failed: lava-wait ready "
                    "presumably can never be satisfied: 1 (server) ended without it"
                ),
            ],
        ),
        (
            "expect: {duration: {at-least: 100}}",
            ["2:20: expected at least 100 s, but it lasted N s"],
        ),
        ("expect: {duration: {at-most: 1}}", ["2:20: expected at most 1 s, but it lasted N s"]),
    ],
)
def test_a_mismatch_says_where_it_stands_what_was_expected_and_what_was_found(
    text: str, expected: list[str], tmp_path: Path
) -> None:
    found = said(judge(written(tmp_path, text)), tmp_path)
    assert [re.sub(r"\d+\.\d+ s", "N s", each) for each in found] == expected


def test_hopeless_waits_that_nobody_expects_are_told_with_the_place_of_the_call(
    tmp_path: Path,
) -> None:
    found = judge(written(tmp_path, "expect: {hopeless: []}", "misspelt"))
    assert {each.split("expected ")[1] for each in said(found, tmp_path)} == {
        (
            "no hopeless wait of `server`, but job 1 waited in vain in lava-sync done "
            f"({tmp_path}/group.yaml:25)"
        ),
        (
            "no hopeless wait of `client`, but job 2 waited in vain in lava-wait raedy "
            f"({tmp_path}/group.yaml:36)"
        ),
    }


def test_seeds_that_fail_alike_are_told_together_and_others_apart(tmp_path: Path) -> None:
    text = """\
model: {actions: [{action: login-action, role: server, fails: 0.5}]}
seeds: 1..40
expect: {status: complete, exit-code: 3}
"""
    found = judge(written(tmp_path, text))
    assert not found.holds
    assert len(found.complaints) == 2
    assert sorted(seed for each in found.complaints for seed in each.seeds) == list(range(1, 41))
    for each in found.complaints:
        assert each.first.seed == each.seeds[0] == min(each.seeds)
        assert f"again: callboard simulate --seed {each.seeds[0]} " in each.text
        assert f"{len(each.seeds)} seeds fail so: {each.seeds[0]}, {each.seeds[1]}, " in each.text


def test_other_seeds_can_be_judged(tmp_path: Path) -> None:
    found = judge(written(tmp_path, "seeds: 1..40\nexpect: {exit-code: 3}"), (7, 9))
    assert found.seeds == (7, 9)
    assert [each.seeds for each in found.complaints] == [(7, 9)]


def test_a_ruling_is_the_same_each_time(tmp_path: Path) -> None:
    path = written(tmp_path, KILLED + "seeds: 5\nexpect: {status: complete}")
    assert judge(path) == judge(path)
    assert judge(path).text == judge(path).text


def test_scenarios_are_judged_within_a_running_event_loop(tmp_path: Path) -> None:
    async def judged() -> Judgement:
        return judge(written(tmp_path, "expect: {status: complete}"))

    assert asyncio.run(judged()).holds


def test_roles_that_the_devices_can_never_serve_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "devices.yaml").write_text(DEVICES)
    path = written(tmp_path, "devices: devices.yaml\nexpect: {status: complete}")
    with pytest.raises(callboard.DefinitionError, match="needs 3 devices at once"):
        judge(path)
    (tmp_path / "devices.yaml").write_text(
        "devices:\n" + "".join(DEVICES.replace("rack-1", f"rack-{n}")[9:] for n in range(3))
    )
    assert judge(path).holds


def test_sources_that_cannot_be_had_are_told_with_their_place(tmp_path: Path) -> None:
    path = written(tmp_path, "expect: {status: complete}")
    text = (tmp_path / "group.yaml").read_text()
    inline = text.index("    - from: inline")
    (tmp_path / "group.yaml").write_text(
        f"{text[:inline]}    - {{from: git, name: gone, path: x.yaml, repository: ./gone}}\n"
        f"{text[inline:]}"
    )
    production = Production.load(path)
    assert not production.inline
    with pytest.raises(callboard.DefinitionError, match=r"group\.yaml:\d+:\d+: error"):
        judge(production)


def test_a_group_of_one_is_judged_without_roles(tmp_path: Path) -> None:
    text = "expect: {health: complete, errors: ~, results: {0_smoke/kernel: pass}, hopeless: []}"
    assert judge(written(tmp_path, text, "single")).holds


def test_data_in_python_is_read_like_files(tmp_path: Path) -> None:
    written(tmp_path, "")
    model = {"actions": ({"action": "login-action", "takes": {"uniform": (100, 110)}},)}
    faults = {"faults": [{"slow": "server", "factor": 2}]}
    ended, report = staged("group.yaml", model=model, faults=faults, folder=tmp_path).perform(3)
    assert ended.duration_s > 200
    assert report == ()

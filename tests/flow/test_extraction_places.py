"""Where calls are written, and what whole definitions do."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from attrs import evolve
from tests.flow.notation import line

from callboard.definition import Definition, read_text
from callboard.definition.model import Fetched
from callboard.flow.check import check
from callboard.flow.extraction import extract
from callboard.flow.program import Call
from callboard.flow.senders import senders_of

HEAD = """\
job_name: x
visibility: public
timeouts: {job: {minutes: 5}}
protocols:
  lava-multinode:
    timeout: {seconds: 90}
    roles:
      server: {device_type: qemu, count: 1, environment: {PORT: 80, LIST: [a]}}
      client: {device_type: qemu, count: 2}
actions:
"""
TEST = """\
- test:
    role: [server]
    definitions:
    - from: inline
      name: serve
      path: t.yaml
      repository:
        metadata: {format: Lava-Test Test Definition 1.0, name: t}
"""
REST = (
    "- test: {role: [client], definitions: [{from: git, repository: r, path: t.yaml, name: g}]}\n"
)


def group(*parts: str) -> Definition:
    found, diagnostics = read_text(HEAD + "".join(parts), "job.yaml")
    assert found is not None, diagnostics
    return found


def program(definition: Definition, role: str = "server") -> str:
    programs = {each.role: each for each in extract(definition).programs}
    return line(programs[role].items)


def calls(definition: Definition, role: str = "server") -> Sequence[Call]:
    programs = {each.role: each for each in extract(definition).programs}
    return list(programs[role].calls())


def with_steps(*lines: str) -> Definition:
    """A group whose server has these lines as steps."""
    steps = "".join(f"          {each}\n" for each in ("- foo", *lines))
    return group(TEST, f"        run:\n          steps:\n{steps}", REST)


@pytest.mark.parametrize(
    "steps",
    [
        ["- lava-send first", "- foo && lava-wait second"],
        ["- 'lava-send first'", '- "foo && lava-wait second"'],
        ["- |", "  foo", "  lava-send first", "", "  lava-wait second"],
        ["- |", "    if foo; then lava-send first; fi; lava-wait second"],
        ["- echo 'é ü 漢字 🎉'; lava-send first", "- lava-wait second"],
        ["- |", "  # é", "  echo 'é🎉' && lava-send first; lava-wait second"],
        ["- for i in 1; do", "- lava-send first", "- lava-wait second; done"],
        ["- X=a-$1-$2; lava-send first; f $X-$Y-$1; lava-wait second"],
    ],
)
def test_a_call_is_where_its_name_is_written(steps: list[str]) -> None:
    definition = with_steps(*steps)
    lines = definition.text.split("\n")
    found = calls(definition)
    assert [call.id.text for call in found] == ["first", "second"]
    for call in found:
        written = lines[call.where.line - 1][call.where.column - 1 :]
        assert written.startswith(f"lava-{call.call} {call.id.text}")
        assert call.where.file == "job.yaml"


@pytest.mark.parametrize(
    ("step", "begin"),
    [
        (["- >", "  foo &&", "  lava-send first"], "foo &&"),
        (['- "foo && \\', '  lava-send first"'], '- "foo && \\'),
        (["- \"echo '\\t'; lava-send first\""], "- \"echo '\\t'; lava-send first\""),
    ],
)
def test_a_call_in_a_step_that_is_not_written_as_it_is_run_is_at_the_step(
    step: list[str], begin: str
) -> None:
    definition = with_steps(*step)
    [call] = calls(definition)
    assert definition.text.split("\n")[call.where.line - 1].strip() == begin
    assert "lava-send first" in call.where.step


def test_a_secret_is_not_shown_where_a_call_is_written() -> None:
    step = "        run: {steps: ['echo hunter2; lava-send a']}\n"
    definition = group(TEST, step, REST, "secrets: {KEY: hunter2}\n")
    [call] = calls(definition)
    assert "hunter2" not in call.where.step


def test_a_secret_is_not_shown_by_the_lines_of_a_verdict() -> None:
    waits = "        run: {steps: [lava-wait hunter2]}\n"
    asks = "        run: {steps: [if foo hunter2; then lava-wait a; fi]}\n"
    for steps in (waits, asks):
        both = TEST.replace("[server]", "[server, client]")
        verdict = check(group(both, steps, "secrets: {KEY: hunter2}\n"))
        assert "[MASKED]" in str((verdict.witness, verdict.doubts))
        assert "hunter2" not in str((verdict.witness, verdict.doubts))


def install(*steps: str) -> str:
    """The program of a server that has a second definition and an action behind this one."""
    more = """\
    - from: inline
      name: more
      path: m.yaml
      repository:
        metadata: {format: Lava-Test Test Definition 1.0, name: m}
        run: {steps: [lava-send m]}
"""
    written = f"        install: {{steps: {list(steps)}}}\n        run: {{steps: [lava-send r]}}\n"
    other = TEST.replace("name: serve", "name: last") + "        run: {steps: [lava-send last]}\n"
    return program(group(TEST, written, more, other, REST))


def test_install_steps_go_on_after_a_failure() -> None:
    assert install("false", "echo x") == "{{send r}; {send m}; {send last}}"


def test_a_call_in_an_install_step_is_made_and_ends_the_job() -> None:
    found = install("false", "lava-send i", "lava-send j")
    assert found.startswith("{{{send i; ^3!};")
    assert "send j" not in found


def test_a_call_in_a_later_installation_ends_the_job_unless_the_definition_before_has_no_end() -> (
    None
):
    steps = "        install: {steps: [lava-send i]}\n        run: {steps: [lava-send r]}\n"
    before = "        run: {steps: [exit 0]}\n" + TEST[TEST.index("    - from") :].replace(
        "serve", "more"
    )
    assert program(group(TEST, before, steps, REST)) == "{{{^1}}; {{send i; (- | ^3!)}; send r}}"


def test_a_call_in_the_background_of_an_installation_may_end_the_job_at_any_time() -> None:
    found = install("lava-send i & echo x")
    assert found.startswith("{{{&({send i; ^4!}); (- | ^3!)}; send r}")


def test_a_test_case_in_an_install_step_ends_the_job() -> None:
    assert "send c" not in install("lava-test-case c --shell lava-send c")


def test_steps_are_left_out_if_the_installation_fails_and_the_job_ends_behind_the_others() -> None:
    assert install("echo x", "exit 1") == "{{{^1!}; ^1!}; {send m}; ^1!; {send last}}"


def test_skipped_install_steps_are_left_out() -> None:
    steps = "        install: {steps: [lava-send i]}\n        run: {steps: [lava-send r]}\n"
    skipped = TEST.replace("      path:", "      skip_install: [steps]\n      path:")
    assert program(group(skipped, steps, REST)) == "{{send r}}"


def test_the_parameters_of_the_job_win_over_those_of_the_definition() -> None:
    steps = (
        "        params: {A: 1, B: 2}\n        run: {steps: ['lava-send $A-$B-$C']}\n"
        "      parameters: {B: 3}\n"
    )
    assert program(group(TEST, steps, REST)) == "{{send 1-3-…}}"


def test_the_environment_of_the_role_is_known_but_its_lists_are_not() -> None:
    steps = "        run: {steps: ['sh -c \"lava-send \\$PORT-\\$LIST\"']}\n"
    assert program(group(TEST, steps, REST)) == "{{send 80-…}}"


def test_a_call_waits_as_long_as_the_group_says_and_a_send_does_not_wait() -> None:
    steps = "        run: {steps: [lava-send a, lava-wait a]}\n"
    found = calls(group(TEST, steps, REST))
    assert [call.limit_s for call in found] == [None, 90]
    assert [call.maker for call in found] == ["0_serve", "0_serve"]


def test_a_definition_that_has_not_been_fetched_is_something_that_nobody_can_read() -> None:
    steps = "        run: {steps: [lava-send a]}\n"
    assert program(group(TEST, steps, REST), "client") == "{{<unseen>}}"


def test_a_fetched_definition_finds_the_scripts_beside_it(tmp_path: Path) -> None:
    written = "metadata: {format: x, name: g}\nrun:\n  steps:\n  - true; ./up.sh\n  - lava-sync s\n"
    (tmp_path / "t.yaml").write_text(written)
    (tmp_path / "up.sh").write_text("lava-send up\n")
    definition = group(TEST, "        run: {steps: [./up.sh, lava-sync s]}\n", REST)
    fetched = evolve(
        definition,
        blocks=tuple(
            evolve(
                block,
                definitions=tuple(
                    evolve(each, fetched=Fetched(each.inline, tmp_path)) if each.inline else each
                    for each in block.definitions
                ),
            )
            for block in definition.blocks
        ),
    )
    assert program(fetched) == "{{send up; sync s}}"


def test_an_action_s_calls_are_made_before_and_after_its_tests() -> None:
    deploy = """\
- deploy:
    role: [server]
    to: tmpfs
    protocols:
      lava-multinode:
      - {action: deployimages, request: lava-send, messageID: deployed, message: {ip: $ip}}
"""
    boot = """\
- boot:
    role: [server]
    method: qemu
    protocols:
      lava-multinode:
      - {action: execute-qemu, request: lava-wait-all, messageID: ready, role: client}
"""
    steps = "        run: {steps: [lava-send a]}\n"
    found = program(group(deploy, boot, TEST, steps, REST))
    assert found == "{send deployed ip=$ip; wait-all ready client; {send a}}"


def test_a_delayed_start_is_the_first_call_of_its_role() -> None:
    head = HEAD.replace(
        "client: {device_type: qemu, count: 2}",
        "client: {connection: ssh, count: 2, request: lava-start, expect_role: server, "
        "host_role: server}",
    )
    boot = """\
- boot:
    role: [server]
    method: qemu
    protocols:
      lava-multinode:
      - {action: execute-qemu, request: lava-start, roles: [client]}
"""
    steps = "        run: {steps: [lava-send a]}\n"
    found, diagnostics = read_text(f"{head}{boot}{TEST}{steps}{REST}", "job.yaml")
    assert found is not None, diagnostics
    first = calls(found, "client")[0] if calls(found, "client") else None
    assert first is not None
    assert first.written == "lava-start by server"
    assert [call.written for call in calls(found)] == ["lava-start client", "lava-send a"]


def test_a_role_without_nodes_is_read_too_and_sends_nothing() -> None:
    definition = with_steps("- lava-wait ready")
    absent = [evolve(each, count=0) if each.name == "server" else each for each in definition.roles]
    extraction = extract(evolve(definition, roles=tuple(absent)))
    [server] = [each for each in extraction.programs if each.role == "server"]
    assert (server.count, [each.written for each in server.calls()]) == (0, ["lava-wait ready"])
    assert "server" not in senders_of(extraction.programs).sends

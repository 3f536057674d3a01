"""Which roles may send an ID, as far as their definitions tell."""

from pathlib import Path

import pytest
import yaml
from attrs import evolve

from callboard.definition import Definition, read_text
from callboard.definition.model import Fetched
from callboard.definition.senders import Senders
from callboard.flow.extraction import extract
from callboard.flow.senders import senders_of


def senders(definition: Definition) -> Senders:
    return senders_of(extract(definition).programs)


HEAD = """\
job_name: x
visibility: public
timeouts: {job: {minutes: 5}}
protocols:
  lava-multinode:
    roles:
      talker: {device_type: qemu, count: 1}
      quiet: {device_type: qemu, count: 1}
      nobody: {device_type: qemu, count: 0}
actions:
- deploy:
    role: [quiet]
    to: tmpfs
    protocols:
      lava-multinode:
      - {action: deployimages, request: lava-send, messageID: deployed}
"""


def group(*steps: str) -> Definition:
    """The talker runs these steps; the quiet role sends `deployed` from an action only."""

    def block(role: list[str], run: list[str]) -> str:
        test = {
            "from": "inline",
            "name": role[0],
            "path": "t.yaml",
            "repository": {
                "metadata": {"format": "Lava-Test Test Definition 1.0", "name": "t"},
                "run": {"steps": run},
            },
        }
        return yaml.safe_dump([{"test": {"role": role, "definitions": [test]}}])

    text = f"{HEAD}{block(['talker', 'nobody'], list(steps))}{block(['quiet'], ['true'])}"
    found, diagnostics = read_text(text)
    assert found is not None, diagnostics
    return found


@pytest.mark.parametrize(
    "step",
    [
        "lava-send ready",
        "lava-send ready port=80 ip=$(lava-echo-ipv4 eth0)",
        "lava-send 'ready' a=b",
        'lava-send "ready"',
        "true && lava-send ready; true",
        "(sleep 1; lava-send ready) &",
        "lava-background-process-start x --cmd 'lava-send ready'",
    ],
)
def test_a_step_that_sends_an_id_is_found(step: str) -> None:
    found = senders(group(step))
    assert found.possible("ready") == found.likely("ready") == {"talker"}
    assert found.possible("other") == found.likely("other") == frozenset()


@pytest.mark.parametrize(
    "step",
    [
        'lava-send "$ID"',
        "lava-send ready-$N",
        "lava-send `cat id`",
        ". ./lib.sh",
        "./run-tests.sh",
        'sh -c "$COMMAND"',
        "curl -s http://x/y | sh",
        "/opt/tests/all",
        "run-suite --all",
        "nohup run-suite &",
        "lava-test-case all --shell ./all.sh",
        "lava-background-process-start x --cmd 'run-suite'",
        "x=$(run-suite)",
        "if run-suite; then echo; fi",
        "echo 'it; run-suite",
    ],
)
def test_what_is_computed_or_can_not_be_read_may_send_anything(step: str) -> None:
    found = senders(group(step))
    assert found.possible("other") == found.likely("other") == {"talker"}


@pytest.mark.parametrize(
    "step",
    [
        "true",
        "for i in 1 2; do echo $i; done",
        'test $(grep -c ip= /tmp/x) = 3 && echo "don\'t; run this"',
        "lava-test-case up --shell 'ping -c 1 10.0.0.1'",
        "A=1 B='2 3' echo x > /dev/null 2>&1",
        "if [ -e /tmp/x ]; then cat /tmp/x; else exit 1; fi",
        "case $x in a) echo a;; esac",
    ],
)
def test_plain_steps_send_no_more_than_they_say(step: str) -> None:
    assert senders(group(step)).possible("other") == frozenset()


def test_a_call_of_an_action_sends_too() -> None:
    assert senders(group("lava-wait ready")).possible("deployed") == {"quiet"}


def fetched(folder: Path | None) -> Definition:
    """A definition whose talker runs a script that came with it."""
    plain = group("./talk.sh")

    def with_files(definition: Definition) -> Definition:
        blocks = []
        for block in definition.blocks:
            sources = tuple(
                evolve(each, fetched=Fetched(each.inline, folder)) if each.inline else each
                for each in block.definitions
            )
            blocks.append(evolve(block, definitions=sources))
        return evolve(definition, blocks=tuple(blocks))

    return with_files(plain)


def test_scripts_that_come_with_a_definition_are_read(tmp_path: Path) -> None:
    (tmp_path / "talk.sh").write_text("#!/bin/sh\nlava-send ready\n")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\xff\xfe")
    found = senders(fetched(tmp_path))
    assert found.likely("deployed") == {"quiet"}
    assert found.possible("deployed") == {"quiet"}
    assert found.possible("ready") == {"talker"}


def test_a_definition_that_was_not_fetched_may_send_anything() -> None:
    plain = group("true")
    [source] = plain.blocks[1].definitions
    block = evolve(plain.blocks[1], definitions=(evolve(source, inline=None),))
    found = senders(evolve(plain, blocks=(plain.blocks[0], block, *plain.blocks[2:])))
    assert found.possible("other") == {"talker"}

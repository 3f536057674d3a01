"""The hooks that pre-commit finds in this repository."""

from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from callboard.cli.application import application

HOOKS: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[1] / ".pre-commit-hooks.yaml").read_text()
)
KEYS = {"id", "name", "description", "entry", "language", "types", "pass_filenames"}


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_says_what_pre_commit_needs_to_know(hook: dict[str, Any]) -> None:
    assert hook.keys() == KEYS
    assert (hook["language"], hook["types"], hook["pass_filenames"]) == ("python", ["yaml"], True)
    assert all(isinstance(hook[key], str) for key in ("id", "name", "description"))


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_is_a_verb_of_callboard(hook: dict[str, Any]) -> None:
    program, verb = hook["entry"].split()
    assert program == "callboard"
    assert verb in application.list_commands(click.Context(application))


def test_the_documentation_names_the_hook_by_its_id() -> None:
    page = (Path(__file__).parents[1] / "docs/editor.md").read_text()
    assert [f"- id: {hook['id']}\n" in page for hook in HOOKS] == [True]

"""Whether the tests of a role may leave work in the background, where no driver can look."""

import re
from collections.abc import Iterable, Mapping

from callboard.definition.model import Definition
from callboard.flow.program import Background, Command, Program, Unseen, walk

_AMPERSAND = re.compile(r"(?<![&>|])&(?![&>])|\blava-background-process-start\b")
"""A command in the background; also one that is quoted, which is taken for one."""


def with_background(definition: Definition, programs: Iterable[Program]) -> Mapping[str, bool]:
    """Of each role whether its tests may have work in the background, as far as can be read.

    Args:
        definition: With its sources fetched.
        programs: What its roles do; the role of a job without roles is empty.
    """
    return {
        program.role: _is_unclear(program)
        or any(map(_AMPERSAND.search, _steps(definition, program.role)))
        for program in programs
    }


def _is_unclear(program: Program) -> bool:
    return any(
        isinstance(item, Background | Unseen) or (isinstance(item, Command) and item.unknown)
        for item in walk(program.items)
    )


def _steps(definition: Definition, role: str) -> Iterable[str]:
    for block in definition.blocks:
        if role and role not in block.roles:
            continue
        for source in block.definitions:
            if (test := source.definition) is not None:
                yield from (step.text for step in (*test.install.steps, *test.run))

"""The pytest plugin: collects `*.scenario.yaml` files, and rehearses groups for tests in Python.

pytest loads it wherever callboard is installed, so it imports nothing of callboard before it is
used. PYTEST_DONT_REWRITE: it asserts nothing.
"""

import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from callboard.definition import Definition, Diagnostic
    from callboard.flow.proof import Semantics
    from callboard.simulation import Faults, Model, Seeds
    from callboard.simulation.production import Production
    from callboard.simulation.simulate import SimulationResult
    from callboard.simulation.staging import Data, File

SUFFIX = ".scenario.yaml"
"""What the names of scenario files end with."""


class ScenarioWarning(pytest.PytestWarning):
    """Something in a scenario, a model or faults that has no effect."""


class _Failed(Exception):
    """A scenario does not come out as it expects; the text says all there is to say."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--callboard-seeds`."""
    parser.getgroup("callboard", "rehearsals of groups (callboard)").addoption(
        "--callboard-seeds",
        metavar="A..B",
        help="rehearse every scenario with these seeds instead of its own: `7`, `1..100`, `1,5`",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse seeds that are none, before anything is collected."""
    text = config.getoption("callboard_seeds")
    if text is None:
        return
    from callboard.simulation.seeds import SeedsError, parse_seeds

    try:
        parse_seeds(text)
    except SeedsError as error:
        raise pytest.UsageError(f"--callboard-seeds: {error}; {error.hint}") from None


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "ScenarioFile | None":
    """Collect a scenario file."""
    if file_path.name.endswith(SUFFIX):
        return ScenarioFile.from_parent(parent, path=file_path)
    return None


class ScenarioFile(pytest.File):
    """A scenario file: a test for what `callboard check` says, and one for its rehearsals.

    All its seeds are one test, so that those that fail alike are reported together.
    """

    def collect(self) -> Iterator[pytest.Item]:
        """Its tests; what is wrong with the file is an error of the collection."""
        from callboard.definition import DefinitionError
        from callboard.simulation.production import Production

        try:
            production = Production.load(os.path.relpath(self.path))
            if production.inline:  # nothing has to be fetched to compare it with its definition
                production.validate()
        except DefinitionError as error:
            raise self.CollectError(str(error)) from None
        for each in production.warnings:
            self.warn(ScenarioWarning(str(each)))
        if production.scenario.check is not None:
            yield CheckItem.from_parent(self, name="check", production=production)
        seeds = _seeds(self.config) or production.scenario.seeds
        yield SeedsItem.from_parent(self, name=_name(seeds), production=production, seeds=seeds)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *arguments: Any) -> Any:
        """Warnings that a suite takes for errors say enough without a traceback."""
        if isinstance(excinfo.value, ScenarioWarning):
            return str(excinfo.value)
        return super().repr_failure(excinfo, *arguments)


def _name(seeds: "Seeds") -> str:
    if len(seeds) == 1:
        return f"seed-{seeds[0]}"
    if isinstance(seeds, range):
        return f"seeds-{seeds[0]}..{seeds[-1]}"
    return f"{len(seeds)}-seeds"


def _seeds(config: pytest.Config) -> "Seeds | None":
    from callboard.simulation.seeds import parse_seeds

    text = config.getoption("callboard_seeds")
    return None if text is None else parse_seeds(text)


class _ScenarioItem(pytest.Item, ABC):
    """A test of a scenario."""

    def __init__(self, *, production: "Production", **options: Any) -> None:
        super().__init__(**options)
        self.production = production

    def runtest(self) -> None:
        """Fails if something does not hold; what hadn't been fetched for the collection is now."""
        told = len(self.production.warnings)
        self.production.validate()
        for each in self.production.warnings[told:]:
            self.warn(ScenarioWarning(str(each)))
        if (complaint := self.complaint()) is not None:
            raise _Failed(complaint)

    @abstractmethod
    def complaint(self) -> str | None:
        """What does not hold, None if all does."""

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *arguments: Any) -> Any:
        """What does not hold, without a traceback, for no code of the user's has failed."""
        from callboard.definition import DefinitionError

        if isinstance(excinfo.value, (_Failed, DefinitionError, ScenarioWarning)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, *arguments)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where it is and how it is called."""
        return self.path, 0, f"{self.path.name}: {self.name}"


class CheckItem(_ScenarioItem):
    """Compares what `callboard check` says with what a scenario expects of it."""

    def complaint(self) -> str | None:
        """What the check says instead, and who waits where."""
        mismatch = self.production.check()
        if mismatch is None:
            return None
        return "\n".join((str(mismatch), *self.production.verdict.witness))


class SeedsItem(_ScenarioItem):
    """Rehearses a scenario with some seeds."""

    def __init__(self, *, seeds: "Seeds", **options: Any) -> None:
        super().__init__(**options)
        self.seeds = seeds

    def complaint(self) -> str | None:
        """What comes out otherwise than expected."""
        from callboard.simulation.judgement import judge

        found = judge(self.production, self.seeds)
        return "\n\n".join(each.text for each in found.complaints) or None


class GroupRehearser:
    """Rehearses groups for a test; what the fixture `callboard_group` gives.

    Args:
        item: The test.
        folder: Where files are looked for.
    """

    def __init__(self, item: pytest.Item, folder: Path) -> None:
        self._item = item
        self._folder = folder

    def __call__(
        self,
        definition: "File | Definition",
        *,
        seed: int = 0,
        model: "File | Data | Model | None" = None,
        faults: "File | Data | Faults | None" = None,
        scale: Mapping[str, int] | None = None,
        semantics: "Semantics" = "documented",
        check: bool = True,
    ) -> "SimulationResult":
        """Rehearse a group once, in virtual time; async tests wait for it, too.

        If the test fails, its report says what failed in the rehearsal, and with which seed.

        Args:
            definition: The definition, or its file; paths are relative to the test's folder.
            seed: Decides everything that is left to chance.
            model: How long things take: a file, or what would stand in it.
            faults: What goes wrong: a file, or what would stand in it.
            scale: How many nodes some roles have, in place of what the definition says.
            semantics: What LAVA documents, or what its coordinator does.
            check: Refuse a group of which it is proved that it can't finish.

        Raises:
            DefinitionError: One of them can't be used; it says where and why.
            GroupRefused: Some calls would never return; it is a DefinitionError.
        """
        __tracebackhide__ = True
        from callboard.definition import DefinitionError
        from callboard.simulation.staging import staged

        try:
            production = staged(
                definition,
                model=model,
                faults=faults,
                scale=scale,
                semantics=semantics,
                folder=self._folder,
            )
            production.validate()
            if check:
                production.admit()
        except DefinitionError as error:  # what it says is enough, wherever that was found
            raise error.with_traceback(None) from None
        _warn(production.warnings)
        result, report = production.perform(seed)
        text = "\n".join((f"{production.given.file}, seed {seed}: {result.status}", *report))
        self._item.add_report_section("call", "callboard", text)
        return result


def _warn(found: "Iterable[Diagnostic]") -> None:
    for each in found:
        warnings.warn(ScenarioWarning(str(each)), stacklevel=3)


@pytest.fixture
def callboard_group(request: pytest.FixtureRequest) -> GroupRehearser:
    """Rehearse a group in virtual time: `callboard_group("group.yaml", seed=3)`."""
    return GroupRehearser(request.node, request.path.parent)

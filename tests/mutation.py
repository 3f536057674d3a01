"""Breaks a rule of the product in a copy of it, and sees whether a test notices."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).parents[1]
LIMIT_S = 60
"""Seconds that the tests may take for one mutant."""

_COPIED = ("actors", "runtime", "scenarios", "src", "tests", "pyproject.toml")
_TEST_LIMIT_S = 20
_PASSED, _FAILED = 0, 1


@frozen
class Mutant:
    """One rule, broken by hand.

    Attributes:
        rule: What holds no more.
        file: Where, from the top of the repository.
        old: What stands there; exactly once, so that the table can't rot unseen.
        new: What stands there instead.
        tests: The test files that must notice.
    """

    rule: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def broken(self, root: Path) -> str:
        """The file below `root` with the rule broken.

        Raises:
            ValueError: The old text is not there exactly once.
        """
        text = (root / self.file).read_text()
        if (found := text.count(self.old)) != 1:
            raise ValueError(
                f"'{self.rule}': its old text is {found} times in {self.file}, not once; "
                f"adapt the table of mutants:\n{self.old}"
            )
        return text.replace(self.old, self.new)


def first_failure(mutant: Mutant | None, tests: tuple[str, ...]) -> str | None:
    """The first of `tests` that fails for `mutant`, or for a plain copy; None when all pass.

    The copy is what is imported: where the plain one passes, only the mutant can have failed.

    Raises:
        ValueError: The mutant's old text is not there exactly once.
        RuntimeError: The tests couldn't be run, so that they have proved nothing.
    """
    with tempfile.TemporaryDirectory(prefix="callboard-mutant-") as name:
        copy = Path(name)
        for each in _COPIED:
            if (ROOT / each).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / each, copy / each, symlinks=True, ignore=ignored)
            else:
                shutil.copy(ROOT / each, copy / each)
        if mutant is not None:
            (copy / mutant.file).write_text(mutant.broken(copy))
        code, output = _pytest(copy, tests)
    failed = [line for line in output.splitlines() if line.startswith("FAILED ")]
    if code == _PASSED:
        return None
    if code == _FAILED and failed:
        return failed[0].removeprefix("FAILED ").partition(" - ")[0]
    raise RuntimeError(f"the tests could not be run (exit code {code}):\n{output}")


def _pytest(copy: Path, tests: tuple[str, ...]) -> tuple[int, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    options = ["-x", "-q", "-p", "no:cacheprovider", "--tb=no", f"--timeout={_TEST_LIMIT_S}"]
    options.append("--hypothesis-profile=first")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, f"--basetemp={copy / 'tmp'}", *tests],
            cwd=copy,
            env={**kept, "PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as expired:
        raise RuntimeError(f"no test has failed within {LIMIT_S} s") from expired
    return done.returncode, done.stdout

"""What the extraction says that a script calls is what real shells call."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import define
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.flow.shells import BESIDE, MAYBE, called, extracted, made
from tests.flow.traces import is_of, traces

_BEGIN = ["export X=1 Y=y", "f() { lava-send f-$1; }", "local_x() { local X=5; lava-send $X; }"]
SHELLS = ["dash", "bash", "busybox sh"]

_IDS = ["a", "b", "$X", "r-$X", '"$X"', "$(lava-role)", "${Y:-d}", "$1", "$Y-$1-$X", "x$#"]
_WORDS = ["x", "server", "$X", '"$Y"', "$(lava-role)", '""', "3"]
_KNOWN = ["true", ":", "false", "! false", "! true", "[ 2 -lt 3 ]", "[ 3 -eq 2 ]", "! true | false"]
_SIMPLE = [
    "X=1",
    "X=two",
    'Y="$X"',
    "Y=",
    "X=$Y-$1-$X",
    "unset Y",
    "local_x",
    "f",
    "f z",
    'f $X "1 2"',
]
_SIMPLE += ["set +e", "set -e", "exit 0", "exit 3", "set -- k l", "set -- k l; shift", "! false"]
_LEAVING = ["break", "continue", "break 2", "continue 2"]
_KINDS = ["if", "elif", "and", "or", "subshell", "f", "g", "for", "case", "while", "until"]
_KINDS += ["eval", "sh", "test_case"]
_DEEPEST = 3


@define
class _Author:
    """Writes scripts.

    Attributes:
        draw: Makes its decisions.
        known: Whether it uses only conditions that are known before the run.
    """

    draw: st.DrawFn
    known: bool

    def of(self, *choices: str) -> str:
        return self.draw(st.sampled_from(choices))

    def call(self) -> str:
        name = self.of("lava-send", "lava-wait", "lava-wait-all", "lava-sync")
        return f"{name} {self.of(*_IDS)}"

    def condition(self) -> str:
        unknown = () if self.known else tuple(f"maybe-{letter}" for letter in MAYBE)
        return self.of(
            f"[ {self.of(*_WORDS)} {self.of('=', '!=')} {self.of(*_WORDS)} ]",
            f"test {self.of('-n', '-z')} {self.of(*_WORDS[3:])}",
            *_KNOWN,
            *unknown,
        )

    def chain(self) -> str:
        first, second = self.of("&&", "||"), self.of("&&", "||")
        return f"{self.condition()} {first} {self.condition()} {second} {self.call()}"

    def simple(self) -> str:
        return self.of(
            self.call(), self.call(), self.chain(), f"{self.condition()} || :", self.of(*_SIMPLE)
        )

    def block(self, depth: int, loop: str = "") -> str:
        """Statements; `loop` are the kinds of loops around them."""
        count = self.draw(st.integers(1, 3))
        return "; ".join(self.statement(depth, loop) for _ in range(count))

    def statement(self, depth: int, loop: str = "") -> str:
        if loop and self.draw(st.integers(0, 4)) == 0:
            return f"{self.condition()} || {self.of(*_LEAVING[: 2 * len(loop)])}"
        if depth == _DEEPEST or self.draw(st.booleans()):
            return self.chain() if "w" in loop else self.simple()  # functions may change `i`
        kind = self.of(*_KINDS)
        write = getattr(self, f"_{kind}")
        return str(write(depth + 1, loop))

    def _if(self, depth: int, loop: str) -> str:
        return f"if {self.condition()}; then {self.block(depth, loop)}; fi"

    def _elif(self, depth: int, loop: str) -> str:
        ways = [self.block(depth, loop) for _ in range(3)]
        conditions = (
            f"if {self.condition()}; then {ways[0]}; elif {self.condition()}; then {ways[1]}"
        )
        return f"{conditions}; else {ways[2]}; fi"

    def _and(self, depth: int, loop: str) -> str:
        return f"{self.condition()} && {{ {self.block(depth, loop)}; }}"

    def _or(self, depth: int, loop: str) -> str:
        return f"{self.condition()} || {{ {self.block(depth, loop)}; }}"

    def _subshell(self, depth: int, _loop: str) -> str:
        return f"( {self.block(depth)} )"

    def _f(self, depth: int, loop: str) -> str:
        return ":" if "w" in loop else f"f() {{ {self.block(depth)}; }}"

    def _g(self, depth: int, loop: str) -> str:
        body = self.block(depth, "") if "w" not in loop else "lava-send $1"
        return f"g() {{ {body}; return $#; }}; g $Y z || :"

    def _for(self, depth: int, loop: str) -> str:
        return f"for X in 1 $Y two; do {self.block(depth, loop + 'f')}; done"

    def _case(self, depth: int, loop: str) -> str:
        ways = [self.block(depth, loop) for _ in range(4)]
        return "case $X in 1|t*) {};; '') {};; 't*'|\"$Y\") {};; *) {};; esac".format(*ways)

    def _while(self, depth: int, loop: str) -> str:
        i = f"i{depth}"
        body = self.block(depth, loop + "w")
        return f"{i}=0; while [ ${i} -lt 2 ]; do {i}=$(({i}+1)); {body}; done"

    def _until(self, depth: int, loop: str) -> str:
        i = f"i{depth}"
        body = self.block(depth, loop + "w")
        return f"{i}=0; until [ ${i} -ge 2 ]; do {i}=$(({i}+1)); {body}; done"

    def _test_case(self, _depth: int, _loop: str) -> str:
        return f"lava-test-case t --shell '{self.chain()}'"

    def _eval(self, _depth: int, loop: str) -> str:
        return f"eval '{self.call() if 'w' in loop else self.simple()}'"

    def _sh(self, _depth: int, _loop: str) -> str:
        return f"sh -c '{self.chain()}' n m || :"

    def script(self) -> list[str]:
        """Steps, some of which only stand at the top."""
        steps = [self.statement(0) for _ in range(self.draw(st.integers(1, 4)))]
        top = [
            f": <<E && {self.call()}\nlava-send never\nE",
            f"lava-send {BESIDE} & {self.call()}; wait",
            f"true | {{ {self.condition()} || lava-send piped; }}",
            f"trap '{self.chain()}' EXIT",
            "trap f EXIT",
        ]
        return [*self.draw(st.lists(st.sampled_from(top), max_size=1)), *steps]


@st.composite
def _steps(draw: st.DrawFn, *, known: bool) -> list[str]:
    return _Author(draw, known).script()


_FEWER = settings(
    max_examples=settings().max_examples // 2, suppress_health_check=[HealthCheck.too_slow]
)  # three shells run each of them


@pytest.fixture(scope="module", params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if shutil.which(name.split(maxsplit=1)[0]) is None:
        pytest.skip(f"{name} is not installed")
    return name


@pytest.fixture(scope="module")
def bin_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("bin"))


@pytest.fixture(scope="module")
def run(shell: str, bin_folder: Path) -> Callable[..., tuple[tuple[str, ...], int]]:
    return lambda *steps, mask="": called(shell, bin_folder, *steps, mask=mask)


@_FEWER
@given(steps=_steps(known=True))
def test_a_script_of_known_words_calls_what_is_extracted(
    run: Callable[..., tuple[tuple[str, ...], int]], steps: list[str]
) -> None:
    calls, _ = run(*_BEGIN, *steps)
    found = traces(extracted(*_BEGIN, *steps))
    assert len(found) == 1
    assert any(is_of(each, calls) for each in found)


@_FEWER
@given(steps=_steps(known=False), mask=st.sets(st.sampled_from(MAYBE)).map("".join))
def test_a_script_with_conditions_goes_one_of_the_extracted_ways(
    run: Callable[..., tuple[tuple[str, ...], int]], steps: list[str], mask: str
) -> None:
    calls, status = run(*_BEGIN, *steps, mask=mask)
    found = traces(extracted(*_BEGIN, *steps))
    if status:
        assert any(is_of(each[: len(calls)], calls) for each in found)
    else:
        assert any(is_of(each, calls) for each in found)

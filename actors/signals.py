"""What the device says in its output: LAVA's signals, found whatever surrounds them.

This is the one place that knows how signals are spelt. `LineReader` turns the bytes of a
console into lines, `signals` finds the signals of a line and gives them types.
"""

import codecs
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, get_args

from attrs import frozen

from callboard.actors.wire import unescape
from callboard.events import CallName, Result

LONGEST_LINE = 65_536
"""Characters after which a line without an end is cut, so that memory stays bounded."""

_LONGEST_SIGNAL = 8_192
_SIGNAL = re.compile(
    r"<LAVA_SIGNAL_(?P<signal>\S+) (?P<words>[^>]+)>"
    r"|<LAVA_SIGNAL_(?P<bare>\S+)>"
    r"|<LAVA_MULTI_NODE> <LAVA_(?P<call>\S+) (?P<arguments>[^>]+)>"
    r"|<LAVA_TEST_RUNNER (?P<runner>EXIT|INSTALL_FAIL)>"
    r"|<LAVA_INSTALL_ERROR (?P<suite>\S+) (?P<error>[^>]+)>"
    r"|<LAVA_SHELL_STATUS (?P<token>\d+) (?P<status>\d+)>"
)
_COLOUR = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@frozen
class RunStarted:
    """A test definition begins."""

    suite: str
    uuid: str


@frozen
class RunEnded:
    """A test definition has reached its end."""

    suite: str
    uuid: str


@frozen
class CaseStarted:
    """The output of a test case begins."""

    case: str


@frozen
class CaseEnded:
    """The output of a test case ends."""

    case: str


@frozen
class CaseResult:
    """A test case has a result."""

    case: str
    result: Result
    measurement: float | None = None
    units: str | None = None


@frozen
class CaseReference:
    """A test case has a result that is kept elsewhere."""

    case: str
    result: Result
    reference: str


@frozen
class SetStarted:
    """The following cases belong to the test set `name`."""

    name: str


@frozen
class SetStopped:
    """The open test set ends."""


@frozen
class Raised:
    """The test asks for the end of the job."""

    text: str


@frozen
class FeedbackAsked:
    """The test wants the output of another namespace's connection read."""

    namespace: str


@frozen
class Noted:
    """The test wants a line of level `event` in the log."""

    text: str


@frozen
class ApiCall:
    """A MultiNode helper calls."""

    call: CallName
    id: str
    role: str | None = None
    data: Mapping[str, str] | None = None


@frozen
class CallGivenUp:
    """A MultiNode helper ends without the answer that it has waited for."""

    call: CallName
    id: str
    role: str | None = None


@frozen
class RunnerExited:
    """The runner has come to its end."""


@frozen
class InstallFailed:
    """The install section of a definition failed; the definition is not run."""


@frozen
class InstallError:
    """Why the installation of the definition `suite` failed; `InstallFailed` follows."""

    suite: str
    text: str


@frozen
class CommandEnded:
    """The shell has run the command numbered `token`."""

    token: int
    status: int


@frozen
class Malformed:
    """A signal that makes no sense; `fatal` when it ends the test (LAVA: TestError)."""

    text: str
    fatal: bool


Signal = (
    RunStarted
    | RunEnded
    | CaseStarted
    | CaseEnded
    | CaseResult
    | CaseReference
    | SetStarted
    | SetStopped
    | Raised
    | FeedbackAsked
    | Noted
    | ApiCall
    | CallGivenUp
    | RunnerExited
    | InstallError
    | InstallFailed
    | CommandEnded
    | Malformed
)


class LineReader:
    """Turns the bytes of a console into lines of text.

    A line ends at a line feed; carriage returns before it are dropped. A partial line is taken
    as a line when it holds a whole signal, so that nothing waits for the line feed, and when it
    is longer than `LONGEST_LINE`; then it is cut so that a signal at its end stays whole.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._partial = ""

    def feed(self, data: bytes) -> list[str]:
        """The lines that `data` completes; empty `data` is the end and completes the last one."""
        *lines, rest = (self._partial + self._decoder.decode(data, final=not data)).split("\n")
        while len(rest) > LONGEST_LINE:
            cut = rest.rfind("<", LONGEST_LINE - _LONGEST_SIGNAL, LONGEST_LINE)
            cut = LONGEST_LINE if cut < 0 else cut
            lines.append(rest[:cut])
            rest = rest[cut:]
        if rest and (not data or (rest.rstrip().endswith(">") and _SIGNAL.search(_plain(rest)))):
            lines.append(rest)
            rest = ""
        self._partial = rest
        return [line.rstrip("\r") for line in lines]


def signals(line: str) -> Iterator[Signal]:
    """The signals in a line of output, in order, without regard to what surrounds them."""
    if "<LAVA_" not in line:
        return
    for match in _SIGNAL.finditer(_plain(line)):
        if (name := match["signal"] or match["bare"]) is not None:
            yield _test_signal(name, match["words"] or "")
        elif (call := match["call"]) is not None:
            yield _api_call(call, match["arguments"])
        elif (runner := match["runner"]) is not None:
            yield RunnerExited() if runner == "EXIT" else InstallFailed()
        elif (suite := match["suite"]) is not None:
            yield InstallError(suite, match["error"])
        else:
            yield CommandEnded(int(match["token"]), int(match["status"]))


def _plain(line: str) -> str:
    return _CONTROL.sub("", _COLOUR.sub("", line)) if not line.isprintable() else line


def _test_signal(name: str, text: str) -> Signal:
    parse = _TEST_SIGNALS.get(name)
    if parse is None:
        return Malformed(f"unknown signal {name}", fatal=False)
    parsed = parse(text)
    return parsed or Malformed(f"signal {name} doesn't fit its form: {text!r}", fatal=False)


def _case_result(text: str) -> Signal | None:
    words = dict(word.split("=", 1) for word in text.split() if "=" in word)
    case, result = words.get("TEST_CASE_ID"), _result(words.get("RESULT", ""))
    if case is None or result is None or len(words) != len(text.split()):
        return None
    try:
        measurement = float(words["MEASUREMENT"]) if "MEASUREMENT" in words else None
    except ValueError:
        return None
    if measurement is not None and not math.isfinite(measurement):
        return None
    return CaseResult(case, result, measurement, words.get("UNITS"))


def _reference(text: str) -> Signal:
    match text.split():
        case [name, word, reference] if (result := _result(word)) is not None:
            return CaseReference(name, result, reference)
        case _:
            return Malformed(f"a test reference needs ID, result and URL, not {text!r}", fatal=True)


def _test_set(text: str) -> Signal | None:
    match text.split():
        case ["START", name]:
            return SetStarted(name)
        case ["STOP"]:
            return SetStopped()
        case _:
            return None


def _words(make: Callable[..., Signal], count: int) -> Callable[[str], Signal | None]:
    def parse(text: str) -> Signal | None:
        words = text.split()
        return make(*words) if len(words) == count else None

    return parse


def _result(word: str) -> Result | None:
    return next((result for result in get_args(Result) if result == word.lower()), None)


_TEST_SIGNALS: Mapping[str, Callable[[str], Signal | None]] = {
    "STARTRUN": _words(RunStarted, 2),
    "ENDRUN": _words(RunEnded, 2),
    "STARTTC": _words(CaseStarted, 1),
    "ENDTC": _words(CaseEnded, 1),
    "TESTCASE": _case_result,
    "TESTREFERENCE": _reference,
    "TESTSET": _test_set,
    "TESTRAISE": Raised,
    "TESTFEEDBACK": _words(FeedbackAsked, 1),
    "TESTEVENT": Noted,
}

_CALLS: Mapping[str, Literal["wait", "wait-all", "sync"]] = {
    "WAIT": "wait",
    "WAIT_ALL": "wait-all",
    "SYNC": "sync",
}
_KEY = re.compile(r"\s+(?=\w+=)", re.ASCII)
_WHITE_SPACE = re.compile(r"\s+", re.ASCII)  # what is beyond ASCII belongs to the value


def _api_call(name: str, text: str) -> Signal:
    """One call; the words of a send are split where a key begins (LAVA: lava-send)."""
    match name, _WHITE_SPACE.split(text.strip(" ")):
        case "SEND", [_, *_]:
            message_id, *pairs = _KEY.split(text.strip(" "))
            data = dict(pair.split("=", 1) for pair in pairs)
            return ApiCall(
                "send",
                unescape(message_id),
                data={key: unescape(value) for key, value in data.items()},
            )
        case ("WAIT" | "SYNC") as call, [message_id]:
            return ApiCall(_CALLS[call], unescape(message_id))
        case "WAIT_ALL", [message_id]:
            return ApiCall("wait-all", unescape(message_id))
        case "WAIT_ALL", [message_id, role]:
            return ApiCall("wait-all", unescape(message_id), unescape(role))
        case "GIVE_UP", ["WAIT" | "SYNC" | "WAIT_ALL" as call, message_id, *roles]:
            role = unescape(roles[0]) if roles else None
            return CallGivenUp(_CALLS[call], unescape(message_id), role)
        case "SEND" | "WAIT" | "SYNC" | "WAIT_ALL", _:
            return Malformed(f"LAVA_{name} has too many or too few words: {text!r}", fatal=True)
        case _:
            return Malformed(f"unknown MultiNode call LAVA_{name}", fatal=False)

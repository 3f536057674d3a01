"""Which signals the items of a program may send."""

from collections.abc import Sequence

from callboard.actors import signals
from callboard.actors.signals import Signal
from callboard.flow.program import Call, Command, Item, Scope, Word, walk


class Claims:
    """What the items of a program may say."""

    def __init__(self, items: Sequence[Item]) -> None:
        words: dict[Word, None] = {}
        for item in walk(items):
            match item:
                case Call(id=word) | Scope(case=Word() as word) | Command(report=[_, word, *_]):
                    words[word] = None
                case _:
                    pass
        self._texts = {word.text for word in words}
        self._gapped = [word for word in words if word.text is None]

    def has(self, signal: Signal) -> bool:
        """Whether an item may send a signal; the runner's own is nobody else's."""
        match signal:
            case (
                signals.ApiCall(id=name)
                | signals.CaseStarted(case=name)
                | signals.CaseEnded(case=name)
                | signals.CaseResult(case=name)
                | signals.CaseReference(case=name)
            ):
                pass
            case _:
                return isinstance(signal, signals.CommandEnded)
        return name in self._texts or any(word.may_be(name) for word in self._gapped)


def made(call: Call, signal: Signal) -> bool:
    """Whether a signal may be the one that a call sends."""
    if not isinstance(signal, signals.ApiCall) or signal.call != call.call:
        return False
    if call.role is not None and not (signal.role is not None and call.role.may_be(signal.role)):
        return False
    return call.id.may_be(signal.id)


def reports(report: Sequence[Word], signal: Signal) -> bool:
    """Whether a signal is the one that a helper sends."""
    match [word.text for word in report]:
        case ["lava-test-case", _, *_]:
            return isinstance(signal, signals.CaseResult) and report[1].may_be(signal.case)
        case ["lava-test-reference", _, *_]:
            return isinstance(signal, signals.CaseReference) and report[1].may_be(signal.case)
        case ["lava-test-set", "start", *_]:
            return isinstance(signal, signals.SetStarted)
        case ["lava-test-set", "stop", *_]:
            return isinstance(signal, signals.SetStopped)
        case _:
            return False

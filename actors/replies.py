"""What a node's helper is told when its call is answered; `lava-multinode-functions` reads it."""

from collections.abc import Iterator

from callboard.actors.messages import Call, Granted, Refused
from callboard.actors.wire import escape

_LONGEST_WORDS_BYTES = 900
"""Of a longer call the answer doesn't say whose it is: its line would be cut on the way."""

_LONGEST_REASON = 180
"""Characters of a reason that fit a line, even if each of them is escaped."""


def reply_lines(call: Call, answer: Granted | Refused) -> Iterator[str]:
    """The answer to a call: whose it is, a line a datum, the completion.

    No line is longer than `wire.LONGEST_LINE_BYTES`; of a long reason the log has the rest.
    """
    api = call.call.replace("-", "_").upper()
    words = " ".join([api, *map(escape, filter(None, (call.id, call.role)))])
    whose = f"<LAVA_ANSWER {words}>" if len(words.encode()) < _LONGEST_WORDS_BYTES else ""
    match answer:
        case Granted() if answer.lines:
            yield from [whose] if whose else []
            yield from answer.lines
            yield f"<LAVA_{api}_COMPLETE>"
        case Granted():
            yield f"{whose}<LAVA_{api}_COMPLETE>"  # one line, for each costs time
        case Refused(reason):
            yield from [whose] if whose else []
            yield f"<LAVA_{api}_COMPLETE nack {escape(reason[:_LONGEST_REASON])}>"

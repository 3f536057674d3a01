"""The chart of a proof: its run in logical time, and why it gets stuck."""

from collections import Counter
from collections.abc import Sequence

from callboard.flow.drawing.chart import Chart, Column, Span
from callboard.flow.program import Call, Program, Unseen
from callboard.flow.proof import Passage, Proof


def charting(name: str, programs: Sequence[Program], proof: Proof) -> Chart:
    """The chart of the run that a proof has found.

    Args:
        name: The name of the job.
        programs: What was proved.
        proof: What came out.
    """
    run = proof.run
    columns, index = _columns(programs, proof)
    order = sorted(range(len(run.passages)), key=lambda each: (run.passages[each].began, each))
    place = {passage: at for at, passage in enumerate(order)}
    spans = []
    for each in order:
        passage = run.passages[each]
        released_by = tuple(sorted(place[by] for by in passage.released_by if by != each))
        column = index[passage.part, passage.thread]
        spans.append(_span(passage, column, released_by, _failure(proof, passage)))
    # A choice that is in doubt is told by the ways that it has.
    told = {(part.role, choice.where) for part in run.parts for choice, _ in part.taken}
    notes = tuple(each.text for each in proof.doubts if (each.role, each.where) not in told)
    return Chart(name, "step", proof.outcome, columns, tuple(spans), notes=notes)


def _columns(
    programs: Sequence[Program], proof: Proof
) -> tuple[tuple[Column, ...], dict[tuple[int, int], int]]:
    """The columns, and the index of each by part and thread."""
    run = proof.run
    counts = {program.role: program.count for program in programs}
    ways = Counter(part.role for part in run.parts)
    lanes: dict[int, set[int]] = {part: {0} for part in range(len(run.parts))}
    for passage in run.passages:
        lanes[passage.part].add(passage.thread)
    columns: list[Column] = []
    index: dict[tuple[int, int], int] = {}
    for number, part in enumerate(run.parts):
        alone = ways[part.role] == 1
        taken = tuple(
            f"takes way {way + 1} of `{choice.condition}` ({choice.where.file}:{choice.where.line})"
            for choice, way in part.taken
        )
        for lane, thread in enumerate(sorted(lanes[number])):
            index[number, thread] = len(columns)
            columns.append(
                Column(
                    part.role,
                    counts.get(part.role, 1) if alone else 1,
                    way=None if alone else part.way + 1,
                    lane=lane,
                    taken=taken if lane == 0 else (),
                )
            )
    return tuple(columns), index


def _span(passage: Passage, column: int, released_by: tuple[int, ...], failure: str | None) -> Span:
    match passage.call:
        case Call() as call:
            return Span(
                column,
                call.call,
                str(call.id),
                call.shown,
                passage.began,
                passage.ended,
                call.where,
                _keys(call),
                released_by,
                failure=failure,
                deploys=call.deploys,
            )
        case Unseen() as unseen:
            label = f"? {unseen.reason}"
            return Span(column, None, "", label, passage.began, passage.ended, unseen.where)


def _keys(call: Call) -> tuple[str, ...]:
    """The keys that are worth showing: those of a VLAN's message are always the same."""
    sends = call.call == "send" and not call.deploys
    return tuple(key for key, _ in call.data) if sends else ()


def _failure(proof: Proof, passage: Passage) -> str | None:
    call = passage.call
    if isinstance(call, Unseen):
        return None
    if call.refused is not None:
        return f"fails at once: {call.reason or f'its {call.refused} is wrong'}"
    if passage.ended is not None:
        return None
    role = proof.run.parts[passage.part].role
    for stuck in (*proof.stuck, *proof.witness):
        if (stuck.role, stuck.call) == (role, call):
            return f"never returns: {stuck.reason}"
    return "never returns"

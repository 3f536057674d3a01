"""`callboard simulate`: rehearses a group in virtual time."""

from collections.abc import Sequence
from typing import get_args

import click
from attrs import evolve

from callboard.actors.support import MOST_NODES
from callboard.cli.application import output, verb
from callboard.cli.fetching import fetched, fetching
from callboard.cli.gate import refused
from callboard.cli.inputs import definition
from callboard.cli.options import file, flag
from callboard.cli.output import Output, Refusal, refusal
from callboard.cli.rehearsal import Replay
from callboard.cli.scenario import Hearing, is_scenario, refuse_unfit
from callboard.cli.session import Session
from callboard.definition import Definition, DefinitionError, Diagnostic
from callboard.definition.split import scaled
from callboard.flow.check import check
from callboard.flow.extraction import extract
from callboard.flow.proof import Semantics
from callboard.simulation import (
    Faults,
    Model,
    Seeds,
    SeedsError,
    cast_of,
    parse_seeds,
    read_faults,
    read_model,
    validate,
)
from callboard.simulation.crew import RehearsalBroke
from callboard.simulation.production import unrehearsed
from callboard.simulation.recording import read_recording
from callboard.simulation.trial import Scale, Stage
from callboard.sources import Policy


@verb("simulate")
@click.argument("file", type=click.Path())
@click.option("--seed", metavar="N", help="Decides what is left to chance.  [default: 0]")
@click.option("--seeds", metavar="A..B", help="Rehearse with each, and tell the outcomes apart.")
@click.option(
    "--scale", metavar="ROLE=N", multiple=True, help="Give a role N nodes; can be repeated."
)
@file("model", "How long things take, and how they end.", "model_file")
@file("faults", "What goes wrong.", "faults_file")
@click.option(
    "--replay",
    metavar="RUN_DIR",
    type=click.Path(),
    help="Take durations and outcomes from a real run.",
)
@click.option("--every-fault", is_flag=True, help="Kill each node at each call in turn.")
@click.option(
    "--shrink", "shrinks", is_flag=True, help="Drop faults and nodes that a failure doesn't need."
)
@click.option("--verify", "verifies", is_flag=True, help="Prove that nothing but the seed decides.")
@click.option("--trace", metavar="FILE", type=click.Path(), help="Where to write the event log.")
@flag("no-check", "Rehearse it even if the check has found that it can't finish.")
@click.option(
    "--semantics",
    type=click.Choice(get_args(Semantics)),
    default="documented",
    show_default=True,
    envvar="CALLBOARD_SEMANTICS",
    help="The protocol as LAVA documents it, or as its coordinator behaves.",
)
@fetching
def command(
    file: str,
    seed: str | None,
    seeds: str | None,
    scale: tuple[str, ...],
    model_file: str | None,
    faults_file: str | None,
    replay: str | None,
    every_fault: bool,
    shrinks: bool,
    verifies: bool,
    trace: str | None,
    no_check: bool,
    semantics: Semantics,
    allow_local: bool,
    fetch_timeout: float,
    json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Rehearse the group that the definition FILE describes, in virtual time.

    The same actors run as in a real run, on simulated devices; a seed decides all that is left to
    chance, so it can be repeated.

    A FILE called *.scenario.yaml names a definition and what is expected of its rehearsals: that is
    compared, and the exit code is 0 if it holds with every seed, else 1.

    Exit codes: 0 all is well; 1 a test case, definition or call failed; 2 the definition, another
    file or the command line is wrong; 3 a job is incomplete; 4 a wait was given up as hopeless, or
    the check has found that it can't finish; 130 interrupted. Of several seeds the worst.
    """
    said = output(json, quiet, verbose, color)
    modes = {"--every-fault": every_fault, "--shrink": shrinks, "--verify": verifies}
    chosen = _seeds(seed, seeds)
    if is_scenario(file):
        refuse_unfit()
        others = None if seed is None and seeds is None else chosen
        return Hearing.load(file, others, Policy(allow_local, fetch_timeout), said).judge(trace)
    _refuse_mixed([name for name, given in modes.items() if given], seeds, trace)
    found, _ = definition(file, said)
    if errors := unrehearsed(found):
        raise Refusal(*errors)
    counts = _scale(scale)
    grown = _scaled(found, counts)
    found = fetched(found, Policy(allow_local, fetch_timeout), said)
    grown = evolve(found, roles=grown.roles)
    model, faults = _chances(grown, model_file, faults_file, said)
    stage = _stage(Stage(found, model, faults, counts, semantics), replay)

    def accepts(counts: Scale) -> bool:
        group = scaled(found, dict(counts))
        return no_check or check(group, semantics).outcome != "deadlocks"

    if not no_check:
        verdict = check(grown, semantics)
        if verdict.outcome == "deadlocks":
            raise refused(verdict)
    options = _options(model_file, faults_file, replay, semantics, no_check, allow_local)
    session = Session(stage, chosen, Replay(file, counts, options), said, faults_file)
    try:
        if verifies:
            return session.verify()
        if every_fault:
            return session.kill_each()
        if shrinks:
            return session.shrink(accepts)
        if seeds is not None:
            return session.search()
        return session.rehearse(trace)
    except RehearsalBroke as error:
        if said.verbosity > 1:
            said.note(error.details)
        hint = f"this is a fault of callboard; {session.replay.seed(error.seed)} shows it again"
        raise refusal("CB109", str(error), hint, exit_code=3) from error


def _seeds(seed: str | None, seeds: str | None) -> Seeds:
    if seed is not None and seeds is not None:
        raise refusal("CB104", "--seed and --seeds can't both be given", "leave one out")
    try:
        found = parse_seeds(seeds or seed or "0")
    except SeedsError as error:
        raise refusal("CB209", str(error), error.hint) from error
    if seed is not None and len(found) > 1:
        raise refusal("CB209", f"--seed takes one seed, not `{seed}`", f"write --seeds {seed}")
    return found


def _refuse_mixed(modes: Sequence[str], seeds: str | None, trace: str | None) -> None:
    if len(modes) > 1:
        text = f"{' and '.join(modes)} can't be given together"
        raise refusal("CB104", text, "do one after the other")
    if modes == ["--every-fault"] and seeds is not None:
        raise refusal("CB104", "--every-fault takes one seed", "write --seed N")
    if trace is not None and (modes or seeds is not None):
        text = f"--trace is of one rehearsal, and {modes[0] if modes else '--seeds'} makes many"
        raise refusal("CB104", text, "give it with --seed N")


def _scale(texts: Sequence[str]) -> Scale:
    found: dict[str, int] = {}
    for text in texts:
        role, sign, number = text.rpartition("=")
        if not sign or not role:
            hint = "write for instance --scale client=100"
            raise refusal("CB104", f"--scale {text} names no role and its number of nodes", hint)
        if not number.isdecimal() or not number.isascii():
            hint = "it is a whole number, from 0"
            raise refusal("CB104", f"--scale {text}: `{number}` is no number of nodes", hint)
        if len(number) > 9 or int(number) > MOST_NODES:
            raise Refusal(_too_many(f"--scale {text}"))
        found[role] = int(number)
    return tuple(found.items())


def _scaled(found: Definition, counts: Scale) -> Definition:
    try:
        grown = scaled(found, dict(counts)) if counts else found
    except DefinitionError as error:
        raise Refusal(*error.diagnostics) from error
    if grown.size > MOST_NODES:
        raise Refusal(_too_many(f"the group with {grown.size:,} nodes"))
    if not grown.size:
        raise refusal("CB104", "no node is left to rehearse with", "give a role more with --scale")
    return grown


def _too_many(what: str) -> Diagnostic:
    message = f"{what} is too large; {MOST_NODES:,} nodes can be rehearsed at once"
    hint = "`callboard check` and `callboard flow` take groups of any size"
    return Diagnostic("CB052", "error", message, hint=hint)


def _chances(
    grown: Definition, model_file: str | None, faults_file: str | None, said: Output
) -> tuple[Model, Faults]:
    """How long things take and what goes wrong; all mistakes in these are told at once."""
    model, of_model = (Model(), ()) if model_file is None else read_model(model_file)
    faults, of_faults = (Faults(), ()) if faults_file is None else read_faults(faults_file)
    diagnostics = [*of_model, *of_faults]
    cast = cast_of(grown, extract(grown).programs)
    for each in (model, faults):
        if each is not None:
            diagnostics += validate(each, cast)
    if model is None or faults is None or any(each.severity == "error" for each in diagnostics):
        raise Refusal(*diagnostics)
    said.diagnostics(diagnostics)
    return model, faults


def _stage(stage: Stage, run: str | None) -> Stage:
    """The stage, with the recording of a run if there is one."""
    if run is None:
        return stage
    try:
        stage = evolve(stage, recording=read_recording(run))
        stage.rehearsal()
    except DefinitionError as error:
        raise Refusal(*error.diagnostics) from error
    return stage


def _options(
    model: str | None,
    faults: str | None,
    replay: str | None,
    semantics: Semantics,
    no_check: bool,
    allow_local: bool,
) -> tuple[str, ...]:
    """The options that a rehearsal depends on, as one types them."""
    words = [] if model is None else ["--model", model]
    words += [] if faults is None else ["--faults", faults]
    words += [] if replay is None else ["--replay", replay]
    words += [] if semantics == "documented" else ["--semantics", semantics]
    words += ["--no-check"] if no_check else []
    words += ["--allow-local"] if allow_local else []
    return tuple(words)

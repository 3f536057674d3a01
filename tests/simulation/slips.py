"""Models, faults and scenarios with one thing wrong, `¶` at the place of the diagnostic."""

from collections.abc import Callable
from typing import Any

from attrs import frozen

from callboard.definition import Diagnostic

HERE = "¶"


@frozen
class Slip:
    """A file with one thing wrong.

    Attributes:
        marked: Its text, `¶` at the place of the diagnostic.
        codes: All codes that come of it, that of `¶` first.
        message: A part of the message.
        hint: A part of the hint.
    """

    marked: str
    codes: str
    message: str = ""
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.codes} {self.message or self.marked}"

    @property
    def text(self) -> str:
        return self.marked.replace(HERE, "")


def check(
    slip: Slip, read: Callable[[str, str], tuple[Any, tuple[Diagnostic, ...]]], file: str
) -> None:
    """See that a slip is found where it is, and nothing else is."""
    found, diagnostics = read(slip.text, file)
    assert (found is None) == any(each.severity == "error" for each in diagnostics)
    matched(slip, diagnostics, file)


def matched(slip: Slip, diagnostics: tuple[Diagnostic, ...], file: str) -> None:
    """See that the diagnostics are those of the slip."""
    before = slip.marked.partition(HERE)[0]
    first, *others = slip.codes.split()
    assert sorted(d.code for d in diagnostics) == sorted([first, *others]), diagnostics
    here = next(d for d in diagnostics if d.code == first and slip.message in d.message)
    assert here.place is not None
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    assert (here.place.file, here.place.line, here.place.column) == (file, line, column)
    assert slip.hint in (here.hint or "")
    for sentence in (here.message, here.hint or "x"):
        assert "\n" not in sentence
        assert not sentence.endswith(".")
        assert sentence[0] == sentence[0].lower() or sentence.startswith("YAML")


def takes(value: str, codes: str, message: str = "", hint: str = "") -> Slip:
    """A rule whose time is wrong."""
    return Slip(f"actions: [{{action: boot*, takes: {value}}}]", codes, message, hint)


def ways(value: str, codes: str, message: str = "", hint: str = "") -> Slip:
    """A rule for a condition, its ways wrong."""
    return Slip(f"conditions: [{{condition: test -f x, {value}}}]", codes, message, hint)


def transfers(value: str, codes: str, message: str = "", hint: str = "") -> Slip:
    """A rule for a step, what it transfers wrong."""
    return Slip(f"steps: [{{step: x, transfers: {value}}}]", codes, message, hint)


MODEL = [
    Slip("¶", "CB014", "the file is empty", "write for instance `actions:"),
    Slip("¶- a", "CB014", "a list, not a map"),
    Slip("¶action: []", "CB025", "no use for `action`", "did you mean `actions`?"),
    Slip("actions: ¶boot", "CB021", "`actions` of the model must be a list"),
    Slip("actions: [¶boot]", "CB021", "each item of `actions` must be a map"),
    Slip("actions: [¶{takes: 1}]", "CB020", "the rule for an action has no `action`"),
    Slip("actions: [¶{acton: x, takes: 1}]", "CB020", "", "rename `acton` to `action`"),
    Slip("actions: [{action: ¶'', takes: 1}]", "CB026", "is empty"),
    Slip("actions: [{action: ¶'  ', takes: 1}]", "CB026", "is empty"),
    Slip("actions: [{action: ¶12, takes: 1}]", "CB022", "must be text", 'quote it: "12"'),
    Slip("actions: [{action: x, takes: 1, role: ¶[a]}]", "CB021", "`role` of the rule for `x`"),
    Slip("actions: [¶{action: x}]", "CB204", "the rule for `x` has neither `takes` nor `fails`"),
    Slip("actions: [¶{action: x, take: 3}]", "CB204", "neither", "rename `take` to `takes`"),
    Slip("actions: [{action: x, takes: 3, ¶rol: a}]", "CB025", "", "did you mean `role`?"),
    Slip("actions: [{action: x, fails: ¶1.5}]", "CB203", "a probability from 0 to 1"),
    Slip("actions: [{action: x, fails: ¶-0.1}]", "CB203", "the number `-0.1`"),
    Slip("actions: [{action: x, fails: ¶5%}]", "CB203", "", "for 5 % write `0.05`"),
    Slip("actions: [{action: x, fails: ¶never}]", "CB203", "", "0 is never"),
    Slip("actions: [{action: x, fails: ¶yes}]", "CB203", "the truth value `yes`"),
    Slip("steps: [¶{takes: 1}]", "CB020", "the rule for a step has no `step`"),
    Slip("steps: [{step: x, takes: 1, test: ¶0}]", "CB022", "must be text", 'quote it: "0"'),
    takes("¶-3", "CB201", "`takes` of the rule for `boot*` is negative: the number `-3`"),
    takes("¶1000000001", "CB201", "too long", "the limit is 1,000,000,000 seconds"),
    takes("¶.inf", "CB200", "must be a number of seconds or a distribution"),
    takes("¶.nan", "CB200", "the number `.nan`"),
    takes("¶10s", "CB200", "the text `10s`", "seconds are written as a plain number: `10`"),
    takes("¶soon", "CB200", "the text `soon`", "or a distribution such as"),
    takes("¶~", "CB200", "but is empty"),
    takes("¶on", "CB200", "the truth value `on`"),
    takes("¶[1, 2]", "CB200", "but is a list", "such as `{uniform: [10, 20]}`"),
    takes("¶{}", "CB200", "names 0 distributions, not one"),
    takes("¶{uniform: [1, 2], normal: [1, 2]}", "CB200", "names 2 distributions"),
    takes("{¶unifrm: [1, 2]}", "CB200", "the distribution `unifrm`", "did you mean `uniform`?"),
    takes("{¶gamma: [1, 2]}", "CB200", "the distribution `gamma`", "there are `uniform`"),
    takes("{uniform: ¶~}", "CB202", "is empty", "`uniform` takes [low, high]"),
    takes("{uniform: ¶3}", "CB202", "the number `3`", "`uniform` takes [low, high]"),
    takes("{uniform: ¶[3]}", "CB202", "has 1 value", "`uniform` takes [low, high]"),
    takes("{uniform: ¶{low: 3}}", "CB202", "a map", "`uniform` takes [low, high]"),
    takes("{uniform: [1, ¶x]}", "CB202", "needs numbers, but has the text `x`"),
    takes("{uniform: [¶-1, 2]}", "CB201", "is negative"),
    takes("{uniform: [2, ¶1]}", "CB202", "has a low above its high"),
    takes("{normal: [10, ¶-1]}", "CB201", "is negative"),
    takes("{normal: ¶[10]}", "CB202", "has 1 value", "takes [mean, deviation]"),
    takes("{exponential: ¶[1, 2]}", "CB202", "has 2 values", "takes one number, the mean"),
    takes("{triangular: ¶[1, 2]}", "CB202", "has 2 values", "takes [low, mode, high]"),
    takes("{triangular: [1, 4, ¶3]}", "CB202", "has a mode above its high"),
    Slip("latency: ¶-1", "CB201", "`latency` of the model is negative"),
    Slip("conditions: [¶{ways: [1]}]", "CB020", "the rule for a condition has no `condition`"),
    Slip("conditions: [¶{condition: x}]", "CB204", "neither `ways` nor `way`"),
    ways("ways: [1], ¶way: 1", "CB205", "has both `ways` and `way`"),
    ways("ways: ¶1", "CB205", "must be a list of weights", "or `way: 1`"),
    ways("ways: ¶[]", "CB205", "but is a list of 0"),
    ways("ways: ¶[0, 0]", "CB205", "are all 0"),
    ways("ways: [¶-1, 2]", "CB205", "has a weight that is the number `-1`"),
    ways("ways: [¶a, 2]", "CB205", "has a weight that is the text `a`"),
    ways("way: ¶0", "CB205", "must be 1 or more"),
    ways("way: ¶first", "CB205", "must be a whole number"),
    transfers("¶3", "CB021", "`transfers` of the rule for `x` must be a map"),
    transfers("¶{size: 1MB}", "CB020", "has no `to`"),
    transfers("¶{to: a}", "CB020", "has no `size`", "write for instance `size: 10MB`"),
    transfers("{to: a, size: ¶10MX}", "CB260", "a size such as `10MB`", "units are B, kB"),
    transfers("{to: a, size: ¶0}", "CB260", "must be from 1 byte"),
    transfers("{to: a, size: 1, ¶from: b}", "CB025", "no use for `from`"),
    Slip("steps: [¶{step: x}]", "CB204", "neither `takes` nor `fails` nor `transfers`"),
    Slip("links: ¶{}", "CB021", "`links` of the model must be a list"),
    Slip("links: [{role: a, delay: ¶soon}]", "CB260", "a duration such as `20ms`"),
    Slip("links: [¶{delay: 1ms}]", "CB261", "neither `role` nor `between`"),
    Slip("links: [{role: a, delay: 1ms, ¶jitter: 2ms}]", "CB262", "longer than `delay`"),
    Slip("loops: [¶{loop: x}]", "CB020", "the rule for `x` has no `turns`"),
    Slip("loops: [{loop: x, turns: ¶-1}]", "CB201", "is negative"),
]


def fault(text: str, codes: str, message: str = "", hint: str = "") -> Slip:
    """One fault that is wrong."""
    return Slip(f"faults:\n- {text}\n", codes, message, hint)


def moment(text: str, codes: str, message: str = "", hint: str = "") -> Slip:
    """A fault whose moment is wrong."""
    return fault(f"{{kill: client, at: {text}}}", codes, message, hint)


def target(text: str, codes: str, message: str = "", hint: str = "") -> Slip:
    """A fault whose target is wrong."""
    return fault(f"{{kill: {text}, at: {{time: 3}}}}", codes, message, hint)


FAULTS = [
    Slip("¶", "CB014", "the file is empty", "faults: [{kill: client"),
    Slip("¶fault: []", "CB020", "the faults file has no `faults`", "rename `fault`"),
    Slip("faults: ¶kill", "CB021", "must be a list"),
    Slip("faults: []\n¶seeds: 3", "CB025", "no use for `seeds`"),
    fault("¶kill", "CB021", "each item of `faults` must be a map"),
    fault("¶{}", "CB208", "does not say what happens", "it can be `kill`"),
    fault("¶{kil: client}", "CB208", "does not say what happens", "did you mean `kill`?"),
    fault("{kill: a, ¶hang: b}", "CB208", "names `kill` and `hang`"),
    fault("¶{kill: client}", "CB020", "the fault `kill` has no `at`", "write for instance"),
    fault("{kill: a, at: {time: 1}, ¶for: 3}", "CB025", "no use for `for`"),
    moment("¶12", "CB207", "must be a map", "write `{time: 12}`"),
    moment("¶boot", "CB207", "must be a map", "write for instance `{time: 30}`"),
    moment("¶{}", "CB207", "names no moment"),
    moment("¶{tme: 3}", "CB207", "names no moment", "did you mean `time`?"),
    moment("{time: 1, ¶step: x}", "CB207", "names `time` and `step`", "one fault for each"),
    moment("{time: ¶-1}", "CB201", "is negative"),
    moment("{time: ¶soon}", "CB200", "must be a number of seconds"),
    moment("{step: ¶''}", "CB026", "is empty"),
    moment("{step: x, occurrence: ¶0}", "CB207", "must be 1 or more"),
    moment("{time: 1, ¶occurrence: 2}", "CB025", "no use for `occurrence`"),
    target("¶''", "CB026", "`kill` of the fault `kill` is empty"),
    target("¶1", "CB022", "must be text"),
    target("¶[]", "CB206", "is empty", "write a role"),
    target("[¶[a]]", "CB206", "each item of `kill` must be a role, but is a list"),
    target("¶{}", "CB206", "names no node"),
    target("¶{rol: a}", "CB206 CB025", "names no node"),
    target("{role: a, node: ¶0}", "CB206", "must be 1 or more"),
    target("{role: a, node: ¶first}", "CB206", "must be a whole number"),
    target("¶{any: a, node: 1}", "CB206", "both `any` and a role or node"),
    fault("¶{slow: a}", "CB020", "has no `factor`"),
    fault("{slow: a, factor: ¶0}", "CB023", "must be a number above 0"),
    fault("{slow: a, factor: ¶fast}", "CB023", "must be a number above 0"),
    fault("¶{lose: a}", "CB020", "has no `probability`"),
    fault("{duplicate: a, probability: ¶2}", "CB203", "from 0 to 1"),
    fault("{reorder: a, probability: ¶x}", "CB203", "from 0 to 1"),
    fault("¶{delay: a}", "CB020", "has no `by`"),
    fault("{delay: a, by: ¶-1}", "CB201", "is negative"),
    fault("{partition: a, for: ¶-1}", "CB201", "is negative"),
    fault("{cut: ¶{}}", "CB206", "names no node"),
    fault("{cut: {between: ¶[a]}}", "CB206", "must name two ends", "`{between: [client, server]}`"),
    fault("{cut: {between: ¶a}}", "CB206", "must name two ends"),
    fault("{cut: {between: [a, ¶[b]]}}", "CB206", "must be a role, but is a list"),
    fault("{cut: {between: [a, b], ¶role: c}}", "CB025", "no use for `role`"),
    fault("{cut: a, for: ¶-1}", "CB201", "is negative"),
    fault("¶{impair: a}", "CB020", "the fault `impair` has no `with`"),
    fault("{impair: a, with: ¶{}}", "CB262", "says nothing of the links"),
    fault("{impair: a, with: {rate: ¶10}}", "CB260", "", "write the unit: `10bit`"),
    fault("{impair: a, with: {cut: true, ¶loss: 1}}", "CB262", "`loss` and `cut: true`"),
    fault("{impair: a, with: {¶lag: 1, loss: 1}}", "CB025", "no use for `lag`"),
    fault("¶{heal: a}", "CB020", "the fault `heal` has no `at`"),
    fault("{heal: a, at: {time: 1}, ¶for: 1}", "CB025", "no use for `for`"),
    fault("{crash: ¶cordinator, at: {time: 1}}", "CB206", "", "write `crash: coordinator`"),
    fault("{crash: coordinator, at: ¶{step: x}}", "CB207", "must be a time"),
    fault("¶{crash: coordinator}", "CB020", "has no `at`"),
    fault("{refuse: a, times: ¶0}", "CB023", "must be 1 or more"),
    fault("{draw: ¶[], rate: 1, within: 1}", "CB026", "nothing to draw from"),
    fault("{draw: ¶kill, rate: 1, within: 1}", "CB021", "must be a list"),
    fault("{draw: [¶hnag], rate: 1, within: 1}", "CB024", "can't be drawn", "`hang`"),
    fault("{draw: [¶crash], rate: 1, within: 1}", "CB024", "can't be drawn", "it can be"),
    fault("{draw: [kill], rate: ¶2, within: 1}", "CB203", "from 0 to 1"),
    fault("{draw: [kill], rate: 1, within: ¶-1}", "CB201", "is negative"),
    fault("¶{draw: [kill], within: 1}", "CB020", "has no `rate`"),
    fault("¶{draw: [kill], rate: 1}", "CB020", "has no `within`"),
]


def scenario(text: str, codes: str, message: str = "", hint: str = "") -> Slip:
    """A scenario with a line that is wrong."""
    return Slip(f"definition: group.yaml\ncheck: completes\n{text}\n", codes, message, hint)


def seeds(text: str, message: str, hint: str = "") -> Slip:
    """A scenario whose seeds are wrong."""
    return scenario(f"seeds: ¶{text}", "CB209", message, hint)


def expect(text: str, codes: str, message: str = "", hint: str = "") -> Slip:
    """A scenario with an expectation that is wrong."""
    return scenario(f"expect: {{{text}}}", codes, message, hint)


SCENARIO = [
    Slip("¶", "CB014", "the file is empty", "definition: two-roles.yaml"),
    Slip("¶check: completes", "CB020", "the scenario has no `definition`"),
    Slip("definition: ¶none.yaml\ncheck: completes", "CB001", "no such file", "relative"),
    Slip("¶definition: group.yaml", "CB217", "expects nothing", "expect: {status: complete}"),
    Slip("definition: group.yaml\n¶expect: {}", "CB217", "expects nothing"),
    scenario("¶seed: 3", "CB025", "no use for `seed`", "did you mean `seeds`?"),
    scenario("model: ¶none.yaml", "CB001", "the file of `model` can't be used", "relative"),
    scenario("model: ¶[]", "CB021", "`model` must be a map"),
    scenario("model: ¶~", "CB026", "`model` of the scenario is empty"),
    scenario("model: {latency: ¶-1}", "CB201", "`latency` of `model` is negative"),
    scenario("faults: ¶none.yaml", "CB001", "the file of `faults` can't be used"),
    scenario("faults: ¶{kill: a}", "CB021", "`faults` of the scenario must be a list"),
    scenario("faults: [{kill: ¶1, at: {time: 1}}]", "CB022", "must be text"),
    scenario("devices: ¶none.yaml", "CB001", "the file of `devices` can't be used"),
    scenario("scale: ¶[]", "CB021", "`scale` must be a map"),
    scenario("scale: {client: ¶0}", "CB023", "`client` of `scale` must be 1 or more"),
    scenario("scale: {client: ¶many}", "CB021", "must be a whole number"),
    scenario("semantics: ¶lva", "CB024", "can't be `lva`", "`lava`"),
    Slip("definition: group.yaml\ncheck: ¶complete", "CB024", "`complete`", "`completes`"),
    seeds("many", "`many` is no seed", "write a whole number"),
    seeds("-1", "`-1` is no seed"),
    seeds("1.5", "can't be the number `1.5`"),
    seeds("1..x", "`x` is no seed"),
    seeds("9..1", "the seeds `9..1` are reversed", "write `1..9`"),
    seeds("1..99999999", "99,999,999 seeds; the limit is 10,000,000", "write `1..10000000`"),
    seeds("[]", "can't be a list"),
    seeds("[1, x]", "can't be a list"),
    seeds("[1, -5]", "`-5` is no seed"),
    seeds("{}", "can't be a map"),
    seeds("~", "can't be empty"),
    seeds("9223372036854775808", "is larger than"),
    expect("status: ¶complet", "CB024", "can't be `complet`", "`complete`"),
    expect("exit-code: ¶5", "CB023", "at most 4"),
    expect("health: ¶well", "CB024", "can't be `well`"),
    expect("health: {client: ¶cancelled}", "CB024", "", "did you mean `canceled`?"),
    expect("health: {client: {¶cancelled: 1}}", "CB024", "", "did you mean `canceled`?"),
    expect("health: {client: {complete: ¶-1}}", "CB023", "must be 0 or more"),
    expect("health: {client: ¶{}}", "CB026", "is empty"),
    expect("health: ¶[]", "CB021", "must be a map"),
    expect("errors: {client: ¶MultinodeTimout}", "CB024", "", "`MultinodeTimeout`"),
    expect("results: {client: {¶serve: pass}}", "CB215", "names no test case", "`suite/case`"),
    expect("results: {¶serve: pass}", "CB215", "names no test case", "`suite/case`"),
    expect("results: {client: {0_a/b: ¶passed}}", "CB024", "can't be `passed`", "`pass`"),
    expect("results: {client: ¶[]}", "CB021", "must be a map"),
    expect("hopeless: ¶client", "CB021", "must be a list"),
    expect("hopeless: [¶1]", "CB022", "must be text"),
    expect("order: [¶lava-wait]", "CB215", "a role and its call", "write `role: call`"),
    expect("order: [¶{a: x, b: y}]", "CB215", "a role and its call"),
    expect("duration: {at-least: ¶-5}", "CB201", "is negative"),
    expect("duration: {at-least: ¶5, at-most: 1}", "CB216", "no duration fits"),
    expect("duration: {¶at-mots: 1}", "CB025", "", "did you mean `at-most`?"),
]

"""Models, faults and scenarios: what is right is read, and what is wrong is found where it is."""

from pathlib import Path
from random import Random

import pytest
from tests.simulation.examples import GOOD_FAULTS, GOOD_MODEL, GOOD_SCENARIO
from tests.simulation.groups import GROUP
from tests.simulation.slips import FAULTS, MODEL, SCENARIO, Slip, check

from callboard.definition import Place
from callboard.definition.links import CUT, Conditions, Link
from callboard.simulation import (
    Model,
    read_faults,
    read_faults_text,
    read_model,
    read_model_text,
    read_scenario,
    read_scenario_text,
)
from callboard.simulation.distribution import Exponential, Fixed, Normal, Triangular, Uniform
from callboard.simulation.faults import (
    AtAction,
    AtCall,
    AtStep,
    AtTime,
    Crash,
    Cut,
    Delay,
    Draw,
    Duplicate,
    Faults,
    Hang,
    Heal,
    Impair,
    Kill,
    Lose,
    Partition,
    Reboot,
    Refuse,
    Reorder,
    Slow,
    Target,
)
from callboard.simulation.model import ActionRule, ConditionRule, LoopRule, StepRule, Transfer, Ways
from callboard.simulation.pattern import Pattern
from callboard.simulation.scenario import (
    ExpectedCall,
    ExpectedDuration,
    ExpectedError,
    ExpectedHealth,
    ExpectedHopeless,
    ExpectedResult,
    Scale,
    Scenario,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the good scenario names."""
    path = tmp_path_factory.mktemp("scenario")
    for name, text in (
        ("group.yaml", GROUP),
        ("devices.yaml", "devices: {a: {type: qemu}}"),
        ("model.yaml", GOOD_MODEL),
        ("faults.yaml", GOOD_FAULTS),
        ("good.scenario.yaml", GOOD_SCENARIO),
    ):
        (path / name).write_text(text)
    return path


def test_a_model_is_read_with_its_places(folder: Path) -> None:
    path = folder / "model.yaml"
    model, diagnostics = read_model(path)
    assert diagnostics == ()
    name = str(path)
    assert model == Model(
        actions=(
            ActionRule(
                Pattern("auto-login-action"),
                Place(name, 2, 12),
                "client",
                Uniform(10, 20),
                0.05,
            ),
            ActionRule(Pattern("boot*"), Place(name, 3, 12), None, Normal(30, 5)),
            ActionRule(Pattern("finalize"), Place(name, 4, 12), None, Fixed(0)),
        ),
        steps=(
            StepRule(
                Pattern("iperf3 -s *"),
                Place(name, 6, 10),
                Pattern("0_serve"),
                "server",
                Exponential(30),
                1.0,
            ),
            StepRule(Pattern("*"), Place(name, 7, 10), takes=Triangular(1, 2, 9.5)),
            StepRule(
                Pattern("iperf3 -c *"), Place(name, 8, 10), transfers=Transfer("server", 10_000_000)
            ),
        ),
        conditions=(
            ConditionRule(
                Pattern("[ -f /etc/flag ]"), Ways((0.3, 0.7)), Place(name, 10, 15), role="server"
            ),
            ConditionRule(
                Pattern("[ -f /etc/flag ]"), Ways((0.0, 1.0)), Place(name, 11, 15), Pattern("0_*")
            ),
        ),
        loops=(LoopRule(Pattern("! ping -c 1 server"), Uniform(1, 5), Place(name, 13, 10)),),
        latency=Fixed(0.001),
        links=(
            Link(
                ("client", "server"),
                Conditions(0.02, 0.005, 0.01, 10_000_000),
                Place(name, 16, 3),
            ),
            Link(("client",), Conditions(loss=0.5), Place(name, 17, 3)),
            Link(("client", "client"), CUT, Place(name, 18, 3)),
        ),
    )
    assert model.actions[0].places["fails"] == Place(name, 2, 80)


def test_faults_are_read_with_their_places() -> None:
    faults, diagnostics = read_faults_text(GOOD_FAULTS, "f")
    assert diagnostics == ()

    def place(line: int, column: int = 3) -> Place:
        return Place("f", line, column)

    def client(line: int, column: int) -> tuple[Target, ...]:
        return (Target("client", place(line, column)),)

    assert faults == Faults(
        (
            Kill(targets=client(2, 9), at=AtTime(Fixed(30), place(3, 14)), place=place(2)),
            Hang(
                targets=(Target("client", place(4, 10), 2),),
                at=AtCall(Pattern("lava-wait ready"), place(4, 46)),
                lasts=Fixed(10),
                place=place(4),
            ),
            Hang(
                targets=(
                    Target("server", place(5, 11)),
                    Target("client", place(5, 19), any=True),
                ),
                at=AtStep(Pattern("iperf3 *"), place(5, 46), 2),
                place=place(5),
            ),
            Reboot(
                targets=client(6, 12),
                at=AtAction(Pattern("auto-login-action"), place(6, 33)),
                place=place(6),
            ),
            Reboot(
                targets=client(7, 12),
                at=AtTime(Uniform(0, 60), place(7, 31)),
                takes=Fixed(20),
                place=place(7),
            ),
            Slow(targets=(Target("server", place(8, 10)),), factor=4, place=place(8)),
            Lose(targets=client(9, 10), probability=0.2, place=place(9)),
            Duplicate(
                targets=client(10, 15),
                probability=1,
                at=AtTime(Fixed(3), place(10, 50)),
                lasts=Fixed(4),
                place=place(10),
            ),
            Reorder(targets=client(11, 13), probability=0.5, place=place(11)),
            Delay(targets=client(12, 11), by=Uniform(0.5, 2), probability=0.1, place=place(12)),
            Delay(targets=client(13, 11), by=Fixed(1), place=place(13)),
            Partition(
                targets=client(14, 15),
                at=AtTime(Fixed(5), place(14, 34)),
                lasts=Fixed(10),
                place=place(14),
            ),
            Crash(at=AtTime(Fixed(12), place(15, 35)), lasts=Fixed(3), place=place(15)),
            Crash(at=AtTime(Fixed(12), place(16, 35)), place=place(16)),
            Refuse(targets=client(17, 12), times=1, place=place(17)),
            Refuse(targets=(Target("", place(18, 12), 1),), place=place(18)),
            Draw(
                kinds=("kill", "hang", "lose", "cut"),
                rate=0.05,
                within_s=60,
                role="client",
                place=place(19),
            ),
            Cut(
                targets=client(20, 9),
                at=AtCall(Pattern("lava-wait ready"), place(20, 28)),
                lasts=Fixed(5),
                place=place(20),
            ),
            Cut(
                targets=(Target("client", place(21, 20), 2),),
                between=(Target("server", place(21, 45)),),
                place=place(21),
            ),
            Impair(
                targets=(Target("client", place(22, 22), any=True),),
                between=(Target("server", place(22, 37)),),
                conditions=Conditions(loss=0.1, rate_bps=1_000_000),
                lasts=Uniform(1, 2),
                place=place(22),
            ),
            Impair(
                targets=(Target("client", place(25, 13)), Target("server", place(25, 21))),
                conditions=CUT,
                at=AtTime(Fixed(3), place(25, 60)),
                place=place(25),
            ),
            Heal(
                targets=client(26, 21),
                between=(Target("server", place(26, 29)),),
                at=AtTime(Fixed(9), place(26, 50)),
                place=place(26),
            ),
            Heal(
                targets=client(27, 10),
                at=AtStep(Pattern("iperf3 *"), place(27, 29)),
                place=place(27),
            ),
        )
    )


def test_a_scenario_is_read_with_all_that_it_names(folder: Path) -> None:
    path = folder / "good.scenario.yaml"
    scenario, diagnostics = read_scenario(path)
    assert diagnostics == ()
    assert scenario is not None
    name = str(path)
    assert scenario.definition == str(folder / "group.yaml")
    assert scenario.devices is not None
    assert [each.name for each in scenario.devices.devices] == ["a"]
    assert scenario.model == read_model(folder / "model.yaml")[0]
    assert scenario.faults == read_faults(folder / "faults.yaml")[0]
    assert scenario.scale == (Scale("client", 10, Place(name, 5, 17)),)
    assert scenario.counts == {"client": 10}
    assert scenario.seeds == range(1, 101)
    assert (scenario.semantics, scenario.check) == ("lava", "completes")
    expect = scenario.expect
    assert (expect.status, expect.exit_code) == ("complete", 0)
    assert expect.health == (
        ExpectedHealth("server", "complete", Place(name, 12, 20)),
        ExpectedHealth("client", {"complete": 9, "canceled": 1}, Place(name, 12, 38)),
    )
    assert expect.errors == (
        ExpectedError("client", "MultinodeTimeout", Place(name, 13, 20)),
        ExpectedError("server", None, Place(name, 13, 46)),
    )
    assert expect.results == (
        ExpectedResult("server", "0_serve", "multinode-send-ready", "pass", Place(name, 14, 52)),
        ExpectedResult(None, "0_use", "x/y", "fail", Place(name, 14, 70)),
    )
    assert expect.hopeless == (ExpectedHopeless("client", Place(name, 15, 14)),)
    assert expect.order == (
        ExpectedCall("server", Pattern("lava-send ready"), Place(name, 16, 11)),
        ExpectedCall("client", Pattern("lava-wait ready"), Place(name, 16, 38)),
    )
    assert expect.duration == ExpectedDuration(Place(name, 17, 13), 5, 120)


def test_model_and_faults_may_stand_in_the_scenario(folder: Path) -> None:
    text = (
        "definition: group.yaml\ncheck: completes\n"
        "model: {latency: 2}\nfaults: [{refuse: client}]\nseeds: [5, 3, 5]\n"
    )
    file = str(folder / "inline.scenario.yaml")
    scenario, diagnostics = read_scenario_text(text, file)
    assert diagnostics == ()
    assert scenario is not None
    assert scenario.model == Model(latency=Fixed(2))
    assert scenario.faults.rules == (
        Refuse(targets=(Target("client", Place(file, 4, 19)),), place=Place(file, 4, 10)),
    )
    assert scenario.seeds == (5, 3)


def test_a_scenario_with_a_definition_alone_has_defaults(folder: Path) -> None:
    text = "definition: group.yaml\nexpect: {health: complete, errors: ~, hopeless: []}\n"
    file = str(folder / "x.scenario.yaml")
    scenario, diagnostics = read_scenario_text(text, file)
    assert diagnostics == ()
    assert isinstance(scenario, Scenario)
    assert (scenario.seeds, scenario.semantics, scenario.check) == (range(1), "documented", None)
    assert (scenario.model, scenario.faults) == (Model(), Faults())
    assert scenario.expect.health == (ExpectedHealth(None, "complete", Place(file, 2, 18)),)
    assert scenario.expect.errors == (ExpectedError(None, None, Place(file, 2, 36)),)
    assert scenario.expect.hopeless == ()


@pytest.mark.parametrize("slip", MODEL, ids=str)
def test_a_slip_in_a_model_is_found_where_it_is(slip: Slip) -> None:
    check(slip, read_model_text, "model.yaml")


@pytest.mark.parametrize("slip", FAULTS, ids=str)
def test_a_slip_in_faults_is_found_where_it_is(slip: Slip) -> None:
    check(slip, read_faults_text, "faults.yaml")


@pytest.mark.parametrize("slip", SCENARIO, ids=str)
def test_a_slip_in_a_scenario_is_found_where_it_is(slip: Slip, folder: Path) -> None:
    check(slip, read_scenario_text, str(folder / "x.scenario.yaml"))


def test_all_mistakes_are_found_in_one_pass() -> None:
    text = "actions: [{action: x, takes: -1, fails: 3}]\nlatency: x\nloops: 3\n"
    model, diagnostics = read_model_text(text)
    assert model is None
    assert [each.code for each in diagnostics] == ["CB201", "CB203", "CB200", "CB021"]


def test_a_mistake_in_a_file_that_a_scenario_names_is_found_in_that_file(tmp_path: Path) -> None:
    (tmp_path / "group.yaml").write_text(GROUP)
    (tmp_path / "model.yaml").write_text("latency: -1\n")
    text = "definition: group.yaml\nmodel: model.yaml\nexpect: {status: x}\n"
    (tmp_path / "x.scenario.yaml").write_text(text)
    scenario, diagnostics = read_scenario(tmp_path / "x.scenario.yaml")
    assert scenario is None
    places = [(each.place.file, each.place.line) for each in diagnostics if each.place]
    assert places == [(str(tmp_path / "x.scenario.yaml"), 3), (str(tmp_path / "model.yaml"), 1)]


def test_a_key_that_nothing_reads_is_an_error_for_it_may_be_an_expectation(tmp_path: Path) -> None:
    (tmp_path / "group.yaml").write_text(GROUP)
    (tmp_path / "model.yaml").write_text("latency: 1\nlatencies: 2\n")
    text = "definition: group.yaml\nmodel: model.yaml\nexpect: {exitcode: 0}\n"
    (tmp_path / "x.scenario.yaml").write_text(text)
    scenario, diagnostics = read_scenario(tmp_path / "x.scenario.yaml")
    assert scenario is None
    found = [(each.code, each.severity, each.place and each.place.line) for each in diagnostics]
    assert found == [("CB025", "error", 3), ("CB025", "error", 2)]
    assert diagnostics[0].hint == "did you mean `exit-code`?"


@pytest.mark.parametrize("read", [read_model, read_faults, read_scenario])
def test_a_missing_file_is_a_diagnostic(read: object, tmp_path: Path) -> None:
    assert callable(read)
    found, (diagnostic,) = read(tmp_path / "none.yaml")
    assert (found, diagnostic.code) == (None, "CB001")


def test_what_was_read_can_be_drawn() -> None:
    model, _ = read_model_text("latency: {uniform: [2, 2]}")
    assert model is not None
    assert model.latency.draw(Random(0)) == 2

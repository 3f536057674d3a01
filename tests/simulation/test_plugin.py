"""The pytest plugin, in test suites of their own."""

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from tests.verdicts import SCENARIOS

pytest_plugins = ["pytester"]

PLUGIN = "callboard.pytest_plugin"
INSTALLED = entry_points(group="pytest11", name="callboard")
"""Empty if the installation is older than the plugin, and does not announce it."""

START_S = 0.02
"""What the plugin may add to the start of pytest, in seconds."""

SETTINGS = """
[pytest]
addopts = --strict-markers --strict-config
filterwarnings = error
"""
FORMAT = "Lava-Test Test Definition 1.0"
GOOD = """\
definition: demo.yaml
seeds: 1..3
check: completes
expect:
  status: complete
"""
BAD = """\
definition: misspelt.yaml
seeds: 1..3
check: deadlocks
expect:
  status: complete
  exit-code: 0
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A test suite with some definitions; its pytest turns every warning into an error."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makeini(SETTINGS)
    for name in ("demo", "misspelt", "two-roles"):
        text = (SCENARIOS / f"{name}.yaml").read_text()
        (pytester.path / f"{name}.yaml").write_text(text)
    return pytester


def run(suite: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run the suite with no other plugin, which takes a tenth of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        return suite.runpytest_subprocess("-p", PLUGIN, *arguments)


def run_with_all(suite: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run the suite with all plugins that are installed."""
    own = () if INSTALLED else ("-p", PLUGIN)
    settings = ("asyncio_mode=strict", "asyncio_default_fixture_loop_scope=function")
    options = [word for setting in settings for word in ("-o", setting)]
    return suite.runpytest_subprocess(*own, *options, *arguments)


def write(suite: pytest.Pytester, name: str, text: str) -> None:
    (suite.path / name).write_text(text)


def test_scenario_files_are_collected_as_tests(suite: pytest.Pytester) -> None:
    write(suite, "demo.scenario.yaml", GOOD)
    result = run(suite, "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["demo.scenario.yaml::check PASSED*", "demo.scenario.yaml::seeds-1..3 PASSED*"]
    )


def test_a_failure_shows_what_was_expected_the_seed_and_who_waited_for_what(
    suite: pytest.Pytester,
) -> None:
    write(suite, "misspelt.scenario.yaml", BAD)
    result = run(suite)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "misspelt.scenario.yaml:6:14: expected the exit code 0, but it is 4",
            "seed 1:",
            "  2, 3 client",
            "    0_use/multinode-wait-raedy failed: lava-wait raedy presumably can never *",
            "  to blame: 2 (client), 3 (client), which waited for what nobody sends in *",
            "again: callboard simulate --seed 1 misspelt.scenario.yaml",
            "3 seeds fail so: 1, 2, 3",
        ]
    )
    for word in ("Traceback", "Error", "callboard/", "self", "raise"):
        result.stdout.no_fnmatch_line(f"*{word}*")


def test_a_failure_with_one_seed_is_that_of_the_seed(suite: pytest.Pytester) -> None:
    write(suite, "misspelt.scenario.yaml", BAD)
    result = run(suite, "--callboard-seeds", "2", "misspelt.scenario.yaml", "-v")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*::seed-2 FAILED*", "seed 2:"])


def test_what_the_check_says_is_a_test_of_its_own(suite: pytest.Pytester) -> None:
    write(suite, "x.scenario.yaml", "definition: misspelt.yaml\ncheck: completes\n")
    result = run(suite)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "x.scenario.yaml:2:8: expected the check to say `completes`, but it says `deadlocks`",
            "client waits in `lava-wait raedy` (misspelt.yaml:36:13): *",
        ]
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("definition: demo.yaml\nexpect: {status: ok}\n", "x.scenario.yaml:2:18: error*`status`*"),
        ("definition: demo.yaml\n", "x.scenario.yaml:1:1: warning*expects nothing*"),
        ("definition: gone.yaml\n", "x.scenario.yaml:1:13: error*there is no such file*"),
        (
            "definition: demo.yaml\nexpect: {health: {sever: complete}}\n",
            "x.scenario.yaml:2:26: error*doesn't have*",
        ),
        (
            "definition: demo.yaml\nfaults: [{kill: nobody, at: {time: 3}}]\n",
            "x.scenario.yaml:2:17: error*`nobody`*",
        ),
        ("definition: broken.yaml\nexpect: {status: complete}\n", "broken.yaml:1:1: error*"),
    ],
    ids=["value", "warning", "no-definition", "role", "fault", "definition"],
)
def test_a_file_with_errors_is_an_error_of_the_collection_that_says_where_they_are(
    suite: pytest.Pytester, text: str, found: str
) -> None:
    write(suite, "broken.yaml", "job_name: broken\n")
    write(suite, "x.scenario.yaml", text)
    result = run(suite)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*ERROR collecting x.scenario.yaml*", found])
    for word in ("Traceback", "raise", "self"):
        result.stdout.no_fnmatch_line(f"*{word}*")


def test_what_has_no_effect_is_a_warning(suite: pytest.Pytester) -> None:
    text = "faults:\n- kill: server\n  at: {call: lava-send nothing}\n"
    write(suite, "demo.scenario.yaml", GOOD + text)
    result = run(suite, "-W", "default::pytest.PytestWarning")
    result.assert_outcomes(passed=2, warnings=1)
    result.stdout.fnmatch_lines(["*ScenarioWarning: demo.scenario.yaml:8:14: warning*"])


def test_a_group_whose_sources_have_to_be_fetched_is_compared_with_them_before_it_is_rehearsed(
    suite: pytest.Pytester,
) -> None:
    """A definition in a git repository beside the scenario."""
    suite.mkdir("tests")
    write(
        suite,
        "tests/smoke.yaml",
        f"metadata: {{name: smoke, format: {FORMAT}}}\nrun: {{steps: [lava-sync smoke]}}\n",
    )
    for words in (
        ["init", "-q"],
        ["add", "tests"],
        ["-c", "user.name=x", "-c", "user.email=x", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *words], cwd=suite.path, check=True)
    text = (suite.path / "demo.yaml").read_text()
    added = (
        "- test:\n    role: [server, client]\n    definitions:\n"
        "    - {from: git, name: smoke, path: tests/smoke.yaml, repository: ./}\n"
    )
    write(suite, "demo.yaml", text.replace("# check", f"{added}# check"))
    right = GOOD + "  order: ['client: lava-sync done', 'server: lava-sync smoke']\n"
    write(suite, "right.scenario.yaml", right)
    write(suite, "wrong.scenario.yaml", right.replace("sync smoke", "sync smock"))
    result = run(suite)
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(["wrong.scenario.yaml:6:37: error*sync smock*"])


@pytest.mark.parametrize("seeds", ["1..", "-1", "3..1", "one"])
def test_seeds_that_are_none_are_a_mistake_of_the_command_line(
    suite: pytest.Pytester, seeds: str
) -> None:
    result = run(suite, f"--callboard-seeds={seeds}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --callboard-seeds: *"])


def test_a_group_is_rehearsed_in_a_test_sync_or_async(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import asyncio
        import pytest

        HASHES = set()

        def rehearse(callboard_group):
            result = callboard_group("two-roles.yaml", seed=3)
            assert result.status == "complete"
            assert [job.health for job in result.of("client")] == ["complete", "complete"]
            assert result.of("server")[0].result("0_serve/multinode-sync-done") == "pass"
            with pytest.raises(LookupError, match="server, client"):
                result.of("sever")
            HASHES.add(result.trace_sha256)

        def test_sync(callboard_group):
            rehearse(callboard_group)

        @pytest.mark.asyncio
        async def test_asyncio(callboard_group):
            await asyncio.sleep(0)
            rehearse(callboard_group)
            await asyncio.sleep(0)

        @pytest.mark.anyio
        async def test_anyio(callboard_group, anyio_backend):
            rehearse(callboard_group)

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        def test_all_alike():
            assert len(HASHES) == 1
        """
    )
    run_with_all(suite, "-n0").assert_outcomes(passed=4)


def test_it_works_in_parallel(suite: pytest.Pytester) -> None:
    write(suite, "demo.scenario.yaml", GOOD)
    write(suite, "two.scenario.yaml", GOOD.replace("demo", "two-roles"))
    suite.makepyfile(
        "def test_one(callboard_group): assert callboard_group('demo.yaml').exit_code == 0"
    )
    run_with_all(suite, "-n2").assert_outcomes(passed=5)


def test_a_test_that_fails_shows_its_rehearsal_and_the_seed(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        def test_it(callboard_group):
            result = callboard_group(
                "demo.yaml",
                seed=5,
                model={"actions": [{"action": "login-action", "takes": {"uniform": [1, 2]}}]},
                faults=[{"kill": "server", "at": {"call": "lava-send ready"}}],
                scale={"client": 3},
            )
            assert result.duration_s < 60
            assert len(result.of("client")) == 3
            assert result.status == "complete"
        """
    )
    result = run(suite)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E*assert 'incomplete' == 'complete'",
            "demo.yaml, seed 5: incomplete",
            "1 server on simulated-1  incomplete",
            "to blame: 1 (server); 2 (client), 3 (client), 4 (client) waited in vain in *",
        ]
    )


def test_nothing_is_refused_silently(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import pytest
        import callboard

        @pytest.mark.parametrize(("options", "what"), [
            ({"model": {"steps": [{"step": "nothing", "takes": 3}]}}, "<model>:2:9: error"),
            ({"faults": [{"kill": "sever", "at": {"time": 3}}]}, "<faults>:2:9: error"),
            ({"faults": "gone.yaml"}, "gone.yaml:1:1: error"),
            ({"model": "gone.yaml"}, "gone.yaml:1:1: error"),
            ({"scale": {"sever": 3}}, "`sever`"),
        ])
        def test_what_is_wrong(callboard_group, options, what):
            with pytest.raises(callboard.DefinitionError, match=what):
                callboard_group("demo.yaml", **options)

        def test_no_nodes(callboard_group):
            with pytest.raises(ValueError, match="at least one node"):
                callboard_group("demo.yaml", scale={"client": 0})

        def test_no_effect(callboard_group):
            never = [{"kill": "server", "at": {"call": "lava-send nothing"}}]
            with pytest.warns(match="the fault `kill`|comes to the call"):
                callboard_group("demo.yaml", faults=never)

        def test_never_ends(callboard_group):
            with pytest.raises(callboard.GroupRefused, match="raedy"):
                callboard_group("misspelt.yaml")
            result = callboard_group("misspelt.yaml", check=False)
            assert result.exit_code == 4 and result.hopeless

        def test_definition(callboard_group, request):
            found = callboard.load(request.path.parent / "demo.yaml")
            assert callboard_group(found, semantics="lava").status == "complete"
        """
    )
    run(suite).assert_outcomes(passed=9)


def test_a_group_that_is_refused_is_told_without_a_traceback_of_ours(
    suite: pytest.Pytester,
) -> None:
    suite.makepyfile("def test_it(callboard_group): callboard_group('misspelt.yaml')")
    result = run(suite)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*GroupRefused: misspelt.yaml:36:13: error*"])
    for word in ("production.py", "pytest_plugin.py"):
        result.stdout.no_fnmatch_line(f"*{word}*")


def test_the_plugin_loads_nothing_before_it_is_used() -> None:
    code = """
import sys, time
import pytest
before, began_s = set(sys.modules), time.process_time()
import callboard.pytest_plugin
took_s = time.process_time() - began_s
print(took_s, *(set(sys.modules) - before))
"""
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(3)
    ]
    assert all(set(names) == {"callboard", "callboard.pytest_plugin"} for _, *names in runs)
    assert min(float(took_s) for took_s, *_ in runs) < START_S


def test_a_suite_without_scenarios_does_not_load_callboard(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import sys

        def test_it():
            loaded = {name for name in sys.modules if name.startswith("callboard")}
            assert loaded == {"callboard", "callboard.pytest_plugin"}
        """
    )
    run(suite).assert_outcomes(passed=1)


def test_the_package_announces_the_plugin() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert '[project.entry-points.pytest11]\ncallboard = "callboard.pytest_plugin"\n' in text

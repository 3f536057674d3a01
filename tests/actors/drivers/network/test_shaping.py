"""What `tc` and `nft` are told, also where this kernel has no use for it."""

import re
from ipaddress import IPv4Address, IPv6Address

import hypothesis.strategies as st
from hypothesis import given

from callboard.actors.drivers.network.rules import Path, ruleset
from callboard.actors.drivers.network.shaping import FREE, ROUTER, Pace, Queues, Source
from callboard.actors.drivers.segment import Station
from callboard.definition.links import CUT, Conditions

SOURCES = [Source(ROUTER), *(Source(number, f"02:00:00:00:00:0{number}") for number in (2, 3, 4))]
PACES = st.sampled_from(
    [FREE, Pace(0.02, 0.005), Pace(0.02), Pace(rate_bps=10**6), Pace(0.1, 0, 10**7)]
)


def station(number: int) -> Station:
    return Station(
        f"d{number}",
        f"p{number}",
        f"02:00:00:00:00:0{number}",
        IPv4Address(f"10.77.0.{number}"),
        IPv6Address(f"fd77::{number}"),
    )


class Kernel:
    """What a kernel has after lines for `tc`, as far as they speak of it; refuses what it would."""

    def __init__(self) -> None:
        self.root = False
        self.rates: dict[str, str] = {}
        self.queues: dict[str, str] = {}
        self.filters: set[str] = set()

    def take(self, line: str) -> None:
        what, verb, *rest = line.split()
        text = " ".join(rest)
        if text.endswith(" root"):
            assert verb == "del"
            assert self.root
            self.__init__()  # type: ignore[misc]
        elif " root " in text:
            assert (what, verb, self.root) == ("qdisc", "add", False)
            self.root = True
        elif what == "class":
            assert self.root
            number, rate = re.findall(r"classid 1:(\S+) htb rate (\S+)", text)[0]
            self.rates[number] = rate
        elif what == "qdisc":
            [number] = re.findall(r"parent 1:(\S+)", text)
            assert number in self.rates
            if verb == "del":
                del self.queues[number]
            else:
                self.queues[number] = text.partition(": ")[2]
        else:
            [number] = re.findall(r"flowid 1:(\S+)", text)
            assert number in self.rates
            assert number not in self.filters, "a packet finds one class"
            self.filters.add(number)


@given(st.lists(st.dictionaries(st.sampled_from(SOURCES), PACES), max_size=6))
def test_after_any_changes_a_cable_is_as_the_last_one_wants_it(
    wishes: list[dict[Source, Pace]],
) -> None:
    queues, kernel = Queues("p1"), Kernel()
    wanted: dict[Source, Pace] = {}
    for wanted in wishes:
        for line in queues.retune(wanted):
            assert "dev p1" in line
            kernel.take(line)
    if all(pace == FREE for pace in wanted.values()):
        assert not kernel.root
        return
    for source in SOURCES:
        pace, number = wanted.get(source, FREE), f"{source.number:x}"
        if pace.late:
            assert kernel.queues[number].startswith(f"netem delay {round(pace.delay_s * 1e6)}us")
        elif pace.rate_bps is not None:
            assert kernel.queues[number].startswith("bfifo limit ")
        else:
            assert number not in kernel.queues
        rate = "100gbit" if pace.rate_bps is None else f"{pace.rate_bps}bit"
        assert kernel.rates.get(number, "100gbit") == rate
        if pace != FREE and source.number != ROUTER:
            assert number in kernel.filters
    assert queues.retune(wanted) == []


def test_a_new_cable_gets_all_of_it_again() -> None:
    queues = Queues("p1")
    first = queues.retune({SOURCES[1]: Pace(rate_bps=10**6)})
    queues.forget()
    assert queues.retune({SOURCES[1]: Pace(rate_bps=10**6)}) == first


def test_a_jitter_follows_the_delay() -> None:
    lines = Queues("p1").retune({SOURCES[1]: Pace(0.02, 0.005)})
    assert any("netem delay 20000us 5000us" in line for line in lines)


def test_rules_are_replaced_by_none_where_nothing_is_dropped() -> None:
    free = [Path(station(1), station(2), Conditions(rate_bps=10**6))]
    assert ruleset(free) == ruleset([])
    assert ruleset([]).splitlines()[-1].startswith("delete table bridge")


def test_links_that_lose_alike_share_a_rule() -> None:
    lossy = Conditions(loss=0.25)
    paths = [Path(station(1), station(number), lossy) for number in (2, 3)]
    found = ruleset([*paths, Path(station(2), station(3), CUT)])
    [line] = [
        each for each in found.splitlines() if each.startswith("iifname . ") and "numgen" in each
    ]
    assert line.count(" . ") == 1 + 4
    assert "numgen random mod 10000000 < 2500000 drop" in line

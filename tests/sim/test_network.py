"""The network alone: when messages arrive, which are lost, and that the accounts balance."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorkit.errors import InvalidOption
from vectorkit.replication.protocol.messages import Ack, Chunk, Seek
from vectorkit.sim.options import ClusterOptions, Link
from vectorkit.sim.world.clock import Scheduler
from vectorkit.sim.world.latency import TABLE_SIZE, Latency, jitter_table
from vectorkit.sim.world.network import LinkFaults, Network, trouble_of
from vectorkit.sim.world.trace import Trace
from vectorkit.units import MIB

MS = 1_000_000


class Wire:
    """Two nodes and a client, and what arrives where at what time."""

    def __init__(self, link, *, nodes=("a", "b"), seed=7, links=None):
        self.trace = Trace()
        self.scheduler = Scheduler(event_count_max=1_000_000)
        self.network = Network(
            nodes,
            link,
            links,
            client_ids=("client-0",),
            seed=seed,
            scheduler=self.scheduler,
            trace=self.trace,
        )
        self.arrived = []

    def send(self, number, *, size=100, source="a", target="b", message=None):
        self.network.send(source, target, message or Seek(0, number), size)

    def run(self, until_ms=10_000_000):
        while (event := self.scheduler.pop(round(until_ms * MS))) is not None:
            _, _, kind, data = event
            if kind == "sent":
                self.network.on_transmitted(data)
            elif self.network.admit_arrival(data):
                self.network.deliver(data)
                self.arrived.append((self.scheduler.now_ns / MS, data.number, data.kind))
        return self.arrived

    @property
    def numbers(self):
        return [number for _, number, _ in self.arrived]

    def rows(self, event):
        return [row for row in self.trace.rows if row.event == event]


def balance(wire):
    """Sent + duplicated = delivered + in flight + lost, in counts, bytes and rows."""
    for (source, target), counts in wire.network.counts.items():
        sent = [r for r in wire.rows("send") if (r.node, r.peer) == (source, target)]
        copies = [row for row in sent if row.text == "copy"]
        lost = [r for r in wire.rows("lost") if (r.node, r.peer) == (source, target)]
        delivered = [r for r in wire.rows("deliver") if (r.peer, r.node) == (source, target)]
        assert counts.sent_count + counts.duplicated_count == len(sent)
        assert counts.duplicated_count == len(copies)
        assert counts.lost_count == len(lost)
        assert counts.delivered_count == len(delivered)
        assert counts.in_flight_count == len(sent) - len(lost) - len(delivered) >= 0
        assert counts.sent_bytes + counts.duplicated_bytes == sum(row.value for row in sent)
        assert counts.lost_bytes == sum(row.value for row in lost)
        assert counts.delivered_bytes == sum(row.value for row in delivered)


# Latency


def test_a_constant_link_takes_its_delay_to_the_nanosecond():
    wire = Wire(Link(delay_ms=2.5))
    wire.send(1)
    assert wire.run() == [(2.5, 1, "Seek")]


def test_an_exponential_law_has_its_mean_and_its_median():
    table = jitter_table(Link(jitter_ms=10, law="exponential"))
    assert len(table) == TABLE_SIZE
    assert sum(table) / len(table) == pytest.approx(10 * MS, rel=1e-3)
    assert table[TABLE_SIZE // 2] == pytest.approx(6.9315 * MS, rel=1e-3)


def test_a_lognormal_law_has_its_median_and_its_spread():
    table = jitter_table(Link(jitter_ms=10, sigma=0.5, law="lognormal"))
    assert table[TABLE_SIZE // 2] == pytest.approx(10 * MS, rel=1e-3)
    # One standard deviation above the median: 84.13 % of messages are faster than 10 e^0.5.
    assert sum(each < 16.487 * MS for each in table) / TABLE_SIZE == pytest.approx(0.8413, abs=1e-3)


def test_every_value_of_a_sample_is_equally_likely():
    wire = Wire(Link(delay_ms=1, sample_ms=(5, 9)))
    for number in range(1_000):
        wire.send(number)
    times = [time for time, _, _ in wire.run()]
    assert set(times) == {6.0, 10.0}
    assert 450 < times.count(6.0) < 550


@given(st.sampled_from(["uniform", "exponential", "lognormal"]), st.integers(0, (1 << 32) - 1))
def test_no_law_is_faster_than_the_delay_and_all_are_monotone_in_the_draw(law, word):
    latency = Latency(Link(delay_ms=3, jitter_ms=2, law=law))
    assert 3 * MS <= latency.at(word) <= latency.at(min(word + 999_999, (1 << 32) - 1))


def test_a_law_with_a_sample_is_refused():
    with pytest.raises(InvalidOption, match="exactly one latency distribution"):
        Link(jitter_ms=1, sample_ms=(1,))
    with pytest.raises(InvalidOption, match="exactly one latency distribution"):
        Link(law="normal")


# Order


def test_jitter_reorders_and_a_fifo_link_does_not():
    numbers = list(range(50))
    free, ordered = Wire(Link(jitter_ms=5)), Wire(Link(jitter_ms=5, is_fifo=True))
    for wire in (free, ordered):
        for number in numbers:
            wire.send(number)
        wire.run()
    assert sorted(free.numbers) == numbers != free.numbers
    assert ordered.numbers == numbers
    slowest = max(time for time, _, _ in free.arrived)
    assert max(time for time, _, _ in ordered.arrived) == slowest


# Loss and copies


def test_a_lost_fraction_is_the_chance():
    wire = Wire(Link(loss=0.1))
    for number in range(10_000):
        wire.send(number)
    wire.run()
    assert 900 < wire.network.counts["a", "b"].lost_count < 1_100
    balance(wire)


def test_a_copy_has_a_delay_of_its_own_and_is_noted_as_one():
    wire = Wire(Link(delay_ms=2, jitter_ms=5, duplication=1))
    wire.send(1)
    times = [time for time, _, _ in wire.run()]
    assert len(set(times)) == 2
    assert [row.text for row in wire.rows("send")] == ["", "copy"]
    balance(wire)


def test_duplication_moves_no_other_draw():
    plain = Wire(Link(jitter_ms=5, loss=0.2))
    copied = Wire(Link(jitter_ms=5, loss=0.2, duplication=0.5))
    for wire in (plain, copied):
        for number in range(300):
            wire.send(number)
        wire.run()
    assert set(plain.arrived) < set(copied.arrived)
    lost = [{row.number for row in wire.rows("lost")} for wire in (plain, copied)]
    assert lost[0] <= lost[1]


def test_one_node_more_moves_no_draw_of_the_others_nor_of_clients():
    link = Link(jitter_ms=5, loss=0.2)
    few, many = Wire(link), Wire(link, nodes=("a", "b", "c", "d"))
    for wire in (few, many):
        for number in range(200):
            wire.send(number)
            wire.send(number, source="client-0")
            wire.send(number, source="b", target="client-0")
        wire.run()
    assert few.arrived == many.arrived


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(1, 5_000)), max_size=60),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.sampled_from([0.0, 0.1]),
    st.booleans(),
)
def test_the_accounts_of_every_link_balance(sends, loss, duplication, mib_per_s, is_fifo):
    link = Link(
        jitter_ms=3, loss=loss, duplication=duplication, mib_per_s=mib_per_s, is_fifo=is_fifo
    )
    wire = Wire(link)
    for place, (number, size) in enumerate(sends):
        wire.send(number, size=size)
        balance(wire)
        wire.run(until_ms=place)
    wire.run()
    balance(wire)
    assert wire.network.counts["a", "b"].in_flight_count == 0


# Corruption


def chunk(number=3):
    return Chunk(1, number, 0, bytes(32))


def test_corruption_flips_one_bit_of_a_chunk_and_of_nothing_else():
    wire = Wire(Link(corruption=1))
    wire.send(3, message=chunk())
    wire.send(4)
    packets = []
    while (event := wire.scheduler.pop(MS * 100)) is not None:
        packets.append(event[3])
    flipped = packets[0].message.data
    assert sum(byte.bit_count() for byte in flipped) == 1
    assert packets[1].message == Seek(0, 4)
    assert [row.text for row in wire.rows("send")] == ["corrupt", ""]


# Bandwidth


def test_a_message_waits_for_those_before_it():
    wire = Wire(Link(delay_ms=2, mib_per_s=1))
    for number in range(3):
        wire.send(number, size=MIB // 4)
    assert wire.run() == [(252.0, 0, "Seek"), (502.0, 1, "Seek"), (752.0, 2, "Seek")]


def test_control_messages_overtake_chunks_but_not_the_one_that_is_going_out():
    wire = Wire(Link(delay_ms=0, mib_per_s=1))
    for number in range(3):
        wire.send(number, size=MIB // 4, message=chunk(number))
    wire.send(9, size=MIB // 8)
    assert wire.run() == [
        (250.0, 0, "Chunk"),
        (375.0, 9, "Seek"),
        (625.0, 1, "Chunk"),
        (875.0, 2, "Chunk"),
    ]


def test_an_idle_line_costs_only_the_bytes():
    wire = Wire(Link(delay_ms=1, mib_per_s=1))
    wire.send(1, size=MIB)
    wire.run(until_ms=5_000)
    wire.send(2, size=MIB)
    assert [time for time, _, _ in wire.run()] == [1_001.0, 6_001.0]


# Links of their own


def test_a_pair_can_have_a_link_of_its_own():
    wire = Wire(Link(delay_ms=2), links={("a", "b"): Link(delay_ms=30)})
    wire.send(1)
    wire.send(2, source="b", target="a")
    assert wire.run() == [(2.0, 2, "Seek"), (30.0, 1, "Seek")]


def test_a_link_of_a_pair_that_is_not_there_is_refused():
    for ends in (("node-0", "node-9"), ("node-0", "node-0"), ("node-0",)):
        with pytest.raises(InvalidOption, match="invalid endpoints"):
            ClusterOptions(links={ends: Link()})
    assert ClusterOptions(links={("client-0", "node-1"): Link()}).links


# Trouble


def test_a_one_way_cut_leaves_the_way_back():
    wire = Wire(Link())
    wire.network.trouble([("a", "b")], LinkFaults(cuts=1))
    wire.send(1)
    wire.send(2, source="b", target="a")
    wire.run()
    assert wire.numbers == [2]
    assert [row.text for row in wire.rows("lost")] == ["cut"]


def test_a_message_on_its_way_is_lost_where_the_link_is_cut_when_it_arrives():
    wire = Wire(Link(delay_ms=2))
    wire.send(1)
    wire.network.trouble([("a", "b")], LinkFaults(cuts=1))
    wire.run(until_ms=3)
    assert wire.numbers == []
    balance(wire)


def test_a_clogged_link_holds_everything_and_then_lets_it_go_in_order():
    wire = Wire(Link(delay_ms=2))
    clog = LinkFaults(clogs=1)
    wire.network.trouble([("a", "b")], clog)
    for number in range(3):
        wire.send(number)
        wire.run(until_ms=10 * (number + 1))
    assert wire.arrived == []
    assert wire.network.counts["a", "b"].in_flight_count == 3
    wire.network.trouble([("a", "b")], clog, -1)
    assert wire.run() == [(30.0, 0, "Seek"), (30.0, 1, "Seek"), (30.0, 2, "Seek")]
    balance(wire)


def test_a_block_takes_one_class_of_messages():
    wire = Wire(Link())
    wire.network.trouble([("a", "b")], LinkFaults(blocks={"Chunk": 1}))
    wire.send(1, message=chunk(1))
    wire.send(2)
    wire.run()
    assert wire.numbers == [2]
    assert [row.text for row in wire.rows("lost")] == ["blocked"]


TROUBLES = [
    LinkFaults(cuts=1),
    LinkFaults(clogs=1),
    LinkFaults(blocks={"Seek": 1}),
    trouble_of(delay_ms=7),
    trouble_of(loss=0.3),
    trouble_of(duplication=0.7, corruption=0.1),
]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_troubles_add_up_and_end_in_any_order(order):
    wire = Wire(Link(delay_ms=2))
    three = [trouble_of(delay_ms=1), trouble_of(delay_ms=4), LinkFaults(clogs=1)]
    for each in three:
        wire.network.trouble([("a", "b")], each)
    for place in order:
        wire.network.trouble([("a", "b")], three[place], -1)
    wire.send(1)
    assert wire.run() == [(2.0, 1, "Seek")]


@given(st.lists(st.sampled_from(range(len(TROUBLES))), max_size=8))
def test_a_link_whose_troubles_are_over_is_as_it_was(chosen):
    wire, fresh = Wire(Link(jitter_ms=3, loss=0.1)), Wire(Link(jitter_ms=3, loss=0.1))
    for place in chosen:
        wire.network.trouble([("a", "b")], TROUBLES[place])
    for place in reversed(chosen):
        wire.network.trouble([("a", "b")], TROUBLES[place], -1)
    for each in (wire, fresh):
        for number in range(30):
            each.send(number)
        each.run()
    assert wire.arrived == fresh.arrived


def test_two_chances_of_loss_add_up():
    wire = Wire(Link(loss=0.5))
    wire.network.trouble([("a", "b")], trouble_of(loss=0.5))
    for number in range(100):
        wire.send(number)
    assert wire.run() == []


def test_messages_are_numbered_by_what_tells_them_apart():
    wire = Wire(Link())
    ack = Ack(9, None, 5, 4, 3, 2)
    wire.send(0, message=ack)
    wire.send(0, message=replace(ack, received_offset=6))
    assert [(number, kind) for _, number, kind in wire.run()] == [(5, "Ack"), (6, "Ack")]

"""Write concerns and the choices beside them: what they count, and what they refuse."""

from dataclasses import replace

import pytest

from vectorkit.errors import InvalidOption
from vectorkit.replication import Failover, ReplicationOptions, WriteConcern, majority
from vectorkit.sim import ClusterOptions


@pytest.mark.parametrize(
    ("count", "nodes", "expected"),
    [
        (0, 3, 0),
        (2, 5, 2),
        ("majority", 2, 1),
        ("majority", 5, 2),
        ("majority", 4, 2),
        ("all", 4, 3),
    ],
)
def test_a_concern_counts_replicas(count, nodes, expected):
    assert WriteConcern(count=count).replica_count(nodes) == expected


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"count": -1}, '0 or more, "majority" or "all"'),
        ({"count": True}, '0 or more, "majority" or "all"'),
        ({"count": "most"}, '0 or more, "majority" or "all"'),
        ({"stage": "sent"}, "'received' or 'flushed' or 'applied' or 'visible'"),
        ({"timeout_ms": 0}, '1 ms or more, and "fail" or "degrade"'),
        ({"on_timeout": "wait"}, '1 ms or more, and "fail" or "degrade"'),
    ],
)
def test_a_concern_that_cannot_be_met_is_refused(options, wanted):
    with pytest.raises(InvalidOption) as caught:
        WriteConcern(**options)
    assert caught.value.wanted == wanted


def test_nothing_is_flushed_without_durable_logs():
    with pytest.raises(InvalidOption, match="nothing is flushed without durable logs"):
        ClusterOptions(disk=None, write_concern=majority())
    ClusterOptions(disk=None, write_concern=majority(stage="applied"))


def test_a_concern_of_more_replicas_than_there_are_is_refused():
    with pytest.raises(InvalidOption, match="got count=2, replicas=1"):
        ClusterOptions(replicas=1, write_concern=WriteConcern(count=2))


@pytest.mark.parametrize(
    "options",
    [{"detector": "oracle"}, {"deadline_ms": 0}, {"phi": 0}, {"phi": 300}, {"stagger_ms": -1}],
)
def test_a_detector_that_could_never_or_always_suspect_is_refused(options):
    with pytest.raises(InvalidOption, match="this detector cannot work"):
        Failover(**options)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"quorum": "most"}, "there is no such quorum"),
        ({"max_lag_operations": -1}, "max_lag_operations is out of its range"),
        ({"max_lag_operations": "few"}, "max_lag_operations is out of its range"),
        ({"refresh_ms": -1}, "refresh_ms is out of its range"),
        ({"checkpoint_operations": 0}, "checkpoint_operations is out of its range"),
    ],
)
def test_choices_of_the_protocol_are_checked(options, problem):
    with pytest.raises(InvalidOption, match=problem):
        ReplicationOptions(**options)


@pytest.mark.parametrize("heartbeat_ms", [1_000, 251])
def test_a_deadline_below_two_heartbeats_is_refused_unless_it_is_asked_for(heartbeat_ms):
    short = Failover(deadline_ms=2 * heartbeat_ms - 1)
    beats = ReplicationOptions(heartbeat_ms=heartbeat_ms)
    for make in (
        lambda failover: replace(beats, failover=failover),
        lambda failover: ClusterOptions(replication=beats, failover=failover),
    ):
        with pytest.raises(InvalidOption, match="live masters are deposed") as caught:
            make(short)
        said = str(caught.value)
        assert f"got deadline_ms={short.deadline_ms}, heartbeat_ms={heartbeat_ms}" in said
        assert "wanted deadline_ms of 2 × heartbeat_ms or more" in said
        assert "allow_short_deadline=True" in said
        make(replace(short, allow_short_deadline=True))
        make(Failover(deadline_ms=2 * heartbeat_ms))


def test_a_detector_that_learns_from_intervals_has_no_deadline_to_refuse():
    ReplicationOptions(failover=Failover(detector="phi", deadline_ms=1))

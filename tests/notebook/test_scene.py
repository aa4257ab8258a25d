"""A moment as HTML: what is there is seen, named, escaped, and at rest where nothing changes."""

import re
from html import unescape
from xml.etree import ElementTree

import pytest
from matplotlib.colors import to_rgb

from tests.notebook.runs import failover
from vectorkit import sim
from vectorkit.notebook.events import Event
from vectorkit.notebook.moments import LinkMoment, Moment, Moments, NodeMoment, RequestCounts
from vectorkit.notebook.scene import Strip, page, picture, summary
from vectorkit.notebook.widgets import BACK, INK
from vectorkit.plot.contrast import contrast, readable_on
from vectorkit.plot.style import STATUS_COLOURS, node_colour

NOTHING = RequestCounts(0, 0, 0)
LIGHT, DARK = (1.0, 1.0, 1.0), (0.07, 0.07, 0.07)


@pytest.fixture(scope="module")
def moments():
    return Moments(failover())


def make_node(number, **changes):
    facts = {
        "node": f"node-{number}",
        "role": "replica",
        "epoch": "node-0@1",
        "condition": "up",
        "disk": "ok",
        "status": "Connected",
        "lag_ms": 0.0,
        "lag_ms_true": 0.0,
        "first_offset": 1,
        "received": 10,
        "flushed": 10,
        "applied": 10,
    }
    return NodeMoment(**(facts | changes))


def make_moment(*nodes, links=(), faults=(), latest=(), writes=NOTHING, reads=NOTHING):
    listed = tuple(nodes) or (make_node(0), make_node(1))
    return Moment(1_234.0, listed, tuple(links), writes, reads, tuple(faults), tuple(latest))


def rows(html):
    """The texts of the table's cells, row by row."""
    found = re.findall(r"<tr>(.*?)</tr>", html)
    cells = (re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in found)
    return [[unescape(re.sub(r"<[^>]*>", "", cell)) for cell in row] for row in cells]


def drawn(svg, tag):
    return [each for each in ElementTree.fromstring(svg).iter() if each.tag == tag]


def texts(svg):
    return [each.text for each in drawn(svg, "text")]


def test_the_table_has_a_row_a_node_with_all_its_facts(moments):
    html = page(moments.at(60), "")
    assert rows(html) == [
        [
            "node",
            "role",
            "epoch",
            "health",
            "lag",
            "true lag",
            "log",
            "flushed",
            "applied",
            "",
            "disk",
        ],
        ["■ node-0", "master", "node-0@1", "—", "—", "—", "2…2", "1", "2", "", "ok"],
        ["■ node-1", "replica", "node-0@1", "● Connected", "0", "0", "1…1", "1", "1", "", "ok"],
        ["■ node-2", "replica", "node-0@1", "● Lagging", "40", "38", "empty", "0", "0", "", "ok"],
    ]


def test_a_node_that_is_down_has_applied_nothing(moments):
    assert rows(page(moments.at(110), ""))[1] == [
        "■ node-0", "down", "node-0@1", "● Disconnected", "0", "0", "empty", "1", "—", "", "ok",
    ]  # fmt: skip


def test_the_summary_is_a_sentence(moments):
    assert [summary(moments.at(t)) for t in (60, 110, 160)] == [
        "At 60 ms node-0 is master; 1 Connected; 1 Lagging.",
        "At 110 ms no master; node-0 is down; 3 Disconnected; "
        "active fault: Crash of node-0, 190 ms left.",
        "At 160 ms node-1 is master; node-0 is down; 2 Disconnected; active fault: "
        "Crash of node-0, 140 ms left; active fault: Partition of node-2, 40 ms left.",
    ]
    both = make_moment(make_node(0, role="master"), make_node(1, role="master", status=None))
    assert summary(both) == "At 1,234 ms node-0 and node-1 are masters; 1 Connected."


def test_the_picture_is_named_by_the_summary_and_is_well_formed(moments):
    for time_ms in (0, 14, 60, 110, 145, 160, 400):
        svg = picture(moments.at(time_ms))
        assert ElementTree.fromstring(svg).get("aria-label") == summary(moments.at(time_ms))


def test_a_master_is_filled_with_its_colour_and_a_health_is_a_ring():
    svg = picture(make_moment(make_node(0, role="master", status=None), make_node(1)))
    circles = [each for each in drawn(svg, "circle") if float(each.get("cy")) < 300]
    looks = [(each.get("fill"), each.get("stroke")) for each in circles]
    assert looks == [
        ("currentColor", "currentColor"),
        ("none", STATUS_COLOURS["Connected"]),
        (BACK, readable_on(node_colour("node-1"), DARK)),
    ]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"role": "candidate"}, "candidate"),
        ({"role": "replica", "condition": "paused"}, "replica, paused"),
        ({"role": "down", "condition": "down"}, "down"),
    ],
)
def test_what_a_node_is_stands_beside_it(changes, told):
    svg = picture(make_moment(make_node(0), make_node(1, **changes)))
    names = texts(svg)
    assert names[names.index("node-1") + 1] == told
    assert ("✕" in names) == (told == "down")


def test_roles_that_do_not_last_have_dashed_outlines():
    def dashes(role):
        svg = picture(make_moment(make_node(0, role=role, status=None)))
        return drawn(svg, "circle")[0].get("stroke-dasharray")

    roles = ("master", "replica", "candidate", "returning", "starting")
    assert [dashes(role) for role in roles] == [None, None, "5 3", "1.5 2.5", "1.5 2.5"]


def test_every_state_of_a_link_is_drawn_in_its_own_way():
    states = ("open", "cut", "clogged", "blocked", "degraded")
    looks = set()
    for state in states:
        svg = picture(make_moment(links=[LinkMoment("node-0", "node-1", state, ())]))
        line = drawn(svg, "line")[0]
        looks.add((line.get("stroke"), line.get("stroke-width"), line.get("stroke-dasharray")))
        assert ("✕" in texts(svg)) == (state == "cut")
    assert len(looks) == len(states)


def test_messages_are_dots_along_their_way_and_many_are_counted():
    def dots(*progress):
        svg = picture(make_moment(links=[LinkMoment("node-0", "node-1", "open", progress)]))
        found = [each for each in drawn(svg, "circle") if each.get("r") == "2.4"]
        return [float(each.get("cy")) for each in found], texts(svg)

    heights, names = dots(0.0, 0.5, 1.0)
    assert heights[1] - heights[0] == pytest.approx(heights[2] - heights[1], abs=0.11)
    assert heights[2] - heights[0] > 100  # From the top of the circle down to its bottom.
    assert "3" not in names
    assert "5" in dots(*[0.5] * 5)[1]
    assert len(dots(*[0.5] * 99)[0]) == 12


def test_bars_show_the_window_of_offsets_in_which_nodes_differ():
    html = page(make_moment(make_node(0, received=200), make_node(1, applied=100)), "")
    assert "offsets 0 to 200 received" in html.replace(" – ", " ")
    ahead = make_node(0, received=1_000, flushed=1_000, applied=1_000)
    behind = make_node(1, received=1_000, flushed=990, applied=980)
    html = page(make_moment(ahead, behind), "")
    assert "offsets 977 to 1,000 received" in html
    widths = re.findall(r'<rect x="0" y="\d+" width="([\d.]+)"', html)
    assert widths == ["110.0", "110.0", "110.0", "110.0", "62.2", "14.3"]


def test_a_cluster_in_step_shows_the_last_twenty_offsets():
    nodes = [make_node(number, received=500, flushed=500, applied=500) for number in (0, 1)]
    assert "offsets 480 to 500 received" in page(make_moment(*nodes), "")


def test_lines_are_as_many_whatever_there_is_to_say():
    def lines(**facts):
        return page(make_moment(**facts), "").count("<div>")

    many = [f"fault {number}" for number in range(9)]
    events = [Event(1.0, f"event {number}") for number in range(5)]
    counted = RequestCounts(3, 1, 1)
    full = {"faults": many, "latest": events, "writes": counted, "reads": counted}
    assert lines() == lines(**full)
    assert "… and 6 more" in page(make_moment(faults=many), "")


def test_requests_are_told_where_there_are_any():
    told = page(make_moment(writes=RequestCounts(1_200, 1_000, 150)), "")
    assert "1,200 writes: 1,000 answered, 150 failed, 50 waiting" in told
    assert "reads" not in told
    assert "no requests so far" in page(make_moment(), "")


def test_what_comes_from_a_run_is_escaped():
    bad = "<script>alert(1)</script>"
    html = page(make_moment(faults=[bad], latest=[Event(0.0, bad)]), "")
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 3  # The summary tells the fault, too.


def test_every_node_has_room_of_its_own_up_to_ten():
    for count in range(1, 11):
        svg = picture(make_moment(*(make_node(number) for number in range(count))))
        width = float(ElementTree.fromstring(svg).get("width"))
        places = [
            (float(c.get("cx")), float(c.get("cy")))
            for c in drawn(svg, "circle")[0 : 2 * count : 2]
        ]
        apart = [abs(complex(*a) - complex(*b)) for a in places for b in places if a is not b]
        assert min(apart, default=99) > 2 * 21.5
        assert all(40 < x < width - 40 for x, _ in places)


def test_the_strip_has_its_line_at_the_time_and_stands_still_otherwise(moments):
    strip = Strip(moments, width=462)

    def x(time_ms):
        return drawn(strip.at(time_ms), "path")[0].get("d")

    room = 462 - 62 - 14
    assert x(0) == "M57.0 0H67.0L62.0 8Z"
    assert x(200) == f"M{57 + room / 2:.1f} 0H{67 + room / 2:.1f}L{62 + room / 2:.1f} 8Z"
    assert x(400) == x(9_999)
    assert (
        strip.at(0).partition("<path")[0].partition("<line")[0]
        == (strip.at(300).partition("<path")[0].partition("<line")[0])
    )


def is_shade(bar):
    return bar.get("opacity") == "0.13"


def test_the_strip_draws_masters_tall_replicas_by_health_and_faults_on_their_rows(moments):
    bars = drawn(Strip(moments, width=476).at(0), "rect")
    scale, left = (476 - 62 - 14) / 400, 62
    found = {
        (round((float(b.get("x")) - left) / scale), int(float(b.get("y"))), b.get("fill"))
        for b in bars
    }
    assert {
        (0, 14, "currentColor"),
        (150, 31, readable_on(node_colour("node-1"), DARK)),
        (1, 35, STATUS_COLOURS["Connected"]),
        (100, 52, STATUS_COLOURS["Disconnected"]),
    } <= found
    shades = {(round((float(b.get("x")) - left) / scale), b.get("y")) for b in bars if is_shade(b)}
    assert shades == {(100, "12"), (120, "46")}


def test_the_page_of_a_run_without_replicas_is_drawn():
    moments = Moments(sim.simulate(sim.ClusterOptions(replicas=0), duration_ms=100))
    html = page(moments.at(50), Strip(moments).at(50))
    assert rows(html)[1][:3] == ["■ node-0", "master", "node-0@1"]


def test_every_colour_can_be_read_in_light_and_in_dark_themes():
    """Letters and backgrounds are the theme's; what has a colour of its own is read on both."""
    roles = ("master", "candidate", "down", "returning")
    nodes = [
        make_node(number, role=roles[number % 4], status=status)
        for number, status in enumerate([*STATUS_COLOURS, None] * 2)
    ]
    run = sim.simulate(
        sim.ClusterOptions(replicas=9),
        faults=[
            sim.Pause(at_ms=200, for_ms=100, node="node-0"),
            sim.Crash(at_ms=100, for_ms=100, node="node-3"),
        ],
        duration_ms=400,
    )
    html = page(make_moment(*nodes), Strip(Moments(run)).at(200))
    own = set(re.findall(r"#[0-9a-f]{3,6}", html.replace(BACK, "").replace(INK, ""), re.IGNORECASE))
    assert len(own) >= 14  # Nine nodes, four states, grey.
    faint = {each for each in own for back in (LIGHT, DARK) if contrast(to_rgb(each), back) < 3}
    assert faint == set()
    words = set(re.findall(r'(?:fill|stroke)="([^"]*)"', html)) - own
    assert words == {"none", "currentColor", BACK}


def test_a_paused_master_is_faded_in_the_strip():
    run = sim.simulate(
        sim.ClusterOptions(replicas=1),
        faults=[sim.Pause(at_ms=100, for_ms=200, node="node-0")],
        duration_ms=400,
    )
    strip = Strip(Moments(run), width=62 + 14 + 400)
    faded = [each for each in drawn(strip.at(0), "rect") if each.get("fill") == BACK]
    scale = 400 / run.duration_ms
    assert [(each.get("x"), each.get("width"), each.get("y")) for each in faded] == [
        (f"{62 + 100 * scale:.1f}", f"{200 * scale:.1f}", "14")
    ]
    assert "faded: paused" in texts(strip.at(0))[-1]


def test_whose_belief_the_health_is_stands_beside_it():
    assert "Ring: health of the node, as known to its master at the last sample" in texts(
        picture(make_moment())
    )
    note = "health and lag (ms): as known to the master at the last sample"
    assert note in page(make_moment(), "")

"""A moment of a run as HTML: a picture of nodes and links, a table, and a strip of the whole run.

Nodes and statuses have the same hues as in every plot, in a shade that is readable in light and
dark themes. The line style of a link shows its active fault.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from math import cos, pi, sin
from typing import Final

from vectorkit.notebook.moments import LinkMoment, Moment, Moments, NodeMoment, RequestCounts
from vectorkit.notebook.widgets import BACK, card
from vectorkit.plot.contrast import readable_on
from vectorkit.plot.style import STATUS_COLOURS, node_colour, node_number
from vectorkit.sim import Pause

_INK, _GREY = "currentColor", "#808080"
_PALE: Final = 'stroke="currentColor" stroke-opacity="0.2"'
_THEMES: Final = ((1.0, 1.0, 1.0), (0.07, 0.07, 0.07))
"""The backgrounds of Jupyter's themes; every colour must be readable on both."""
_LINES: Final = {
    "open": f'{_PALE} stroke-width="1.2"',
    "cut": f'stroke="{_GREY}" stroke-width="1.2" stroke-dasharray="7 6"',
    "clogged": f'stroke="{_GREY}" stroke-width="4.5"',
    "blocked": f'stroke="{_GREY}" stroke-width="1.6" stroke-dasharray="1.5 3.5"',
    "degraded": f'stroke="{_GREY}" stroke-width="1.6" stroke-dasharray="9 3 1.5 3"',
}
_WIDTH, _HEIGHT, _RING, _NODE = 440, 368, 108, 17
_MIDDLE: Final = (_WIDTH / 2, 156)
_GAP, _APART = 26, 3.6
_DOTS_MAX: Final = 12
_COUNTED_ABOVE: Final = 4
_BAR: Final = 110
_SPAN_MIN: Final = 20


def page(moment: Moment, strip: str) -> str:
    """Return a moment and the strip as one piece of HTML of constant height."""
    lists = f"<div>{_faults(moment)}{_requests(moment)}{_latest(moment)}</div>"
    return card(
        '<div style="display:flex;flex-wrap:wrap;gap:6px 26px;align-items:center">'
        f"{picture(moment)}{lists}</div>{_table(moment)}{strip}"
    )


def summary(moment: Moment) -> str:
    """Return the moment as one sentence, for screen readers.

    >>> from vectorkit import sim
    >>> run = sim.simulate(sim.ClusterOptions(replicas=2), duration_ms=500)
    >>> summary(Moments(run).at(100))
    'At 100 ms node-0 is master; 2 Connected.'
    """
    masters = [each.node for each in moment.nodes if each.role == "master"]
    down = [each.node for each in moment.nodes if each.role == "down"]
    parts = [f"{_listed(masters)} master{'s' * (len(masters) > 1)}" if masters else "no master"]
    parts += [f"{_listed(down)} down"] if down else []
    counts = dict.fromkeys(STATUS_COLOURS, 0)
    for each in moment.nodes:
        if each.status is not None:
            counts[each.status] += 1
    parts += [f"{count} {status}" for status, count in counts.items() if count]
    parts += [f"active fault: {fault}" for fault in moment.faults]
    return f"At {moment.time_ms:,.0f} ms {'; '.join(parts)}."


def _listed(nodes: list[str]) -> str:
    return f"{' and '.join(nodes)} {'is' if len(nodes) == 1 else 'are'}"


def picture(moment: Moment) -> str:
    """Return the nodes in a circle, with the messages in flight between them, as SVG."""
    count = len(moment.nodes)
    places = {each.node: _place(index, count) for index, each in enumerate(moment.nodes)}
    return "".join(
        [
            _svg(_WIDTH, _HEIGHT, summary(moment)),
            *(_link(each, places) for each in moment.links),
            *(_node(each, *places[each.node]) for each in moment.nodes),
            _legend(),
            "</svg>",
        ]
    )


def _node_colour(node: str) -> str:
    """Return a node's colour, readable in both themes; black becomes the text colour."""
    colour = node_colour(node)
    return _INK if colour == "#000000" else _on_both(colour)


def _status_colour(status: str) -> str:
    return _on_both(STATUS_COLOURS[status])


def _on_both(colour: str) -> str:
    for behind in _THEMES:
        colour = readable_on(colour, behind)
    return colour


def _place(index: int, count: int) -> tuple[float, float]:
    turn = 2 * pi * index / count - pi / 2
    return _MIDDLE[0] + _RING * cos(turn), _MIDDLE[1] + _RING * sin(turn)


def _link(link: LinkMoment, places: dict[str, tuple[float, float]]) -> str:
    (x0, y0), (x1, y1) = places[link.source], places[link.target]
    length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
    along = (x1 - x0) / length, (y1 - y0) / length
    across = -along[1], along[0]

    def at(share: float, aside: float = _APART) -> tuple[float, float]:
        gone = _GAP + share * (length - 2 * _GAP)
        return x0 + along[0] * gone + across[0] * aside, y0 + along[1] * gone + across[1] * aside

    (a, b), (c, d) = at(0), at(1)
    drawn = [f'<line x1="{a:.1f}" y1="{b:.1f}" x2="{c:.1f}" y2="{d:.1f}" {_LINES[link.state]}/>']
    if link.state == "cut":
        drawn.append(_text(*at(0.42), "✕", size=9, colour=_INK, lift=3))
    for share in link.progress[:_DOTS_MAX]:
        x, y = at(share)
        drawn.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.4" fill="{_INK}"/>')
    if link.in_flight > _COUNTED_ABOVE:
        drawn.append(_text(*at(0.62, _APART + 10), str(link.in_flight), size=10, lift=3))
    return "".join(drawn)


def _node(node: NodeMoment, x: float, y: float) -> str:
    colour, number = _node_colour(node.node), str(node_number(node.node))
    drawn = []
    if node.status is not None:
        drawn.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{_NODE + 4.5}" fill="none" '
            f'stroke="{_status_colour(node.status)}" stroke-width="4"/>'
        )
    is_master, is_down = node.role == "master", node.role == "down"
    dashes = {"candidate": "5 3", "returning": "1.5 2.5", "starting": "1.5 2.5"}.get(node.role)
    dash = f' stroke-dasharray="{dashes}"' if dashes else ""
    fill = colour if is_master else BACK
    stroke = _GREY if is_down else colour
    drawn.append(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{_NODE}" fill="{fill}" stroke="{stroke}" '
        f'stroke-width="2.5"{dash}/>'
    )
    inside = BACK if is_master else _GREY if is_down else _INK
    drawn.append(_text(x, y, "✕" if is_down else number, size=14, colour=inside, lift=5))
    # Outside of the circle no link crosses the text.
    aside, down = (x - _MIDDLE[0]) / _RING, (y - _MIDDLE[1]) / _RING
    is_beside = abs(down) < 0.75
    away = _NODE + 11
    left = x + (away if aside > 0 else -away) * is_beside
    top = y - 2 if is_beside else y + away + 9 if down > 0 else y - away - 12
    anchor = "middle" if not is_beside else "start" if aside > 0 else "end"
    drawn.append(_text(left, top, node.node, size=11, weight="bold", anchor=anchor))
    drawn.append(_text(left, top + 13, _role(node), size=11, anchor=anchor))
    return "".join(drawn)


def _role(node: NodeMoment) -> str:
    return node.role if node.condition in ("up", "down") else f"{node.role}, {node.condition}"


def _legend() -> str:
    drawn = []
    note = "Ring: health of the node, as known to its master at the last sample"
    drawn.append(_text(8, _HEIGHT - 43, note, size=10, colour=_GREY, anchor="start"))
    for index, status in enumerate(STATUS_COLOURS):
        x, y, colour = 14 + index * 106, _HEIGHT - 26, _status_colour(status)
        drawn.append(
            f'<circle cx="{x}" cy="{y}" r="5" fill="none" stroke="{colour}" stroke-width="3.5"/>'
        )
        drawn.append(_text(x + 11, y, status, size=11, lift=4, anchor="start"))
    for index, (state, look) in enumerate(list(_LINES.items())[1:]):
        x, y = 8 + index * 106, _HEIGHT - 8
        drawn.append(f'<line x1="{x}" y1="{y}" x2="{x + 26}" y2="{y}" {look}/>')
        drawn.append(_text(x + 32, y, state, size=11, lift=4, anchor="start"))
    return "".join(drawn)


_HEAD: Final = (
    *("node", "role", "epoch", "health", "lag", "true lag", "log", "flushed", "applied"),
    *("", "disk"),
)


def _table(moment: Moment) -> str:
    high = max(each.received for each in moment.nodes)
    behind = high - min((each.applied for each in moment.nodes if each.role != "down"), default=0)
    low = max(0, high - max(_SPAN_MIN, int(1.15 * behind)))
    rows = "".join(_row(each, low, high) for each in moment.nodes)
    heads = "".join(f'<th style="{_cell(index)}">{name}</th>' for index, name in enumerate(_HEAD))
    note = (
        "health and lag (ms): as known to the master at the last sample; true lag: exact; "
        f"bars: offsets {low:,} to {high:,} received, flushed, applied"
    )
    return (
        '<table style="border-collapse:collapse;font:inherit;color:inherit;'
        'font-variant-numeric:tabular-nums">'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
        f'<div style="color:{_GREY};margin:1px 5px 6px">{note}</div>'
    )


def _row(node: NodeMoment, low: int, high: int) -> str:
    is_down = node.role == "down"
    log = (
        f"{node.first_offset:,}…{node.received:,}"
        if node.received >= node.first_offset
        else "empty"
    )
    colour = _status_colour(node.status) if node.status else ""
    dot = f'<span style="color:{colour}">●</span> ' if colour else ""
    cells = [
        f'<span style="color:{_node_colour(node.node)}">■</span> <b>{escape(node.node)}</b>',
        escape(_role(node)),
        escape(node.epoch or "—"),
        dot + escape(node.status or "—"),
        "—" if node.lag_ms is None else f"{node.lag_ms:,.0f}",
        "—" if node.lag_ms_true is None else f"{node.lag_ms_true:,.0f}",
        log,
        f"{node.flushed:,}",
        "—" if is_down else f"{node.applied:,}",
        _log_bar(node, low, high),
        escape(node.disk),
    ]
    listed = "".join(f'<td style="{_cell(index)}">{each}</td>' for index, each in enumerate(cells))
    return f"<tr>{listed}</tr>"


def _cell(index: int) -> str:
    align = "right" if index in (4, 5, 6, 7, 8) else "left"
    return f"text-align:{align};padding:1px 5px;white-space:nowrap"


def _log_bar(node: NodeMoment, low: int, high: int) -> str:
    def width(offset: int) -> float:
        return _BAR * max(0, offset - low) / max(1, high - low)

    colour = _node_colour(node.node)
    parts = [(node.received, 3, 6, 0.25), (node.flushed, 3, 6, 0.45), (node.applied, 1, 10, 1.0)]
    bars = "".join(
        f'<rect x="0" y="{y}" width="{width(offset):.1f}" height="{height}" fill="{colour}" '
        f'opacity="{opacity}"/>'
        for offset, y, height, opacity in parts
    )
    line = f'<line x1="0" y1="11.5" x2="{_BAR}" y2="11.5" {_PALE}/>'
    return f"{_svg(_BAR, 12, 'log of the node')}{line}{bars}</svg>"


def _requests(moment: Moment) -> str:
    counts = (("writes", moment.writes), ("reads", moment.reads))
    lines = [_request_line(name, count) for name, count in counts if count.asked]
    return _lines("clients", lines or ["no requests so far"], 2)


def _request_line(name: str, count: RequestCounts) -> str:
    return (
        f"{count.asked:,} {name}: {count.ok:,} answered, {count.failed:,} failed, "
        f"{count.waiting:,} waiting"
    )


def _faults(moment: Moment) -> str:
    return _lines("active faults", moment.faults or ["none"], 4)


def _latest(moment: Moment) -> str:
    lines = [f"{each.time_ms:,.1f} ms  {each.text}" for each in moment.latest]
    return _lines("latest events", lines, 5)


def _lines(title: str, lines: Iterable[str], count: int) -> str:
    """Return a titled list padded or cut to `count` lines, so that nothing below it moves."""
    listed = [escape(line) for line in lines]
    if len(listed) > count:
        listed[count - 1 :] = [f"… and {len(listed) - count + 1} more"]
    listed += ["&nbsp;"] * (count - len(listed))
    body = "".join(f"<div>{line}</div>" for line in listed)
    return f'<div style="margin:0 5px 5px"><b>{title}</b>{body}</div>'


class Strip:
    """The whole run as one band per node, with a line at the shown time."""

    _LEFT, _RIGHT, _ROW, _TOP = 62, 14, 17, 12

    def __init__(self, moments: Moments, *, width: int = 960) -> None:
        self._width = width
        self._height = self._TOP + self._ROW * len(moments.node_ids) + 34
        self._duration_ms = max(moments.duration_ms, 1e-6)
        self._still = "".join(
            [
                *self._shades(moments),
                *self._bands(moments),
                *self._pauses(moments),
                *self._axis(),
                self._key(),
            ]
        )

    def at(self, time_ms: float) -> str:
        """Return the strip with its line at a time in ms."""
        x, low = self._x(time_ms), self._height - 32
        mark = f'<path d="M{x - 5:.1f} 0H{x + 5:.1f}L{x:.1f} 8Z" fill="{_INK}"/>'
        line = f'<line x1="{x:.1f}" y1="4" x2="{x:.1f}" y2="{low}" stroke="{_INK}"/>'
        return (
            f"{_svg(self._width, self._height, 'the whole run', fits=True)}"
            f"{self._still}{line}{mark}</svg>"
        )

    def _x(self, time_ms: float) -> float:
        room = self._width - self._LEFT - self._RIGHT
        return self._LEFT + room * min(time_ms / self._duration_ms, 1.0)

    def _shades(self, moments: Moments) -> Iterable[str]:
        rows = {node: row for row, node in enumerate(moments.node_ids)}
        for each in moments.windows:
            affected = [rows[name] for name in each.fault.names if name in rows]
            for row in affected or rows.values():
                yield self._rect(each.start_ms, each.end_ms, row, 0, self._ROW, _INK, 0.13)

    def _bands(self, moments: Moments) -> Iterable[str]:
        for row, node in enumerate(moments.node_ids):
            low = self._TOP + row * self._ROW + 13
            yield _text(self._LEFT - 8, low, node, size=11, anchor="end")
            for start_ms, end_ms, role, status in moments.stretches(node):
                if role == "master":
                    yield self._rect(start_ms, end_ms, row, 2, 13, _node_colour(node), 1)
                elif role == "candidate":
                    yield self._rect(start_ms, end_ms, row, 2, 13, _node_colour(node), 0.45)
                elif role != "down" and status is not None:
                    yield self._rect(start_ms, end_ms, row, 6, 5, _status_colour(status), 1)

    def _pauses(self, moments: Moments) -> Iterable[str]:
        """Fade the band of a paused node: in any role, it did nothing."""
        for each in moments.windows:
            if isinstance(each.fault, Pause) and each.fault.node in moments.node_ids:
                row = moments.node_ids.index(each.fault.node)
                yield self._rect(each.start_ms, each.end_ms, row, 2, 13, BACK, 0.6)

    def _rect(
        self,
        start_ms: float,
        end_ms: float,
        row: int,
        top: int,
        height: int,
        fill: str,
        opacity: float,
    ) -> str:
        x, y = self._x(start_ms), self._TOP + row * self._ROW + top
        width = max(self._x(end_ms) - x, 1.2)
        return (
            f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{height}" fill="{fill}" '
            f'opacity="{opacity}"/>'
        )

    def _axis(self) -> Iterable[str]:
        y, end = self._height - 32, self._width - self._RIGHT
        yield f'<line x1="{self._LEFT}" y1="{y}" x2="{end}" y2="{y}" stroke="{_GREY}"/>'
        step_s = _tick_s(self._duration_ms / 1_000)
        for number in range(int(self._duration_ms / 1_000 / step_s) + 1):
            x = self._x(number * step_s * 1_000)
            yield f'<line x1="{x:.1f}" y1="{y}" x2="{x:.1f}" y2="{y + 4}" stroke="{_GREY}"/>'
            yield _text(x, y + 15, f"{number * step_s:g} s", size=10)

    def _key(self) -> str:
        text = (
            "tall: master · pale: candidate · thin: replica (colour: health) · gap: down · "
            "faded: paused · grey: fault"
        )
        return _text(
            self._width - self._RIGHT, self._height - 4, text, size=10, anchor="end", colour=_GREY
        )


def _tick_s(length_s: float) -> float:
    """Return a tick distance of 1, 2 or 5 times a power of ten, for at most ten ticks.

    >>> _tick_s(31), _tick_s(4.1), _tick_s(0.3)
    (5.0, 0.5, 0.05)
    """
    sizes = (base * 10.0**power for power in range(-4, 6) for base in (1, 2, 5))
    return next(size for size in sizes if length_s / size <= 10)


def _svg(width: float, height: float, label: str, *, fits: bool = False) -> str:
    style = "width:100%;max-width:960px;display:block" if fits else "flex:none"
    return (
        f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" style="{style}" '
        'font-family="system-ui,sans-serif">'
    )


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int,
    colour: str = _INK,
    weight: str = "normal",
    lift: int = 0,
    anchor: str = "middle",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y + lift:.1f}" font-size="{size}" fill="{colour}" '
        f'font-weight="{weight}" text-anchor="{anchor}">{escape(text)}</text>'
    )

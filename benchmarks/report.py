"""The kept history as one HTML page that needs nothing else, and as tables of the site."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from string import Template
from typing import Any

from benchmarks import budgets as limits
from benchmarks import history, tables
from benchmarks.budgets import SIGNS, Budget
from benchmarks.figures import WHO_MAX, cost, draw_times, draw_trend
from benchmarks.history import Record
from benchmarks.rows import OURS, number_of
from benchmarks.suites import SUITES
from vectorkit.errors import InvalidOption

TEMPLATE = Path(__file__).with_name("page.html")
DPI = 90
TRENDS_MAX = 3
COLUMNS = (
    *("who", "median, µs", "IQR", "repeats", "warm-up, s", "compile, s"),
    *("of the limit", "beside it"),
)


def write_page(records: Sequence[Record], budgets: Sequence[Budget], out: Path) -> None:
    """Write the page; figures lie in it, so that it can be sent as it is."""
    parts = [_suite(name, records, budgets) for name in SUITES]
    run = max((each["run"] for each in records), key=lambda run: run["date"])
    verdicts = _verdicts(records, budgets)
    values = {
        "date": run["date"],
        "machine": escape(f"{run['cpu']}, {run['cores']} cores, Python {run['python']}"),
        "commit": escape(run["commit"]),
        "versions": escape(", ".join(f"{k} {v}" for k, v in run.get("versions", {}).items())),
        "runs": str(len(history.runs(records))),
        "verdicts": _html_table(("budget", "measured", "limit", ""), verdicts),
        "suites": "\n".join(part for part in parts if part),
    }
    text = Template(TEMPLATE.read_text("utf-8")).substitute(values)
    out.write_text(text, encoding="utf-8")


def _verdicts(records: Sequence[Record], budgets: Sequence[Budget]) -> list[tuple[str, ...]]:
    """Every budget that a newest row has, the ones that are past first."""
    newest = history.newest(records)
    found = limits.judged(newest, budgets, "full") + limits.judged(newest, budgets, "quick")
    rows = []
    for each in sorted(found, key=lambda verdict: verdict.is_kept):
        sign = SIGNS[each.budget.relation]
        place = str(each.budget)
        if each.record is not None:
            run = each.record["run"]
            where = f"{run['cores']} cores, {run['form']}"
            place = f"{each.record['suite']} / {each.record['case']}, {where}: {each.budget.value}"
        verdict = "kept" if each.is_kept else "PAST"
        rows.append((place, tables.short(each.value), f"{sign} {each.limit:g}", verdict))
    return rows


def _suite(name: str, records: Sequence[Record], budgets: Sequence[Budget]) -> str:
    """A suite's cases: peers side by side now, and what is judged over all runs."""
    mine = [each for each in records if each["suite"] == name]
    if not mine:
        return ""
    parts = [f"<h2 id='{name}'>{name}</h2><p>{escape(SUITES[name].what)}</p>"]
    for case, group in _cases(mine).items():
        title = f"{escape(case[0])} <small>{case[1]} cores, {case[2]}</small>"
        figure = _figure(group, budgets)
        alt = escape(f"{case[0]}: times of all now, and figures over all runs", quote=True)
        image = f'<img alt="{alt}" src="data:image/png;base64,{figure}">' if figure else ""
        rows = [_cells(each) for each in sorted(history.newest(group), key=cost)]
        table = _html_table(COLUMNS, rows)
        parts.append(f"<details><summary>{title}</summary>{image}{table}</details>")
    return "\n".join(parts)


def _cases(records: Iterable[Record]) -> dict[tuple[str, int, str], list[Record]]:
    found: dict[tuple[str, int, str], list[Record]] = {}
    for each in records:
        run = each["run"]
        found.setdefault((each["case"], run["cores"], run["form"]), []).append(each)
    return found


def _cells(record: Record) -> tuple[str, ...]:
    beside = [f"{name} {tables.short(value)}" for name, value in record["values"].items()]
    share = record.get("roofline_share")
    return (
        record["who"],
        tables.short(record.get("median_us")),
        tables.short(record.get("iqr_us")),
        str(record["repeats"]),
        tables.short(record.get("warm_up_s")),
        tables.short(record.get("compile_s")),
        "–" if share is None else f"{share:.0%} ({record['roofline_of']})",
        record["error"] or ", ".join(beside),
    )


def _figure(group: Sequence[Record], budgets: Sequence[Budget]) -> str:
    """Left what everybody takes now, then each judged value over all runs; "" for neither."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    timed = [each for each in history.newest(group) if each.get("median_us") is not None]
    trends = _trends(group, budgets)
    if not timed and not trends:
        return ""
    height = max(1.9, 0.22 * min(len(timed), WHO_MAX) + 0.9)
    figure = Figure(figsize=(10, height), layout="constrained")
    FigureCanvasAgg(figure)
    shares = ([1.3] if timed else []) + [1.0] * len(trends)
    axes = list(figure.subplots(1, len(shares), width_ratios=shares, squeeze=False)[0])
    if timed:
        draw_times(axes.pop(0), timed)
    dates = history.runs(group)
    for ax, (name, (budget, values)) in zip(axes, trends.items(), strict=True):
        points = [(dates.index(date), value) for date, value in values]
        draw_trend(ax, name, points, budget, group[0]["run"]["form"])
        shown = sorted({0, len(dates) - 1})
        ax.set_xticks(shown, [dates[each][:10] for each in shown])
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return base64.b64encode(buffer.getvalue()).decode("ascii")


Trend = tuple[Budget | None, list[tuple[str, float]]]


def _trends(group: Sequence[Record], budgets: Sequence[Budget]) -> dict[str, Trend]:
    """Judged values by run; without a budget our own median times, for what a drift is worth."""
    found: dict[str, Trend] = {}
    for budget in budgets:
        meant = [each for each in group if budget.covers(each)]
        points = [(each["run"]["date"], number_of(each, budget.value)) for each in meant]
        there = [(date, value) for date, value in points if value is not None]
        if there:
            found[budget.value] = (budget, there)
    if not found:
        ours = [each for each in group if each["who"] == OURS]
        points = [(each["run"]["date"], each.get("median_us")) for each in ours]
        there = [(date, value) for date, value in points if value is not None]
        if there:
            found["our median, µs"] = (None, there)
    return dict(list(found.items())[:TRENDS_MAX])


def _html_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(each)}</th>" for each in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<div class='wide'><table><tr>{head}</tr>{body}</table></div>"


MARKED = re.compile(r"(<!-- table: (?P<name>[\w ]+) -->\n).*?(<!-- end of table -->)", re.S)


def filled(text: str, records: Sequence[Record], budgets: Sequence[Budget]) -> str:
    """The text of a document with every marked table filled from the newest runs.

    Raises InvalidOption for a document without markers and for a table that there is not.
    """
    names = [match["name"] for match in MARKED.finditer(text)]
    unknown = [name for name in names if name not in {"machine", "bars", *SUITES}]
    if unknown or not names:
        raise InvalidOption(
            "the tables of a document cannot be filled",
            got=", ".join(unknown) or "no markers",
            wanted=f"machine, bars, or a suite: {', '.join(SUITES)}",
            remedy="mark each by <!-- table: NAME --> and <!-- end of table -->, a line each",
        )
    newest = history.newest(records)

    def table(match: re.Match[str]) -> str:
        return f"{match[1]}\n{_table(match['name'], newest, budgets)}\n\n{match[3]}"

    return MARKED.sub(table, text)


def _table(name: str, newest: Sequence[Record], budgets: Sequence[Budget]) -> str:
    if name == "bars":
        return tables.bars(newest, budgets)
    if name == "machine":
        return machine_told(newest)
    is_full = any(each["suite"] == name and each["run"]["form"] == "full" for each in newest)
    form = "full" if is_full else "quick"
    note = "" if is_full else "From a quick run: small sizes, no figures to quote.\n\n"
    whole = [each for each in newest if name != "streaming" or ": " not in each["case"]]
    return note + tables.suite(whole, name, form)


def machine_told(records: Sequence[Record]) -> str:
    """What the newest full run ran on, or the newest run where there is none."""
    full = [each["run"] for each in records if each["run"]["form"] == "full"]
    run: dict[str, Any] = max(
        full or [each["run"] for each in records], key=lambda each: each["date"]
    )
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    return (
        f"{run['cpu']}, Python {run['python']}, {run['dtype']}, commit {run['commit']}, "
        f"{run['date'][:10]}, {run['form']} run. {versions}."
    )

"""Results as text: a line while running, tables for a document, two runs side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from benchmarks.budgets import HOLDS, SIGNS, Budget
from benchmarks.history import Record
from benchmarks.rows import key, number_of


def told(record: Record) -> str:
    """One result in one line."""
    run = record["run"]
    head = f"{record['suite']}[{run['cores']}] {record['case']} · {record['who']}:"
    if record["error"]:
        return f"{head} {record['error']}"
    parts = [f"{name} {short(value)}" for name, value in record["values"].items()]
    if record["median_us"] is not None:
        spread = f"± {short(record['iqr_us'])}, {record['repeats']} repeats"
        parts.insert(0, f"{short(record['median_us'])} µs ({spread})")
    if record["roofline_share"] is not None:
        parts.append(f"{record['roofline_share']:.0%} of the {record['roofline_of']} limit")
    return f"{head} {', '.join(parts)}"


def short(number: float | None) -> str:
    if number is None:
        return "–"
    if number == int(number) or abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:,.3g}"


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def bars(records: Sequence[Record], budgets: Iterable[Budget]) -> str:
    """What was measured last against every bar; a quick run, without a full one, by its budgets.

    Bars are for the sizes of a full run.
    """
    rows = []
    for budget in budgets:
        meant = [each for each in records if budget.covers(each)]
        form = "full" if any(each["run"]["form"] == "full" for each in meant) else "quick"
        is_bar = form == "full" and budget.bar is not None
        aim = budget.bar if is_bar else budget.limit(form)
        for each in meant:
            value = number_of(each, budget.value)
            if each["run"]["form"] != form or aim is None or value is None:
                continue
            is_met = HOLDS[budget.relation](value, aim)
            case = f"{each['suite']}: {each['case']}"
            place = f"{each['run']['cores']}, {form}"
            bar = f"{SIGNS[budget.relation]} {short(aim)}"
            verdict = "met" if is_met else "**missed**"
            rows.append((case, each["who"], budget.value, short(value), bar, verdict, place))
    return markdown(("what", "who", "figure", "measured", "bar", "", "cores, form"), rows)


def suite(records: Sequence[Record], name: str, form: str = "full") -> str:
    """One suite's newest results: competitors by case, quickest first."""
    mine = [each for each in records if each["suite"] == name and each["run"]["form"] == form]
    counts: dict[tuple[str, int], list[Record]] = {}
    for each in mine:
        counts.setdefault((each["case"], each["run"]["cores"]), []).append(each)
    rows = []
    for (case, cores), group in counts.items():
        for number, each in enumerate(sorted(group, key=_quickest)):
            rows.append((case if number == 0 else "", str(cores), *_cells(each)))
    return markdown(
        ("case", "cores", "who", "median, µs", "IQR", "of the limit", "beside it"), rows
    )


def _quickest(record: Record) -> float:
    return float("inf") if record["median_us"] is None else float(record["median_us"])


def _cells(record: Record) -> tuple[str, ...]:
    beside = ", ".join(f"{name} {short(value)}" for name, value in record["values"].items())
    share = record.get("roofline_share")
    return (
        record["who"],
        short(record["median_us"]),
        short(record["iqr_us"]),
        "–" if share is None else f"{share:.0%}",
        record["error"].replace("|", "/") or beside,
    )


def compared(records: Sequence[Record], before: str, after: str) -> Iterator[str]:
    """What changed between two runs: numbers that differ by more than a tenth, as ratios."""
    old = {key(each): each for each in records if each["run"]["date"] == before}
    new = {key(each): each for each in records if each["run"]["date"] == after}
    yield f"{before} → {after}: {len(old.keys() & new.keys())} rows in both"
    for each, record in new.items():
        if each in old:
            changes = list(_changes(_numbers(old[each]), _numbers(record)))
            if changes:
                yield f"{' / '.join(map(str, each[:4]))}: {', '.join(changes)}"
    for title, gone in (("only before", old.keys() - new.keys()), ("only after", new.keys() - old)):
        if gone:
            yield f"{title}: {len(gone)} rows"


def _numbers(record: Record) -> dict[str, float | None]:
    return {"median_us": record["median_us"], **record["values"]}


def _changes(old: Mapping[str, float | None], new: Mapping[str, float | None]) -> Iterator[str]:
    for name, value in new.items():
        was = old.get(name)
        if value is None or was is None or value == was:
            continue
        if was == 0 or not 0.9 <= value / was <= 1.1:
            times = f", {value / was:.2f} ×" if was else ""
            yield f"{name} {short(was)} → {short(value)}{times}"

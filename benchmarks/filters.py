"""What a filter costs: against pandas, a Python loop and an exact search, for sizes and shares.

    python -m benchmarks.filters [--quick]

Medians of one run on one machine, the ways interleaved: compare the ratios. The filter is
`{"year": {"gte": y}, "lang": {"in": ["en", "de"]}}`, with `y` chosen for the share of rows that
pass. The loop reads payload dicts, pandas has its columns made beforehand, the search scores
128 numbers a row. Updates are one payload of four keys, two of which have been filtered by.
"""

import argparse
from collections.abc import Callable
from time import perf_counter

import numpy as np
import pandas as pd

from vectorkit.collections.columns import Columns
from vectorkit.collections.filters import parse
from vectorkit.draws import address, draw_block

SHARES = (0.001, 0.01, 0.1, 0.5, 0.9)
LANGS = np.array(["en"] * 12 + ["de"] * 7 + ["fr"])
YEARS = 10_000


def drawn(count: int) -> list[dict[str, object]]:
    draws = draw_block(address(7), 2 * count).astype(np.int64)
    years = (draws[:count] % YEARS).tolist()
    langs = LANGS[draws[count:] % len(LANGS)].tolist()
    return [
        {"year": year, "lang": lang, "title": f"title {index}", "votes": 0.5 * index}
        for index, (year, lang) in enumerate(zip(years, langs, strict=True))
    ]


def medians_us(ways: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats + 1):
        for name, way in ways.items():
            started = perf_counter()
            way()
            if repeat:
                times[name].append((perf_counter() - started) * 1e6)
    return {name: float(np.median(taken)) for name, taken in times.items()}


def masks(payloads: list[dict[str, object]], columns: Columns, repeats: int) -> pd.DataFrame:
    count = len(payloads)
    frame = pd.DataFrame({key: [p[key] for p in payloads] for key in ("year", "lang")})
    vectors = np.ones((count, 128), np.float32)
    rows = []
    for share in SHARES:
        year = round(YEARS * (1 - share / 0.95))
        where = {"year": {"gte": year}, "lang": {"in": ["en", "de"]}}
        checked = parse(where)
        ways: dict[str, Callable[[], object]] = {
            "parse": lambda where=where: parse(where),
            "filter": lambda checked=checked: checked.mask(columns, count),
            "pandas": lambda year=year: (
                (frame["year"] >= year) & frame["lang"].isin(["en", "de"])
            ).to_numpy(),
            "search": lambda: vectors @ vectors[0],
        }
        loop: dict[str, Callable[[], object]] = {
            "loop": lambda year=year: [
                p["year"] >= year and p["lang"] in {"en", "de"} for p in payloads
            ]
        }
        taken = medians_us(ways, repeats) | medians_us(loop, 1)
        passed = checked.mask(columns, count)
        assert (passed == ways["pandas"]()).all()
        assert passed.tolist() == loop["loop"]()
        rows.append(
            {"rows": count, "share": passed.mean()} | {f"{n}_us": t for n, t in taken.items()}
        )
    table = pd.DataFrame(rows)
    for peer in ("pandas", "loop"):
        table[f"{peer}_to_filter"] = table[f"{peer}_us"] / table["filter_us"]
    table["filter_to_search"] = table["filter_us"] / table["search_us"]
    return table


def writes(payloads: list[dict[str, object]], columns: Columns, repeats: int) -> pd.DataFrame:
    count = len(payloads)
    listed: list[object] = list(payloads)
    changed = {"year": 5, "lang": "fr", "title": "new", "votes": 0.5}

    def fresh() -> None:
        made = Columns(payloads)
        made.column("year", count)
        made.column("lang", count)

    def assign() -> None:
        for slot in range(1_000):
            listed[slot] = changed

    def reread_one() -> None:
        for slot in range(1_000):
            payloads[slot] = changed
            columns.reread((slot,))

    def reread_many() -> None:
        columns.reread(range(1_000))

    taken = medians_us({"assign": assign, "one": reread_one, "many": reread_many}, repeats)
    build = medians_us({"build": fresh}, 3)["build"]
    row = {
        "rows": count,
        "build_ms": build / 1e3,
        "bytes_a_row_and_key": columns.nbytes / count / 2,
    }
    return pd.DataFrame([row | {f"{name}_us_a_row": each / 1e3 for name, each in taken.items()}])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small size, few repeats")
    quick = parser.parse_args().quick
    for count in (10_000,) if quick else (100_000, 1_000_000):
        payloads = drawn(count)
        columns = Columns(payloads)
        repeats = 5 if quick or count > 100_000 else 25
        for table in (masks(payloads, columns, repeats), writes(payloads, columns, repeats)):
            print(table.round(3).to_string(index=False), end="\n\n")


if __name__ == "__main__":
    main()

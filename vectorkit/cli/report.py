"""The tour's report: one HTML page that needs nothing else, figures as PNG, frames as CSV."""

from __future__ import annotations

import base64
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, Final

import jax
import numpy as np
import pandas as pd

from vectorkit import measure, plot, sim
from vectorkit.datasets import Dataset

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_DPI: Final = 160
_TEMPLATE: Final = "report.html"


@dataclass(frozen=True, slots=True)
class TourResults:
    """What the tour found out, ready to be shown."""

    words: Dataset
    neighbours: pd.DataFrame
    search_ms: float
    updates: pd.DataFrame
    scenario: sim.Scenario
    run: sim.Run
    replicas_during_cut: pd.DataFrame
    elapsed_s: float


def make_folders(out: Path) -> None:
    """Make the folders of a report; an OSError for what cannot be written to comes early."""
    for name in ("figures", "tables"):
        (out / name).mkdir(parents=True, exist_ok=True)


def write_report(found: TourResults, out: Path) -> Path:
    """Write figures, frames and the page into the report's folders; the result is the page."""
    figures = {
        "update_latency": _png(
            lambda ax: plot.plot_update_latency(found.updates, ax=ax), (7.2, 3.2)
        ),
        "health": _png(lambda ax: plot.plot_health(found.run.health, ax=ax), (7.2, 2.5)),
        "lag": _png(lambda ax: plot.plot_lag(found.run.health, ax=ax), (7.2, 2.9)),
    }
    tables = _tables(found)
    text = _page(found, figures, tables)
    for name, png in figures.items():
        (out / "figures" / f"{name}.png").write_bytes(png)
    for name, table in tables.items():
        table.to_csv(out / "tables" / f"{name}.csv", index=False)
    page = out / "report.html"
    page.write_text(text, encoding="utf-8")
    return page


def _tables(found: TourResults) -> dict[str, pd.DataFrame]:
    return {
        "neighbours": found.neighbours,
        "update_latency": found.updates,
        "update_summary": measure.summarise_updates(found.updates),
        "health": found.run.health,
        "operations": found.run.operations,
        "syncs": found.run.syncs,
        "replicas_during_cut": found.replicas_during_cut,
        "nodes": found.run.nodes,
    }


def _png(draw: Callable[[Axes], Axes], size: tuple[float, float]) -> bytes:
    """A figure as PNG bytes, drawn without a screen and without pyplot's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    draw(figure.subplots())
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def _page(found: TourResults, figures: dict[str, bytes], tables: dict[str, pd.DataFrame]) -> str:
    run, nodes = found.run, tables["nodes"]
    statuses = run.health[run.health["node"] == "node-3"]["status"]
    passed = statuses[statuses != statuses.shift()].tolist()
    summary = tables["update_summary"].round(2)
    single, batch = summary.iloc[0], summary.iloc[-1]
    cut, for_ms = _cut(found)
    full, partial = (run.syncs[run.syncs["kind"] == kind] for kind in ("full", "partial"))
    values: dict[str, Any] = {
        "count": f"{len(found.words):,}",
        "dim": found.words.dim,
        "seed": run.seed,
        "search_ms": f"{found.search_ms:.1f}",
        "queries": len(found.neighbours),
        "speedup_single": f"{single['speedup']:.1f}",
        "speedup_batch": f"{batch['speedup']:.1f}",
        "batch": f"{int(batch['batch']):,}",
        "update_us": f"{single['update_us']:.1f}",
        "writes": f"{len(run.operations['offset'].unique()):,}",
        "cut_node": ", ".join(cut.isolate),
        "cut_at_s": f"{cut.at_ms / 1e3:.0f}",
        "cut_for_s": f"{for_ms / 1e3:.0f}",
        "passed": " → ".join(passed),
        "healed_s": f"{(cut.at_ms + for_ms) / 1e3:.0f}",
        "full_s": f"{full['duration_ms'].median() / 1e3:.2f}",
        "snapshot_mb": f"{nodes['snapshot_size'].max() / 1e6:.1f}",
        "partial_count": len(partial),
        "partial_s": f"{partial['duration_ms'].max() / 1e3:.2f}",
        "partial_at_s": f"{partial['started_ms'].max() / 1e3:.1f}",
        "verdict": "equal on all nodes" if run.is_converged else "NOT equal",
        "digest": nodes["digest"].iloc[0],
        "trace_hash": run.trace_hash,
        "events": f"{run.event_count:,}",
        "duration_s": f"{run.duration_ms / 1e3:.1f}",
        "elapsed_s": f"{found.elapsed_s:.0f}",
        "scenario": escape(_code(found)),
        "machine": escape(_machine()),
        "neighbours": _html(found.neighbours),
        "updates": _html(summary),
        "during": _html(_some(found.replicas_during_cut, _DURING)),
        "syncs": _html(run.syncs),
        "nodes": _html(_some(nodes, _NODES)),
    }
    for name, png in figures.items():
        values[f"figure_{name}"] = base64.b64encode(png).decode("ascii")
    template = Path(__file__).with_name(_TEMPLATE).read_text(encoding="utf-8")
    return Template(template).substitute(values)


_DURING: Final = (
    "id",
    "status",
    "lag_ms",
    "lag_operations",
    "last_heartbeat",
    "round_trip_ms",
    "operations_synced",
)
_NODES: Final = (
    "node",
    "role",
    "offset",
    "digest",
    "operations_pending",
    "full_syncs",
    "partial_syncs",
    "bytes_sent",
    "bytes_received",
)


def _some(table: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    return table[list(columns)].replace({"digest": {r"(.{12}).*": r"\1…"}}, regex=True)


def _html(table: pd.DataFrame) -> str:
    whole = table.select_dtypes("integer").columns
    return table.to_html(
        index=False,
        border=0,
        na_rep="",
        formatters=dict.fromkeys(whole, "{:,}".format),
        float_format="{:,.2f}".format,
    )


def _cut(found: TourResults) -> tuple[sim.Partition, float]:
    """The one fault of the tour, and how long it lasts."""
    (cut,) = found.scenario.faults
    assert isinstance(cut, sim.Partition)
    assert cut.for_ms is not None
    return cut, cut.for_ms


def _code(found: TourResults) -> str:
    options, workload = found.scenario.options, found.scenario.workload
    link, (cut, for_ms) = options.link, _cut(found)
    assert workload is not None
    return f"""from vectorkit import sim

run = sim.simulate(
    sim.ClusterOptions(
        replicas={options.replicas},
        link=sim.Link(delay_ms={link.delay_ms}, jitter_ms={link.jitter_ms}, loss={link.loss}),
    ),
    workload=sim.Workload(writes_per_s={workload.writes_per_s}, source="{workload.source}"),
    faults=[sim.Partition(at_ms={cut.at_ms}, for_ms={for_ms}, isolate={list(cut.isolate)})],
    duration_ms={found.scenario.duration_ms},
    seed={found.scenario.seed},
)
assert run.trace_hash == "{found.run.trace_hash}"
run.plot.health()"""


def _machine() -> str:
    return (
        f"Python {platform.python_version()}, jax {jax.__version__}, numpy {np.__version__}, "
        f"pandas {pd.__version__}, {os.cpu_count()} cores, {platform.machine()}"
    )

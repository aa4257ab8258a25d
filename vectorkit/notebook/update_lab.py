"""The update lab: measure the cost of an update, compared with delete + insert, by kind.

It shows times measured on this machine, which differ from click to click.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np

from vectorkit.accessors import NotebookView
from vectorkit.collections import (
    Collection,
    CpuCollection,
    GpuCollection,
    QuantizedCollection,
    ShardedCollection,
)
from vectorkit.datasets import Dataset
from vectorkit.display import facts_table
from vectorkit.draws import address, draw_block, fold
from vectorkit.notebook.widgets import (
    Still,
    bundle,
    button,
    card,
    column,
    has_widgets,
    labelled,
    png,
    png_html,
    row,
)
from vectorkit.records import check_range, check_type

if TYPE_CHECKING:
    import pandas as pd

KINDS: Final[dict[str, Callable[..., Collection]]] = {
    "cpu": CpuCollection,
    "gpu": GpuCollection,
    "sharded": ShardedCollection,
    "int8": partial(QuantizedCollection, codec="int8"),
    "binary": partial(QuantizedCollection, codec="binary"),
    "pq": partial(QuantizedCollection, codec="pq"),
}
ROWS: Final = (500, 1_000, 2_000, 5_000, 10_000, 50_000)
DIMS: Final = (16, 64, 128, 384)
BATCHES: Final = (1, 16, 128, 1_024)
_REPEATS: Final = 3
_QUERIES: Final = 64
_K: Final = 10
_CENTRES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateChoice:
    """The selected measurement: `rows` of one kind, updated in calls of up to `batch` rows."""

    kind: str = "cpu"
    rows: int = 1_000
    dim: int = 64
    batch: int = 128

    @property
    def batches(self) -> tuple[int, ...]:
        """The compared numbers of rows per call."""
        return tuple(each for each in BATCHES if each <= min(self.batch, self.rows))

    @property
    def step_count(self) -> int:
        """The number of calls of `progress`: one per round, including the warm-up round."""
        return len(self.batches) * (_REPEATS + 1)


@dataclass(frozen=True, slots=True)
class Measured:
    """The result of a measurement; `latency` is a frame of `measure.update_latency`."""

    choice: UpdateChoice
    latency: pd.DataFrame
    recall: float | None
    """Recall@10 after the updates; None for a kind that is exact."""


def kinds_here() -> list[str]:
    """Return the kinds for which this machine has a device."""
    import jax

    has_gpu = any(device.platform != "cpu" for device in jax.devices())
    return [kind for kind in KINDS if kind != "gpu" or has_gpu]


def drawn(rows: int, dim: int, *, seed: int = 0) -> Dataset:
    """Return vectors around a few centres, like text embeddings; `rows` extends a smaller set.

    >>> drawn(3, 2)
    Dataset('drawn', 3 × 2)
    """

    def normal(stream: int, count: int) -> Any:
        """Return approximately normal draws: sums of four uniform draws."""
        four = draw_block(fold(address(seed), stream), 4 * count * dim).reshape(count, dim, 4)
        return (four.astype(np.float64) / 2**32).sum(axis=2) - 2.0

    centres = normal(1, _CENTRES)
    vectors = centres[np.arange(rows) % _CENTRES] + 0.5 * normal(2, rows)
    ids = tuple(f"row-{number}" for number in range(rows))
    return Dataset("drawn", ids, vectors.astype(np.float32), tuple({} for _ in ids))


def measured(
    choice: UpdateChoice, data: Dataset, progress: Callable[[], None] | None = None
) -> Measured:
    """Measure the updates, and the recall of a kind that is not exact.

    >>> measured(UpdateChoice(rows=500, batch=1), drawn(500, 8)).recall is None
    True
    """
    from vectorkit.measure import update_latency

    make = KINDS[choice.kind]
    latency = update_latency(
        data, make=make, batches=choice.batches, repeats=_REPEATS, progress=progress
    )
    return Measured(choice, latency, _recall(make, data))


def _recall(make: Callable[..., Collection], data: Dataset) -> float | None:
    """Return recall@10 of held-out queries after each row was updated; None if exact."""
    if not isinstance(make(dim=data.dim, metric="cosine"), QuantizedCollection):
        return None
    rest, queries = data.split(min(_QUERIES, len(data) - 1))
    best = moved(CpuCollection, rest).search_many(queries, k=_K).ids
    mine = moved(make, rest).search_many(queries, k=_K).ids
    hits = sum(len(set(a) & set(b)) for a, b in zip(best, mine, strict=True))
    return hits / best.size


def moved(make: Callable[..., Collection], data: Dataset) -> Collection:
    """Return a collection in which each row was updated to another row's vector.

    >>> moved(CpuCollection, drawn(5, 2))
    CpuCollection(5 × 2, cosine, version 2)
    """
    made = make(dim=data.dim, metric="cosine")
    made.upsert(data.ids, data.vectors)
    made.update_vectors(data.ids, data.vectors[::-1])
    return made


def picture_of(shown: Measured) -> bytes:
    """Return the plot of time per row by rows per call, as a PNG."""
    from vectorkit.plot import plot_update_latency

    ax = plot_update_latency(shown.latency)
    choice = shown.choice
    # The legend is on the left.
    ax.set_title(f"{choice.kind}, {choice.rows:,} × {choice.dim}", fontsize=10, loc="right")
    figure = ax.figure.get_figure(root=True)
    assert figure is not None
    return png(figure)


def table_of(shown: Measured) -> str:
    """Return the medians by rows per call, and the recall, as an HTML table."""
    from vectorkit.measure import summarise_updates

    facts: list[tuple[str, object]] = [
        (
            f"{each['batch']:,} per call",
            f"update {each['update_us']:,.1f} µs per row, delete + insert "
            f"{each['delete_insert_us']:,.1f} µs: {each['speedup']:.1f} ×",
        )
        for each in summarise_updates(shown.latency).to_dict("records")
    ]
    exact = "exact: each answer is proven"
    recall = exact if shown.recall is None else f"{shown.recall:.3f} after each row was updated"
    return facts_table([*facts, (f"recall@{_K}", recall)])


@final
class UpdateLab(NotebookView):
    """Controls for rows, dimension, rows per call and kind; `measure()` runs the selection.

    `measured` is the last measurement, None before the first. `html.value` is the measurement as
    HTML, and `status.value` the progress of a running one.

    Args:
        data: Measure with the first rows of this dataset and its dimension; None draws vectors.

    >>> lab = UpdateLab()
    >>> lab.kind.value, lab.rows.value = "int8", 500
    >>> lab.measure()
    >>> lab.measured.choice
    UpdateChoice(kind='int8', rows=500, dim=64, batch=128)
    """

    def __init__(self, data: Dataset | None = None) -> None:
        self.data = data
        self.measured: Measured | None = None
        first = _first(data)
        rows = ROWS if data is None else sorted({*(n for n in ROWS if n < len(data)), len(data)})
        dims = DIMS if data is None else (data.dim,)
        self.kind = labelled("Dropdown", "kind", options=kinds_here(), value=first.kind)
        self.rows = labelled("Dropdown", "rows", options=rows, value=first.rows)
        self.dim = labelled("Dropdown", "dimension", options=dims, value=first.dim)
        most = "rows per call, up to"
        self.batch = labelled("Dropdown", most, options=BATCHES, value=first.batch)
        self.button = button("Measure", self.measure, tooltip="takes a few seconds", width="120px")
        self.status = labelled("HTML", "", value="Press Measure. It takes a few seconds.")
        self.html = labelled("HTML", "")
        controls = row(self.kind, self.rows, self.dim, self.batch, self.button)
        self.view = column([controls, self.status, self.html])

    @property
    def choice(self) -> UpdateChoice:
        """The measurement that is selected now."""
        return UpdateChoice(
            kind=self.kind.value,
            rows=self.rows.value,
            dim=self.dim.value,
            batch=self.batch.value,
        )

    def measure(self) -> None:
        """Run the selected measurement and show it."""
        choice, done = self.choice, count(1)

        def show_progress() -> None:
            self.status.value = f"measuring, {next(done)} of {choice.step_count} rounds"

        self.button.disabled, self.status.value = True, "compiling …"
        try:
            self.measured = measured(choice, _data(choice, self.data), show_progress)
            picture = png_html(picture_of(self.measured), "time per row by rows per call")
            self.html.value = card(table_of(self.measured) + picture)
        finally:
            self.button.disabled, self.status.value = False, ""

    def __repr__(self) -> str:
        state = "nothing measured yet" if self.measured is None else f"{self.measured.choice}"
        return f"UpdateLab({state})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return bundle(self.view, text=repr(self), html=self.html.value or self.status.value)


def update_lab(data: Dataset | None = None) -> UpdateLab | Still:
    """Return controls that measure an update, compared with delete + insert of the same rows.

    The lab also reports recall. Times are measured on this machine when you press Measure.

    Args:
        data: Measure with the first rows of this dataset, which must have at least two; None draws
            vectors.

    Returns:
        An `UpdateLab`; or, if ipywidgets is missing, a `Still` with a first measurement and the
        command that installs ipywidgets.

    Raises:
        InvalidOption: `data` is not a `Dataset`, or has fewer than two rows.

    >>> update_lab()
    UpdateLab(nothing measured yet)
    """
    if data is not None:
        check_type("data", data, Dataset)
        check_range("the number of rows of data", len(data), 2, 1 << 40)
    if has_widgets():
        return UpdateLab(data)
    choice = _first(data)
    shown = measured(choice, _data(choice, data))
    return Still("Update lab", card(table_of(shown) + png_html(picture_of(shown), "time per row")))


def _first(data: Dataset | None) -> UpdateChoice:
    if data is None:
        return UpdateChoice()
    return UpdateChoice(rows=min(UpdateChoice().rows, len(data)), dim=data.dim)


def _data(choice: UpdateChoice, data: Dataset | None) -> Dataset:
    if data is None:
        return drawn(choice.rows, choice.dim)
    count = choice.rows
    return Dataset(data.name, data.ids[:count], data.vectors[:count], data.payloads[:count])

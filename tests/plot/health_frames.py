"""Health as a frame, written by hand: what a plot shows of it can be said in advance."""

import pandas as pd

from vectorkit import frames


def health(**nodes):
    """`node_1=[(time_ms, status, is_cut), …]` as a frame; all lags are 0, or a fourth value."""
    rows = [
        {
            **dict.fromkeys(frames.HEALTH, 0),
            "node": name.replace("_", "-"),
            "time_ms": time_ms,
            "status": status,
            "is_cut": is_cut,
            "lag_ms_true": lags[0] if lags else 0,
            "lag_ms": lags[1] if lags else 0,
        }
        for name, samples in nodes.items()
        for time_ms, status, is_cut, *lags in samples
    ]
    return pd.DataFrame(rows, columns=list(frames.HEALTH)).astype(frames.HEALTH)


def steady(until_ms, *cuts, status="Connected", step_ms=500):
    """Samples of one status up to `until_ms`, cut off from each start to each end."""
    return [
        (time_ms, status, any(start <= time_ms < end for start, end in cuts))
        for time_ms in range(0, until_ms + 1, step_ms)
    ]


def legend_texts(ax):
    legend = ax.get_legend()
    return [] if legend is None else [text.get_text() for text in legend.get_texts()]

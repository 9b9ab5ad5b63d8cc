"""The leaderboard job: rows of scores -> statistics -> a table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from causaliqa.errors import InputError
from causaliqa.functional.statistics import contradicts, summarise

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "FORMATS", "rank", "render", "wrong_directions"]

COLUMNS = ("dataset", "metric", "n", "n_failed", "plcc", "srcc", "krcc", "rmse")
"""What the printed table shows; csv and json hold more."""

FORMATS = ("plain", "github", "csv", "json", "latex")

_NEEDED = ("dataset", "metric", "label", "score", "label_lower_better", "lower_better")


def rank(frame: pd.DataFrame, *, by: str | None = None) -> pd.DataFrame:
    """Turn scores into one line of statistics per data set and metric, best SRCC first within a data set.

    Correlations are positive where metric and label agree *as declared*: nothing is made positive afterwards.

    Args:
        frame: one line a pair and metric, as :func:`causaliqa.evaluate` returns it.
        by: a further column to break down by, for example ``"type"``.

    Returns:
        Columns dataset, metric, (by,) n, n_failed, plcc (after the 4-parameter logistic fit), srcc, krcc, rmse (after
        the fit, in the unit of the labels), plcc_raw, fit, direction_ok, seconds (per pair).

    Raises:
        InputError: columns are missing.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"dataset": "d", "metric": "m", "score": [3.0, 2.0, 1.0], "label": [1.0, 2.0, 3.0]})
        >>> rank(frame.assign(label_lower_better=False, lower_better=True))[["n", "srcc"]].values.tolist()
        [[3.0, 1.0]]
    """
    import pandas as pd

    keys = ["dataset", "metric", *([by] if by else [])]
    if lacking := [c for c in (*_NEEDED, *keys) if c not in frame.columns]:
        raise InputError(f"rank: column {lacking[0]!r} is missing; got {', '.join(map(str, frame.columns))}")
    lines: list[dict[str, Any]] = []
    for group, part in frame.groupby(keys, sort=False):
        summary = summarise(
            pd.to_numeric(part["score"]).to_numpy(dtype=float),
            part["label"].to_numpy(dtype=float),
            lower_better=bool(part["lower_better"].iloc[0]),
            label_lower_better=bool(part["label_lower_better"].iloc[0]),
        )
        lines.append(
            {
                **dict(zip(keys, group, strict=True)),
                "n": summary.n,
                "n_failed": summary.n_failed,
                "plcc": summary.plcc,
                "srcc": summary.srcc,
                "krcc": summary.krcc,
                "rmse": summary.rmse,
                "plcc_raw": summary.plcc_raw,
                "fit": {
                    "kind": summary.fit.kind,
                    "params": list(summary.fit.params),
                    "converged": summary.fit.converged,
                },
                "direction_ok": summary.direction_ok,
                "seconds": float(part["seconds"].mean()) if "seconds" in part else None,
            }
        )
    table = pd.DataFrame(lines)
    order = {name: k for k, name in enumerate(dict.fromkeys(frame["dataset"]))}
    table["_set"] = table["dataset"].map(order)
    sort = ["_set", *([by] if by else []), "srcc"]
    table = table.sort_values(sort, ascending=[True] * (len(sort) - 1) + [False], kind="stable")
    return table.drop(columns="_set").reset_index(drop=True)


def wrong_directions(table: pd.DataFrame) -> list[str]:
    """Return a line for every rank whose correlation contradicts the declared directions significantly."""
    return [
        f"{row.metric} on {row.dataset}: SRCC {row.srcc:.3f} over {row.n} images contradicts the declared direction; "
        "check lower_better of the metric and mos or dmos of the labels"
        for row in table.itertuples()
        if contradicts(float(row.srcc), int(row.n))  # type: ignore[arg-type]
    ]


def render(
    table: pd.DataFrame, how: str, *, settings: Mapping[str, Any], versions: Mapping[str, str]
) -> str:
    """Write a table as text.

    Args:
        table: what :func:`rank` returns.
        how: ``plain``, ``github``, ``csv``, ``json`` or ``latex``.
        settings: what the run was asked for; part of the json.
        versions: versions of the packages behind the scores; part of the json.

    Raises:
        InputError: the format is unknown.
    """
    if how == "json":
        rows = [
            {k: _json(v) for k, v in row.items()} for row in table.to_dict(orient="records")
        ]
        document = {"schema": 1, "versions": dict(versions), "settings": dict(settings), "rows": rows}
        return json.dumps(document, indent=2, allow_nan=False)
    if how == "csv":
        flat = table.assign(
            fit=[fit["kind"] for fit in table["fit"]],
            fit_converged=[fit["converged"] for fit in table["fit"]],
            fit_params=[" ".join(repr(p) for p in fit["params"]) for fit in table["fit"]],
        )
        return flat.to_csv(index=False).rstrip("\n")
    styles = {"plain": "simple", "github": "github", "latex": "latex_booktabs"}
    if how not in styles:
        raise InputError(f"format: got {how!r}, expected one of {', '.join(FORMATS)}")
    return _text(table, styles[how])


def _text(table: pd.DataFrame, style: str) -> str:
    from tabulate import tabulate

    extra = [c for c in ("type", "level", "split") if c in table.columns]
    shown: Sequence[str] = [*COLUMNS[:2], *extra, *COLUMNS[2:]]
    cells = [[_cell(row[c]) for c in shown] for _, row in table[list(shown)].iterrows()]
    align = ["left" if c in ("dataset", "metric", *extra) else "right" for c in shown]
    return tabulate(cells, headers=shown, tablefmt=style, disable_numparse=True, colalign=align)


def _cell(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _json(value: Any) -> Any:
    """NaN has no place in JSON; NumPy's scalars neither."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, dict):
        return {k: _json(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_json(v) for v in value]
    return None if isinstance(value, float) and (value != value or abs(value) == float("inf")) else value

"""What callers pass, made into what collections store, or refused before anything changes."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, cast

import jax.numpy as jnp
import numpy as np
from jax.errors import TracerArrayConversionError
from numpy import inf, ndarray, vdot  # By their own names: `check_row` runs a million times.

from vectorkit.collections.execution.jax_context import plain_jax
from vectorkit.collections.values.conversion import (
    INT_MAX,
    count_masked,
    is_duration,
    is_missing,
    known_name,
    stored_id,
    whole_number,
)
from vectorkit.collections.values.not_storable import short
from vectorkit.errors import (
    DuplicateId,
    InvalidDimension,
    InvalidId,
    InvalidK,
    InvalidOption,
    InvalidVector,
    UnknownMetric,
)
from vectorkit.types import METRICS, Float32Array, Id, Metric

DIMENSION_MAX: Final = 65_536
K_MAX: Final = 1 << 20
ROWS_MAX: Final = 2**31 - 1
_FLOAT32: Final = np.dtype(np.float32)


def check_dim(dim: object) -> int:
    """A dimension from 1 to `DIMENSION_MAX`."""
    if (number := whole_number(dim)) is not None and 0 < number <= DIMENSION_MAX:
        return number
    raise InvalidDimension(
        "a collection cannot have this dimension",
        got=f"dim={short(dim)}",
        wanted=f"an integer from 1 to {DIMENSION_MAX}",
        remedy="pass the length of your vectors",
    )


def check_metric(metric: object) -> Metric:
    """One of `METRICS`."""
    if (known := known_name(metric, METRICS)) is not None:
        return cast("Metric", known)
    raise UnknownMetric(
        "a collection cannot use this metric",
        got=f"metric={short(metric)}",
        wanted=" or ".join(METRICS),
        remedy=nearest(metric, METRICS),
        allowed=list(METRICS),
    )


def check_name(name: object) -> str:
    """The name of a collection: a text that is not empty, as a plain str."""
    if isinstance(name, str) and name:
        return str.__str__(name)
    raise InvalidOption(
        "a collection needs a name",
        got=f"name={short(name)}",
        wanted="a text that is not empty",
        remedy="name the collection by what it holds",
    )


def check_k(k: object) -> int:
    """A number of neighbours from zero to `K_MAX`."""
    number = k if type(k) is int else whole_number(k)
    if number is not None and 0 <= number <= K_MAX:
        return number
    raise InvalidK(
        "cannot search for this number of neighbours",
        got=f"k={short(k)}",
        wanted=f"an integer from 0 to {K_MAX:,}",
        remedy="ask for as many rows as you want; fewer come where the collection has fewer",
    )


def check_row_count(count: object) -> int:
    """A number of rows from zero to `ROWS_MAX`."""
    if (number := whole_number(count)) is not None and 0 <= number <= ROWS_MAX:
        return number
    raise InvalidOption(
        "a collection cannot make room for this many rows",
        got=f"count={short(count)}",
        wanted=f"an integer from 0 to {ROWS_MAX:,}",
        remedy="pass how many rows you expect",
    )


def check_id(row_id: object) -> Id:
    """A str or int to ±`INT_MAX`: UUIDs become texts, Enums their values; others are refused."""
    if type(row_id) is str or (type(row_id) is int and -INT_MAX <= row_id <= INT_MAX):
        return row_id
    if (plain := stored_id(row_id)) is not None:
        return plain
    raise InvalidId(
        "this cannot be an id",
        got=f"{short(row_id)} ({type(row_id).__name__})",
        wanted="a str or an int of at most 64 bits",
        remedy=_id_remedy(row_id),
    )


def _id_remedy(row_id: object) -> str:
    if row_id is not None and is_missing(row_id):
        return "name every row: fill the ids that are missing, or leave these rows out"
    if is_duration(row_id) or isinstance(row_id, np.datetime64) or hasattr(row_id, "isoformat"):
        return "pass its text: str(id), or id.isoformat()"
    return "name rows by text or by whole numbers"


def check_ids(ids: Iterable[object]) -> tuple[Id, ...]:
    """Distinct ids of one kind."""
    if isinstance(ids, set | frozenset):
        raise InvalidId(
            "a set of ids has no order",
            got=short(ids),
            wanted="a list of ids, in the order of their rows",
            remedy="pass sorted(ids)",
        )
    if hasattr(ids, "columns") and hasattr(ids, "shape"):
        raise InvalidId(
            "a table of ids names its columns, not its rows",
            got=f"a {type(ids).__name__} of shape {ids.shape}",
            wanted="one column",
            remedy='pass df["column"], or df.index',
        )
    is_scalar = isinstance(ids, str | bytes) or getattr(ids, "shape", None) == ()
    if is_scalar or not isinstance(ids, Iterable):
        raise InvalidId(
            "a batch of ids must be a list",
            got=f"{short(ids)} ({type(ids).__name__})",
            wanted="a list of ids",
            remedy="put a single id into a list",
        )
    if type(ids) is np.ndarray and ids.ndim == 1 and ids.dtype.kind in "iu":
        ids = cast("list[object]", ids.tolist())
    names: tuple[Any, ...] = tuple(ids)
    # One look at a whole batch: a Python call for each id would take longer than its write.
    kinds = set(map(type, names))
    if kinds != {str} and not (kinds == {int} and -INT_MAX <= min(names) <= max(names) <= INT_MAX):
        names = tuple(map(check_id, names))
    if len(kinds := set(map(type, names))) > 1:
        raise mixed_ids(" and ".join(sorted(kind.__name__ for kind in kinds)))
    if len(set(names)) != len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise DuplicateId(
            "a batch names the same id twice",
            got=f"{short(twice)} more than once in {len(names)} ids",
            wanted="distinct ids",
            remedy="keep the last row of each id, or send two batches",
            id=twice,
        )
    return names


def mixed_ids(got: str) -> InvalidId:
    """The error for str and int ids in one collection."""
    return InvalidId(
        "ids of two kinds do not mix in one collection",
        got=got,
        wanted="only str or only int",
        remedy="convert the ids to one kind",
    )


def check_rows(
    vectors: Any, count: int | None, dim: int, *, is_shared: bool = False
) -> Float32Array:
    """Vectors as a contiguous float32 array of shape (count, dim); None takes any count.

    A new array, unless the caller says that it may share memory with what was passed.
    """
    is_ready = is_shared and type(vectors) is ndarray and vectors.dtype is _FLOAT32
    is_ready = is_ready and vectors.flags.c_contiguous
    rows = (vectors if is_ready else _as_float32(vectors, is_shared)).view()
    if rows.shape == (0,):
        rows = rows.reshape(0, dim)
    if rows.ndim != 2 or rows.shape != (len(rows) if count is None else count, dim):
        raise InvalidVector(
            "vectors have the wrong shape",
            got=f"shape {rows.shape}",
            wanted=f"shape ({'any number' if count is None else count}, {dim})",
            remedy="pass one row of the collection's dimension for each id or query",
        )
    is_finite = _has_finite_norm(rows)
    if not is_finite.all():
        bad = int(np.argmin(is_finite))
        raise _not_finite(f"row {bad} = {short(rows[bad].tolist())}", row_index=bad)
    rows.setflags(write=False)
    return rows


def check_row(vector: Any, dim: int) -> Float32Array:
    """One vector as float32 of shape (dim,). It may share memory with what was passed."""
    is_ready = type(vector) is ndarray and vector.dtype is _FLOAT32
    row: Float32Array = vector if is_ready else _as_float32(vector)
    if row.ndim != 1 or len(row) != dim:
        raise InvalidVector(
            "a vector has the wrong shape",
            got=f"shape {row.shape}",
            wanted=f"shape ({dim},)",
            remedy="pass one vector of the collection's dimension",
        )
    if not vdot(row, row) < inf:  # `dot` would warn of the overflow.
        raise _not_finite(short(row.tolist()))
    return row


def _as_float32(vectors: Any, is_shared: bool = False) -> Float32Array:
    if masked := count_masked(vectors):
        raise InvalidVector(
            "vectors have masked numbers",
            got=f"masked numbers: {masked}",
            wanted="no masked numbers",
            remedy="pass vectors.filled(value), or leave these rows out",
        )
    given: Any = _nullable_numbers(vectors)
    try:
        if given is None:
            with plain_jax():  # A jax.Array comes from its device here.
                given = np.asarray(vectors)
    except TracerArrayConversionError as error:
        raise _traced(vectors) from error
    except (TypeError, ValueError) as error:
        raise _wrong_dtype(f"a ragged {type(vectors).__name__}") from error
    if given.dtype.kind not in "fiu" and not jnp.issubdtype(given.dtype, jnp.floating):
        raise _wrong_dtype(f"dtype {given.dtype}")
    with np.errstate(over="ignore"):
        copy = None if is_shared else True
        return np.array(given, dtype=np.float32, order="C", copy=copy)


def _nullable_numbers(vectors: Any) -> Float32Array | None:
    """The numbers of a pandas object that has a nullable dtype, NaN where one is missing."""
    dtypes = getattr(vectors, "dtypes", None)
    if dtypes is None or not hasattr(vectors, "to_numpy"):
        return None
    kinds = list(dtypes) if isinstance(dtypes, Iterable) else [dtypes]
    if all(isinstance(each, np.dtype) for each in kinds):
        return None
    if not all(getattr(each, "kind", "") in {"f", "i", "u"} for each in kinds):
        raise _wrong_dtype(f"dtypes {', '.join(dict.fromkeys(map(str, kinds)))}")
    numbers: Float32Array = vectors.to_numpy("float32", na_value=np.nan)
    return numbers


def _has_finite_norm(rows: Float32Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    if len(rows) == 1:  # `dot` does not warn of an overflow.
        return np.array([vdot(rows, rows) < inf])
    with np.errstate(over="ignore", invalid="ignore"):
        squared: Float32Array = np.vecdot(rows, rows)
    return np.isfinite(squared)


def _traced(vectors: object) -> InvalidVector:
    return InvalidVector(
        "vectors must have values, but JAX is tracing",
        got=f"a traced array, {short(vectors)}",
        wanted="a NumPy array, a list of numbers, or a JAX array from outside of the function",
        remedy="call this outside of the function that jit, vmap, grad or scan transforms",
    )


def _wrong_dtype(got: str) -> InvalidVector:
    return InvalidVector(
        "vectors must be numbers",
        got=got,
        wanted="real numbers: float or integer arrays, nested lists of equal length, DataFrames",
        remedy="pass numbers, rows of equal length; for a row that is there, get(id).vector",
    )


def _not_finite(got: str, **details: int) -> InvalidVector:
    return InvalidVector(
        "a vector holds NaN or infinity, or is too long for float32",
        got=got,
        wanted="no NaN, no infinity, a norm below 1.8e19",
        remedy="drop, fill or rescale this vector",
        **details,
    )


def nearest(name: object, known: Iterable[str]) -> str:
    """A remedy for a name that is not known: the one that was probably meant, if any."""
    close = difflib.get_close_matches(str(name).lower(), list(known), n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else "pass one of these names"

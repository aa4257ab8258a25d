"""Frames of a schema: its columns in its order with its dtypes, with rows and without."""

from hypothesis import given
from hypothesis import strategies as st

from vectorkit import frames
from vectorkit.tabular import frame_of_columns, frame_of_rows

SCHEMA = {"id": "object", "rank": "int64", "score": "float64", "is_same": "bool", "count": "Int64"}
ROWS = st.lists(
    st.tuples(
        st.text(max_size=3) | st.integers(-9, 9),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False),
        st.booleans(),
        st.integers(0, 9),
    ),
    max_size=5,
)


@given(ROWS)
def test_rows_come_back_as_they_were(rows):
    frame = frame_of_rows(rows, SCHEMA)
    assert frame.dtypes.astype(str).to_dict() == SCHEMA
    assert list(frame.itertuples(index=False, name=None)) == rows


@given(ROWS)
def test_columns_make_the_same_frame_as_rows(rows):
    columns = {name: [row[place] for row in rows] for place, name in enumerate(SCHEMA)}
    assert frame_of_columns(columns, SCHEMA).equals(frame_of_rows(rows, SCHEMA))


def test_a_column_without_a_dtype_is_inferred_and_an_absent_one_is_empty():
    frame = frame_of_columns({"a": [1.5, 2]}, {"a": None})
    assert str(frame["a"].dtype) == "float64"
    assert frame_of_columns({}, SCHEMA).dtypes.astype(str).to_dict() == SCHEMA


def test_every_schema_makes_a_frame_without_rows():
    schemas = {name: getattr(frames, name) for name in frames.__all__ if name.isupper()}
    assert len(schemas) == 23
    for schema in schemas.values():
        assert frame_of_rows([], schema).dtypes.astype(str).to_dict() == dict(schema)

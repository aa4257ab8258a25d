"""Facts as HTML: every text is escaped, long tables and long texts are cut, and say so."""

import re
from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from vectorkit import display

TEXTS = st.text(st.sampled_from("ab<>&\"' é"), max_size=12)


def cells(html):
    rows = re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    return [
        list(map(unescape, re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)))
        for row in rows
    ]


@given(st.dictionaries(TEXTS, TEXTS, max_size=4))
def test_a_table_of_facts_holds_each_fact_once_and_escaped(facts):
    html = display.facts_table(facts)
    assert cells(html) == [[name, value] for name, value in facts.items()]
    assert html == display.facts_table(list(facts.items()))
    assert set(re.findall(r"</?(\w+)", html)) <= {"table", "tr", "th", "td"}


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=6), st.sampled_from([None, 0, 1, 3]))
def test_a_table_of_rows_says_how_many_are_left_out(rows, rows_max):
    head, *body = cells(display.rows_table(["a", "b"], rows, rows_max=rows_max))
    shown = rows if rows_max is None else rows[:rows_max]
    left_out = len(rows) - len(shown)
    assert head == ["a", "b"]
    assert body == [*map(list, shown), *([[f"… {left_out} more"]] if left_out else [])]


def test_a_long_text_is_cut_before_it_is_escaped():
    (cell,) = cells(display.facts_table({"": "<" * 300}))
    assert cell == ["", "<" * 200 + "…"]


def test_texts_outside_of_tables_are_escaped():
    assert display.paragraph("<b>") == "<p>&lt;b&gt;</p>"
    assert display.preformatted("<b>\n") == "<pre>&lt;b&gt;\n</pre>"

"""Readers of alignments and structures meet damaged files: an error of one line, or a reading that lost nothing."""

from __future__ import annotations

import pytest
from hypothesis import example as case
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.malformed_files import EXAMPLES, MUTATIONS, complaint, mutated

BYTES = st.one_of(st.integers(32, 126), st.integers(0, 255))
EDITS = st.lists(st.tuples(st.sampled_from(list(MUTATIONS)), st.integers(0, 2**16 - 1), BYTES), min_size=1, max_size=5)


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_good_files_are_read(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    assert complaint(EXAMPLES[name], EXAMPLES[name].content, tmp_path_factory.getbasetemp()) == ""


@pytest.mark.parametrize("name", list(EXAMPLES))
@settings(max_examples=150, deadline=5000)
@given(edits=EDITS)
@case(edits=[("insert a byte", 20033, 55), ("delete a byte", 19687, 101)])  # an atom shifted by one column
@case(edits=[("change a byte", 44099, 77), ("insert a byte", 59452, 34)])  # a quote within a name
def test_damaged_files(tmp_path_factory: pytest.TempPathFactory, name: str, edits: list[tuple[str, int, int]]) -> None:
    example = EXAMPLES[name]
    assert complaint(example, mutated(example.content, edits), tmp_path_factory.getbasetemp()) == ""


@pytest.mark.parametrize("name", list(EXAMPLES))
@settings(max_examples=50, deadline=5000)
@given(content=st.binary(max_size=200))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, name: str, content: bytes) -> None:
    assert complaint(EXAMPLES[name], content, tmp_path_factory.getbasetemp()) == ""

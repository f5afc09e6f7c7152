from __future__ import annotations

import numpy as np

from modelserving.signature.rows import Rows


def test_columns_of_one_dtype_join_into_that_dtype():
    rows = Rows(("a", "b"), None, (np.array([1]), np.array([2])))

    assert rows.array().dtype == np.int64


def test_an_integer_beyond_a_double_is_not_rounded_when_columns_join():
    rows = Rows(("a", "b"), None, (np.array([2**53 + 1]), np.array([0.5])))

    assert rows.array().tolist() == [[2**53 + 1, 0.5]]


def test_small_integers_and_floats_join_as_floats():
    rows = Rows(("a", "b"), None, (np.array([2]), np.array([0.5])))

    assert rows.array().dtype == np.float64


def test_booleans_do_not_become_numbers_when_columns_join():
    rows = Rows(("a", "b"), None, (np.array([True]), np.array([0.5])))

    assert rows.array().tolist() == [[True, 0.5]]


def test_moments_stay_moments_when_columns_join():
    moment = np.datetime64("2020-01-01", "ns")
    rows = Rows(("a", "b"), None, (np.array([1]), np.array([moment])))

    assert rows.array()[0, 1] == moment
    assert isinstance(rows.array()[0, 1], np.datetime64)


def test_cells_of_more_axes_join_as_objects():
    rows = Rows(("a", "b"), None, (np.array([1, 2]), np.eye(2)))

    assert rows.array()[1, 1].tolist() == [0.0, 1.0]
    assert rows.to("frame")["b"].tolist()[1].tolist() == [0.0, 1.0]


def test_frames_do_not_share_the_name_of_their_columns():
    rows = Rows(("a", "b"), np.eye(2))
    rows.to("frame").columns.name = "changed"

    assert rows.to("frame").columns.name is None
    assert list(rows.to("frame").columns) == ["a", "b"]


def test_joined_rows_can_be_split_again():
    first, second = Rows(("a",), np.array([[1]])), Rows(("a",), np.array([[2], [3]]))

    joined = Rows.concat([first, second])

    assert joined[1:].block.tolist() == [[2], [3]]
    assert first.key == second.key

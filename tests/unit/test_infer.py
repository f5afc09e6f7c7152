from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from modelserving.errors import SignatureError
from modelserving.signature.infer import column_notes, infer_params, infer_schema, infer_signature
from modelserving.signature.schema import Schema, Signature, TensorSpec

naive = partial(datetime, tzinfo=None)


def objects(*values: object) -> pd.Series:
    return pd.Series(values, dtype=object)


def column(values: object) -> str:
    """What is inferred for column ``a`` of a frame, as ``double (required)``."""
    return str(infer_schema(pd.DataFrame({"a": values}))).removeprefix("['a': ").removesuffix("]")


def schema(data: object) -> str:
    return str(infer_schema(data))


class TestFrames:
    @pytest.mark.parametrize(
        ("dtype", "type_"),
        [
            ("bool", "boolean"),
            *[
                (dtype, "integer")
                for dtype in ("int8", "int16", "int32", "uint8", "uint16", "Int32", "UInt8")
            ],
            *[(dtype, "long") for dtype in ("int64", "uint32", "Int64", "UInt32")],
            *[(dtype, "float") for dtype in ("float16", "float32", "Float32")],
            *[(dtype, "double") for dtype in ("float64", "Float64", "Sparse[float64]")],
            ("boolean", "boolean"),
            ("datetime64[ns]", "datetime"),
            ("datetime64[s]", "datetime"),
            ("datetime64[ns, Europe/Oslo]", "datetime"),
        ],
    )
    def test_a_column_has_the_type_of_its_dtype(self, dtype, type_):
        assert column(pd.Series([1, 0], dtype="int64").astype(dtype)) == f"{type_} (required)"

    @pytest.mark.parametrize(
        ("dtype", "type_"),
        [
            ("float64", "double"),
            ("Float32", "float"),
            ("Int64", "long"),
            ("boolean", "boolean"),
            ("string", "string"),
            ("str", "string"),
            ("datetime64[ns]", "datetime"),
        ],
    )
    def test_a_column_with_a_missing_value_is_optional(self, dtype, type_):
        assert column(pd.Series([None, None], dtype=dtype)) == f"{type_} (optional)"

    @pytest.mark.parametrize(
        "dtype", ["int64[pyarrow]", "string[pyarrow]", "timestamp[ns][pyarrow]", "bool[pyarrow]"]
    )
    def test_columns_of_arrow_have_their_types(self, dtype):
        pytest.importorskip("pyarrow", reason="Arrow columns need pyarrow")
        type_ = {"i": "long", "s": "string", "t": "datetime", "b": "boolean"}[dtype[0]]
        value = {"i": 1, "s": "x", "t": pd.Timestamp("2020-01-01"), "b": True}[dtype[0]]

        assert column(pd.Series([value], dtype=dtype)) == f"{type_} (required)"
        assert column(pd.Series([value, None], dtype=dtype)) == f"{type_} (optional)"

    @pytest.mark.parametrize(
        ("values", "spec"),
        [
            (objects("x", "y"), "string (required)"),
            (objects("x", None), "string (optional)"),
            (objects("x", float("nan")), "string (optional)"),
            (objects(b"x", bytearray(b"y")), "binary (required)"),
            (objects(1, 2), "long (required)"),
            (objects(1, None), "long (optional)"),
            (objects(1, float("nan")), "double (optional)"),
            (objects(1, 2.5), "double (required)"),
            (objects(np.int8(1), np.int64(2)), "long (required)"),
            (objects(np.float32(1), np.float32("nan")), "float (optional)"),
            (objects(True, None), "boolean (optional)"),
            (objects(np.True_), "boolean (required)"),
            (objects(date(2020, 1, 1), naive(2020, 1, 1), pd.NaT), "datetime (optional)"),
            (objects(np.datetime64("2020-01-01"), np.datetime64("NaT")), "datetime (optional)"),
            (objects(pd.NA, "x"), "string (optional)"),
            (objects(None, None), "Any (optional)"),
            (objects(float("nan")), "double (optional)"),
            (objects(1, "x"), "Any (required)"),
            (objects(1, True), "Any (required)"),
            (objects(1, [1]), "Any (required)"),
            (objects({"k": 1}, [1]), "Any (required)"),
            (objects([1, 2], [3]), "Array(long) (required)"),
            (objects(["x"], None), "Array(string) (optional)"),
            (objects(["x"], []), "Array(string) (required)"),
            (objects([], []), "Array(Any) (required)"),
            (objects([1, "x"]), "Array(Any) (required)"),
            (objects([1, 2.5]), "Array(double) (required)"),
            (objects([[1], []], [[2]]), "Array(Array(long)) (required)"),
            (objects(np.ones(2), np.ones(3)), "Array(double) (required)"),
            (objects(np.ones((2, 2), "float32")), "Array(Array(float)) (required)"),
            (objects(np.array(["x", None], dtype=object)), "Array(string) (required)"),
            (objects(np.ones(2), np.ones((2, 2))), "Array(Any) (required)"),
            (objects({"k": np.array(1)}), "{k: long (required)} (required)"),
            (objects({"k": np.array(1)}, {"k": [1]}), "{k: Any (required)} (required)"),
            (objects({"k": np.array("x", dtype=object)}), "{k: Any (required)} (required)"),
            (
                objects({"k": 1}, {"k": 2.5, "l": "x"}),
                "{k: double (required), l: string (optional)} (required)",
            ),
            (objects({"k": None, "l": 1}), "{k: Any (optional), l: long (required)} (required)"),
            (objects({"k": 1}, {}), "{k: long (optional)} (required)"),
            (objects({}, None), "Any (optional)"),
            (
                objects([{"r": "u"}], [{"r": "v", "c": None}]),
                "Array({c: Any (optional), r: string (required)}) (required)",
            ),
        ],
    )
    def test_a_column_of_objects_has_the_type_of_its_values(self, values, spec):
        assert column(values) == spec

    @pytest.mark.parametrize(
        ("values", "spec"),
        [
            (["x", "y"], "string (required)"),
            (["x", None], "string (optional)"),
            ([1, 2], "long (required)"),
            ([1.5, None], "double (optional)"),
            ([True], "boolean (required)"),
            (pd.to_datetime(["2020-01-01"]), "datetime (required)"),
        ],
    )
    def test_a_categorical_column_has_the_type_of_its_categories(self, values, spec):
        assert column(pd.Categorical(values)) == spec

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            (
                np.array([1], "uint64"),
                "column 'a' holds uint64, for which a signature has no type; convert it to int64",
            ),
            (np.array([1j]), "column 'a' holds complex128"),
            (pd.to_timedelta(["1s"]), "convert it to a number, such as seconds"),
            (np.array([1], np.longdouble), "convert it to float64"),
            (
                objects(Decimal(1)),
                "column 'a' holds decimal.Decimal, for which a signature has no type; convert it to float",
            ),
            (objects(timedelta(1)), "column 'a' holds datetime.timedelta"),
            (objects(np.uint64(1)), "column 'a' holds uint64"),
            (objects((1, 2)), "column 'a' holds tuple, for which a signature has no type; make it a list"),
            (objects({1}), "column 'a' holds set"),
            (objects(object()), "column 'a' holds object"),
            (objects(2**63), "column 'a' holds 9223372036854775808, which 64 bits do not"),
            (objects(10**5000), "column 'a' holds <int>"),
            (objects([1], [Decimal(1)]), "column 'a', items holds decimal.Decimal"),
            (objects({"k": {"l": 1j}}), "column 'a', property 'k', property 'l' holds complex"),
            (objects({1: 2}), "a property is named 1"),
            (pd.cut([1, 2, 3], 2), "column 'a' holds pandas.Interval"),
            (pd.period_range("2020", periods=1, freq="M"), "column 'a' holds pandas.Period"),
        ],
    )
    def test_what_has_no_type_is_refused_with_its_column(self, values, message):
        with pytest.raises(SignatureError) as error:
            column(values)

        assert message in str(error.value)

    def test_columns_keep_their_order_and_their_names(self):
        assert schema(pd.DataFrame({"b": [1], "": [1.5]})) == "['b': long (required), '': double (required)]"
        assert infer_schema(pd.DataFrame([[1, 2]])).names == (0, 1)
        assert infer_schema(pd.DataFrame([[1, 2]], columns=np.array([5, 7]))).names == (5, 7)

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            (["a", "a"], "a name more than once"),
            ([1.5, 2.5], "a column is named 1.5"),
            ([("a", "b"), ("a", "c")], "a column is named ('a', 'b')"),
        ],
    )
    def test_names_that_a_request_cannot_give_are_refused(self, names, message):
        with pytest.raises(SignatureError) as error:
            infer_schema(pd.DataFrame([[1, 2]], columns=names))

        assert message in str(error.value)

    def test_a_frame_without_rows_has_the_types_of_its_dtypes(self):
        assert (
            schema(pd.DataFrame({"a": [1], "b": ["x"]})[:0])
            == "['a': long (required), 'b': string (required)]"
        )

    def test_a_frame_without_columns_is_refused(self):
        with pytest.raises(SignatureError, match="a schema has no columns"):
            infer_schema(pd.DataFrame())

    def test_a_list_nested_without_end_is_refused(self):
        endless: list[object] = []
        endless.append(endless)

        with pytest.raises(SignatureError, match="nested deeper than 32 levels"):
            column(objects(endless))

    def test_the_data_is_not_changed(self):
        frame = pd.DataFrame({"a": objects([1], None), "b": pd.Categorical(["x", "y"])})
        before = frame.copy(deep=True)

        infer_schema(frame)

        pd.testing.assert_frame_equal(frame, before)


class TestOtherData:
    @pytest.mark.parametrize(
        ("data", "expected"),
        [
            (pd.Series([1.5], name="y"), "['y': double (required)]"),
            (pd.Series([1.5, None], name="y"), "['y': double (optional)]"),
            (pd.Series([1], name=0), "[0: long (required)]"),
            (pd.Series([1, 2]), "[long (required)]"),
            (pd.Series([1.5, None]), "[double (required)]"),
            (np.array([1, 2]), "[Tensor('int64', (-1,))]"),
            (np.ones((3, 2), "float32"), "[Tensor('float32', (-1, 2))]"),
            (np.ones((2, 3, 4)), "[Tensor('float64', (-1, 3, 4))]"),
            (np.ones(2, ">f4"), "[Tensor('float32', (-1,))]"),
            (np.array(["a", "bcd"]), "[Tensor('str', (-1,))]"),
            (np.array([b"a"]), "[Tensor('bytes', (-1,))]"),
            (np.array(["a", None], dtype=object), "[Tensor('object', (-1,))]"),
            (np.array(["2020-01-01"], "datetime64[D]"), "[Tensor('datetime64[D]', (-1,))]"),
            (sparse.csr_matrix(np.eye(3)), "[Tensor('float64', (-1, 3))]"),
            (sparse.coo_array(np.eye(2, dtype="float32")), "[Tensor('float32', (-1, 2))]"),
            (
                {"a": np.array([1]), "b": np.ones((2, 3))},
                "['a': Tensor('int64', (-1,)), 'b': Tensor('float64', (-1, 3))]",
            ),
            ({0: np.ones(2)}, "[0: Tensor('float64', (-1,))]"),
            ({"a": [1, 2], "b": ["x"]}, "['a': Array(long) (required), 'b': Array(string) (required)]"),
            ({"a": 1, "b": None}, "['a': long (required), 'b': Any (optional)]"),
            ({"a": {"b": [1.5]}}, "['a': {b: Array(double) (required)} (required)]"),
            ({"a": np.ones(2), "b": 1}, "['a': Array(double) (required), 'b': long (required)]"),
            ([{"a": 1}, {"a": 2, "b": "y"}], "['a': long (required), 'b': string (optional)]"),
            ([{"a": 1}, {"a": None}], "['a': long (optional)]"),
            ([{"a": 1}, {"a": 1.5}], "['a': double (required)]"),
            ([{"a": 1}, {"a": "x"}], "['a': Any (required)]"),
            (["a", "b"], "[string (required)]"),
            ([1, 1.5], "[double (required)]"),
            ([1.5, None], "[double (required)]"),
            ([True], "[boolean (required)]"),
            ([[1, 2], [3]], "[Array(long) (required)]"),
            ([np.ones(2, "float32")], "[Array(float) (required)]"),
            ([1, "a"], "[Any (required)]"),
            ([None], "[Any (required)]"),
            ("x", "[string (required)]"),
            (1, "[long (required)]"),
            (True, "[boolean (required)]"),
            (float("nan"), "[double (required)]"),
            (b"x", "[binary (required)]"),
            (np.int8(1), "[integer (required)]"),
            (date(2020, 1, 1), "[datetime (required)]"),
            (pd.Timestamp("2020"), "[datetime (required)]"),
        ],
    )
    def test_data_has_its_schema(self, data, expected):
        assert schema(data) == expected

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            ([], "an empty list"),
            ({}, "a schema has no columns"),
            ([{}], "a schema has no columns"),
            (None, "no signature can be inferred from None; give a DataFrame"),
            ((1, 2), "no signature can be inferred from (1, 2)"),
            ({1, 2}, "no signature can be inferred from {1, 2}"),
            (object(), "the value holds object"),
            (2**70, "which 64 bits do not"),
            (np.array(1), "the array has no axis"),
            ({"a": np.array(1)}, "array 'a' has no axis"),
            (np.zeros(2, [("a", "i4")]), "has the dtype 'void32'"),
            ({1.5: 1}, "a column is named 1.5"),
            ([1, None], "an unnamed column of type long has missing values"),
            (pd.Series(["a", None]), "an unnamed column of type string has missing values"),
            ({"a": pd.Series([1])}, "column 'a' holds pandas.Series"),
        ],
    )
    def test_data_without_a_schema_is_refused(self, data, message):
        with pytest.raises(SignatureError) as error:
            infer_schema(data)

        assert message in str(error.value)

    def test_what_pandas_can_be_made_of_is_told_so(self):
        class Table:
            def to_pandas(self):
                raise AssertionError("not called")

        with pytest.raises(SignatureError, match=r"from a Table; give what its to_pandas\(\) returns"):
            infer_schema(Table())

    @pytest.mark.parametrize("data", [pd.DataFrame({"a": [1.5]}), np.ones((2, 2)), [{"a": [1]}], "x"])
    def test_what_is_inferred_is_read_back_as_it_was(self, data):
        assert Schema.from_json(infer_schema(data).to_json()) == infer_schema(data)


class TestParams:
    @pytest.mark.parametrize(
        ("default", "spec"),
        [
            (0.1, "double (default: 0.1)"),
            (1, "long (default: 1)"),
            (True, "boolean (default: True)"),
            ("x", "string (default: x)"),
            (np.int32(1), "integer (default: 1)"),
            (np.float32(0.5), "float (default: 0.5)"),
            (date(2020, 1, 1), "datetime (default: 2020-01-01)"),
            (np.datetime64("2020-01-01", "ns"), "datetime (default: 2020-01-01 00:00:00)"),
            (pd.Timestamp("2020-01-01 01:02"), "datetime (default: 2020-01-01 01:02:00)"),
            ([1, 2], "long (default: [1, 2]) (shape: (-1,))"),
            ([1, 2.5], "double (default: [1.0, 2.5]) (shape: (-1,))"),
            (np.array(["a", "b"]), "string (default: ['a', 'b']) (shape: (-1,))"),
            ({"a": 1}, "{a: long (required)} (default: {'a': 1})"),
        ],
    )
    def test_a_parameter_has_the_type_of_its_default(self, default, spec):
        assert [str(each) for each in infer_params({"p": default})] == [f"'p': {spec}"]

    @pytest.mark.parametrize(
        "default", [None, b"x", [], {}, [[1]], [1, "x"], [1, None], (1, 2), np.ones((2, 2))]
    )
    def test_a_default_of_no_parameter_is_refused(self, default):
        with pytest.raises(SignatureError, match="parameter 'p'"):
            infer_params({"p": default})

    def test_params_are_a_dict(self):
        with pytest.raises(SignatureError, match=r"params are \[1\]; give a dict"):
            infer_params([1])


class TestSignature:
    def test_it_joins_inputs_outputs_and_params(self):
        signature = infer_signature(pd.DataFrame({"a": [1.5]}), np.array([1]), {"top": 3})

        assert signature == Signature(
            infer_schema(pd.DataFrame({"a": [1.5]})),
            Schema((TensorSpec("int64", (-1,)),)),
            infer_params({"top": 3}),
        )

    def test_outputs_and_params_may_be_absent(self):
        assert infer_signature("x") == Signature(infer_schema("x"))
        assert infer_signature(None, params={"top": 3}).inputs is None

    def test_nothing_has_no_signature(self):
        with pytest.raises(SignatureError, match="use None for no signature"):
            infer_signature(None)


class TestNotes:
    def test_categories_are_kept_in_their_order(self):
        frame = pd.DataFrame(
            {
                "size": pd.Categorical(["S", "L"], categories=["S", "M", "L"], ordered=True),
                "grade": pd.Categorical([3, 1], categories=[3, 2, 1]),
                "day": pd.Categorical(pd.to_datetime(["2020-01-02", "2020-01-02"])),
                "cut": pd.cut([1, 2], 2),
                "text": ["x", "y"],
            }
        )

        assert column_notes(frame)["categories"] == {
            "size": ["S", "M", "L"],
            "grade": [3, 2, 1],
            "day": ["2020-01-02T00:00:00"],
        }
        assert {type(each) for each in column_notes(frame)["categories"]["grade"]} == {int}

    def test_time_zones_are_kept_by_name(self):
        oslo = pd.to_datetime(["2020-01-01"]).tz_localize("Europe/Oslo")
        frame = pd.DataFrame({"oslo": oslo, "utc": oslo.tz_convert("UTC"), "naive": oslo.tz_localize(None)})

        assert column_notes(frame)["time_zones"] == {"oslo": "Europe/Oslo", "utc": "UTC"}

    def test_a_series_has_notes_by_its_name_or_as_column_0(self):
        sizes = pd.Series(pd.Categorical(["S"]), name="size")

        assert column_notes(sizes)["categories"] == {"size": ["S"]}
        assert column_notes(sizes.rename(None))["categories"] == {0: ["S"]}

    @pytest.mark.parametrize("data", [np.ones(2), [1], "x", {"a": [1]}, pd.DataFrame({"a": [1]})])
    def test_other_data_has_none(self, data):
        assert column_notes(data) == {"categories": {}, "time_zones": {}}

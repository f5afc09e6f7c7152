from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from functools import partial

import numpy as np
import pandas as pd
import pytest

from modelserving.errors import SignatureError
from modelserving.signature.schema import ColumnSpec, ParamSpec, Schema, Signature, TensorSpec
from modelserving.signature.types import MAX_DEPTH, AnyType, Array, DataType, Map, Object, Property

naive = partial(datetime, tzinfo=None)
LONG, DOUBLE, STRING = DataType.long, DataType.double, DataType.string
ROW = Object((Property("n", LONG), Property("tags", Array(STRING), required=False)))


def nested(levels: int) -> Array:
    type_ = Array(LONG)
    for _ in range(levels - 2):
        type_ = Array(type_)
    return type_


def read(text: str) -> Schema:
    return Schema.from_json(text)


def column(text: str) -> ColumnSpec:
    return read(f"[{text}]").specs[0]


def param(text: str) -> ParamSpec:
    return Signature.from_dict({"params": f"[{text}]"}).params[0]


class TestTypes:
    def test_an_object_keeps_its_properties_sorted_by_name(self):
        unsorted = Object((Property("b", LONG), Property("a", STRING)))

        assert [each.name for each in unsorted.properties] == ["a", "b"]
        assert unsorted == Object((Property("a", STRING), Property("b", LONG)))

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: Object(()), "an object has no properties"),
            (lambda: Object((Property("a", LONG), Property("a", STRING))), "properties of one name: 'a'"),
            (lambda: Object((LONG,)), "must be a Property"),
            (lambda: Property(1, LONG), "a property is named 1; its name must be text"),
            (lambda: Property("a\ud800", LONG), "not valid Unicode"),
            (lambda: Property("a", "long"), "property 'a' has the type 'long'; use a DataType"),
            (lambda: Property("a", LONG, required=None), "required=None"),
            (lambda: Array("long"), "the items of an array has the type 'long'"),
            (lambda: Map(None), "the values of a map has the type None"),
        ],
    )
    def test_a_type_that_cannot_be_is_refused(self, make, message):
        with pytest.raises(SignatureError) as error:
            make()

        assert message in str(error.value)

    def test_types_nest_to_the_limit_and_no_deeper(self):
        deepest = nested(MAX_DEPTH)

        assert read(Schema((ColumnSpec(deepest, "a"),)).to_json()).specs[0].type == deepest
        with pytest.raises(SignatureError, match="nested deeper than 32 levels"):
            ColumnSpec(Array(deepest), "a")

    def test_types_print_as_mlflow_prints_them(self):
        assert str(ROW) == "{n: long (required), tags: Array(string) (optional)}"
        assert str(Map(Array(DOUBLE))) == "Map(str -> Array(double))"
        assert str(AnyType()) == "Any"

    @pytest.mark.parametrize("type_", list(DataType))
    def test_every_scalar_type_has_the_numpy_dtype_it_says(self, type_):
        assert np.dtype(type_.dtype).name == type_.dtype


class TestSchema:
    def test_it_knows_its_names_kind_and_length(self):
        named = Schema((ColumnSpec(DOUBLE, "a"), ColumnSpec(LONG, 7)))
        unnamed = Schema((TensorSpec("float32", (-1, 3)),))

        assert (named.names, named.is_named, named.is_tensor, len(named)) == (("a", 7), True, False, 2)
        assert (unnamed.names, unnamed.is_named, unnamed.is_tensor, len(unnamed)) == ((), False, True, 1)
        assert list(named) == list(named.specs)

    def test_the_names_zero_and_empty_are_names(self):
        assert Schema((ColumnSpec(LONG, 0),)).names == (0,)
        assert Schema((ColumnSpec(LONG, ""),)).is_named

    def test_it_prints_as_mlflow_prints_it(self):
        columns = Schema((ColumnSpec(DOUBLE, "a"), ColumnSpec(LONG, "b", required=False)))

        assert str(columns) == "['a': double (required), 'b': long (optional)]"
        assert str(Schema((ColumnSpec(LONG),))) == "[long (required)]"
        assert str(Schema((TensorSpec("float32", (-1, 3)),))) == "[Tensor('float32', (-1, 3))]"
        assert str(Schema((TensorSpec("float64", (-1,), "x"),))) == "['x': Tensor('float64', (-1,))]"

    @pytest.mark.parametrize(
        ("specs", "message"),
        [
            ([], "a schema has no columns"),
            ([ColumnSpec(LONG, "a"), TensorSpec("int64", (-1,), "b")], "'ColumnSpec', 'TensorSpec'"),
            (["a"], "a schema is made of 'str'"),
            ([ColumnSpec(LONG, "a"), ColumnSpec(LONG)], "names ['a'] but not the others"),
            ([TensorSpec("int64", (-1,)), TensorSpec("int64", (-1,))], "2 unnamed tensors"),
            ([ColumnSpec(LONG), ColumnSpec(LONG, required=False)], "an unnamed column that is optional"),
            ([ColumnSpec(LONG, "a"), ColumnSpec(DOUBLE, "a")], "a name more than once: ['a']"),
            (
                [TensorSpec("int64", (-1,), "a"), TensorSpec("int64", (-1,), "a")],
                "a name more than once: ['a']",
            ),
            ([ColumnSpec(LONG, 0), ColumnSpec(DOUBLE, "0")], "a name more than once: ['0']"),
        ],
    )
    def test_specs_that_cannot_stand_together_are_refused(self, specs, message):
        with pytest.raises(SignatureError) as error:
            Schema(tuple(specs))

        assert message in str(error.value)

    @pytest.mark.parametrize("name", [1.5, True, ("a", "b"), 2**63, b"a", "\udc00"])
    def test_a_name_is_unicode_text_or_a_whole_number(self, name):
        with pytest.raises(SignatureError, match="rename it"):
            ColumnSpec(LONG, name)
        with pytest.raises(SignatureError, match="rename it"):
            TensorSpec("int64", (-1,), name)

    def test_a_column_has_a_type_and_is_required_or_not(self):
        with pytest.raises(SignatureError, match="column 'a' has the type 'long'; use a DataType"):
            ColumnSpec("long", "a")
        with pytest.raises(SignatureError, match="column 'a' has required=1"):
            ColumnSpec(LONG, "a", required=1)

    @pytest.mark.parametrize(
        "dtype", ["bool", "uint8", "float16", "complex128", "str", "bytes", "object", "datetime64[D]"]
    )
    def test_a_tensor_may_have_any_dtype_that_has_a_name_without_size(self, dtype):
        assert TensorSpec(dtype, [-1, 0]).shape == (-1, 0)

    @pytest.mark.parametrize(
        "dtype",
        [
            "float",
            "<f4",
            "str320",
            "<U10",
            "void32",
            "i4,f8",
            "datetime64[x]",
            "",
            " int64",
            np.dtype("int64"),
        ],
    )
    def test_another_dtype_is_refused(self, dtype):
        with pytest.raises(SignatureError, match="use numpy's name of one, such as 'float32'"):
            TensorSpec(dtype, (-1,))

    @pytest.mark.parametrize("shape", [None, "ab", (-2,), (1.0,), (True,), (2**63,), (-1,) * 65, 3])
    def test_a_shape_that_no_array_has_is_refused(self, shape):
        with pytest.raises(SignatureError, match="has the shape"):
            TensorSpec("int64", shape)


class TestReading:
    def test_a_scalar_column_without_required_is_required(self):
        assert column('{"type": "double", "name": "a"}').required

    @pytest.mark.parametrize(
        "type_", ['"array", "items": {"type": "long"}', '"map", "values": {"type": "long"}', '"any"']
    )
    def test_another_named_column_without_required_is_optional(self, type_):
        assert not column(f'{{"type": {type_}, "name": "a"}}').required
        assert column(f'{{"type": {type_}, "name": "a", "required": true}}').required

    def test_an_unnamed_column_without_required_is_required(self):
        assert column('{"type": "array", "items": {"type": "string"}}').required

    def test_required_null_is_optional_and_written_as_false(self):
        schema = read('[{"type": "double", "name": "a", "required": null}]')

        assert schema.to_json() == '[{"type": "double", "name": "a", "required": false}]'

    def test_a_property_without_required_is_required(self):
        assert column('{"type": "object", "properties": {"p": {"type": "long"}}}').type.properties[0].required

    def test_the_older_key_optional_is_the_opposite_of_required(self):
        assert not column('{"type": "double", "name": "a", "optional": true}').required
        assert column('{"type": "double", "name": "a", "optional": false}').required

    def test_a_vector_of_spark_is_read_as_an_array_of_doubles(self):
        assert column('{"type": "sparkml_vector", "name": "v", "required": true}').type == Array(DOUBLE)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "$: not JSON (Expecting value at character 0)"),
            ("[", "$: not JSON"),
            ("{}", "$: expected a JSON list, got {}"),
            ("null", "$: expected a JSON list, got None"),
            ("[1]", "$[0]: expected a JSON object, got 1"),
            ("[]", "a schema has no columns"),
            ("[{}]", "$[0]: the key 'type' is missing"),
            ('[{"type": "foo"}]', "$[0]: unknown type 'foo'; use one of 'any', 'array', 'binary'"),
            ('[{"type": ["long"]}]', "$[0]: unknown type ['long']"),
            ('[{"type": "long"}, {"type": "LONG"}]', "$[1]: unknown type 'LONG'"),
            (
                '[{"type": "long", "requird": false}]',
                "$[0]: unknown key 'requird'; known here: 'name', 'required'",
            ),
            ('[{"type": "any", "x": 1}]', "$[0]: unknown key 'x'"),
            ('[{"type": "long", "type": "double"}]', "the key 'type' is given twice"),
            (
                '[{"type": "long", "name": "a", "required": 1}]',
                "the key 'required' is 1; expected true or false",
            ),
            ('[{"type": "long", "optional": true, "required": false}]', "the key 'optional'"),
            ('[{"type": "long", "optional": 1}]', "the key 'optional'"),
            ('[{"type": "long", "name": 1.5}]', "a column is named 1.5"),
            ('[{"type": "array", "name": "a"}]', "$[0]: the key 'items' is missing"),
            ('[{"type": "array", "items": "long"}]', "$[0].items: expected a JSON object, got 'long'"),
            ('[{"type": "array", "items": {"type": "x"}}]', "$[0].items: unknown type 'x'"),
            (
                '[{"type": "array", "items": {"type": "long", "required": true}}]',
                "$[0].items: unknown key 'required'",
            ),
            (
                '[{"type": "object", "properties": {"a": 1}}]',
                "$[0].properties.'a': expected a JSON object, got 1",
            ),
            ('[{"type": "object", "properties": {}}]', "an object has no properties"),
            ('[{"type": "tensor"}]', "$[0]: the key 'tensor-spec' is missing"),
            ('[{"type": "tensor", "tensor-spec": []}]', "$[0].tensor-spec: expected a JSON object, got []"),
            ('[{"type": "tensor", "tensor-spec": {"dtype": "int64"}}]', "the key 'shape' is missing"),
            (
                '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}, "required": true}]',
                "'required'",
            ),
        ],
    )
    def test_what_is_no_schema_is_refused_with_its_place(self, text, message):
        with pytest.raises(SignatureError) as error:
            read(text)

        assert message in str(error.value)
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize(
        "text",
        [
            "[" * 10_000_000,
            '[{"type": "array", "items": ' * 100_000,
            '[{"type": "array", "items": '
            + '{"type": "array", "items": ' * 200
            + '{"type": "long"}'
            + "}" * 200
            + "}]",
            '[{"type": "long", "name": ' + "9" * 1_000_000 + "}]",
            '[{"type": ' + "[" * 900 + "]" * 900 + "}]",
            "[{" + ", ".join(f'"{at}": 1' for at in range(100_000)) + ', "99999": 2}]',
        ],
    )
    def test_deep_and_long_texts_are_refused(self, text):
        with pytest.raises(SignatureError) as error:
            read(text)

        assert len(str(error.value)) < 300

    def test_every_truncation_of_a_schema_is_refused(self):
        text = Schema((ColumnSpec(ROW, "row"), ColumnSpec(Map(AnyType()), "map", required=False))).to_json()

        for length in range(len(text)):
            with pytest.raises(SignatureError):
                read(text[:length])


class TestSignature:
    def test_it_is_written_in_mlflows_order_of_keys(self):
        inputs = Schema((ColumnSpec(LONG, "a"), ColumnSpec(ROW, "row", required=False)))
        outputs = Schema((TensorSpec("float32", (-1, 3), "t"),))

        assert Signature(inputs, outputs, (ParamSpec("p", DOUBLE, 1, None),)).to_dict() == {
            "inputs": '[{"type": "long", "name": "a", "required": true}, {"type": "object", "properties": '
            '{"n": {"type": "long", "required": true}, "tags": {"type": "array", '
            '"items": {"type": "string"}, "required": false}}, "name": "row", "required": false}]',
            "outputs": '[{"name": "t", "type": "tensor", "tensor-spec": '
            '{"dtype": "float32", "shape": [-1, 3]}}]',
            "params": '[{"name": "p", "default": 1.0, "shape": null, "type": "double"}]',
        }

    def test_what_is_not_there_is_written_as_none(self):
        assert Signature(params=(ParamSpec("p", LONG),)).to_dict() | {"params": None} == {
            "inputs": None,
            "outputs": None,
            "params": None,
        }

    def test_keys_may_be_left_out_and_texts_be_empty(self):
        signature = Signature.from_dict({"inputs": '[{"type": "long"}]', "outputs": "", "params": "[]"})

        assert signature == Signature(Schema((ColumnSpec(LONG),)))

    @pytest.mark.parametrize(
        ("form", "message"),
        [
            ({}, "neither inputs nor outputs nor params"),
            ({"inputs": None, "outputs": None, "params": "[]"}, "neither inputs nor outputs nor params"),
            ({"input": None}, "the signature: unknown key 'input'"),
            ({"inputs": [{"type": "long"}]}, "inputs: expected a list written as JSON text"),
            ({"inputs": '[{"type": "array", "items": {"type": "x"}}]'}, "inputs[0].items: unknown type 'x'"),
            ({"outputs": "x"}, "outputs: not JSON"),
            ({"params": '[{"name": "p", "type": "long"}]'}, "params[0]: the key 'default' is missing"),
        ],
    )
    def test_errors_name_the_part(self, form, message):
        with pytest.raises(SignatureError) as error:
            Signature.from_dict(form)

        assert message in str(error.value)

    def test_parts_of_other_kinds_are_refused(self):
        with pytest.raises(SignatureError, match="the inputs of a signature are 'x'"):
            Signature("x")
        with pytest.raises(SignatureError, match="the params of a signature are"):
            Signature(params=("p",))
        with pytest.raises(SignatureError, match=r"a parameter more than once: \['p'\]"):
            Signature(params=(ParamSpec("p", LONG, 1), ParamSpec("p", LONG, 2)))

    def test_it_can_be_hashed_copied_and_pickled(self):
        signature = Signature(Schema((ColumnSpec(ROW, "a"),)), params=(ParamSpec("p", LONG, [1], (-1,)),))

        assert pickle.loads(pickle.dumps(signature)) == copy.deepcopy(signature) == signature
        assert len({signature, copy.deepcopy(signature)}) == 1

    def test_it_prints_what_there_is(self):
        signature = Signature(Schema((ColumnSpec(LONG),)), params=(ParamSpec("p", LONG, [1], (-1,)),))

        assert (
            str(signature) == "inputs: [long (required)]\nparams: ['p': long (default: [1]) (shape: (-1,))]"
        )

    def test_importing_it_imports_neither_numpy_nor_pandas(self):
        code = "import sys, modelserving.signature.infer; print({'numpy', 'pandas'} & set(sys.modules))"

        answer = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
        )

        assert answer.stdout == "set()\n"


class TestParams:
    @pytest.mark.parametrize(
        ("type_", "default", "kept"),
        [
            (DOUBLE, 1, 1.0),
            (DOUBLE, 2**53, float(2**53)),
            (DataType.float, 0.1, 0.1),
            (DataType.float, float("inf"), float("inf")),
            (LONG, -(2**63), -(2**63)),
            (DataType.boolean, False, False),
            (STRING, "", ""),
            (LONG, None, None),
            (LONG, np.int64(3), 3),
            (DOUBLE, np.float32(0.5), 0.5),
            (DataType.boolean, np.True_, True),
            (DataType.datetime, "2020-01-01", date(2020, 1, 1)),
            (DataType.datetime, "2020-01-01T01:02:03.000004", naive(2020, 1, 1, 1, 2, 3, 4)),
            (
                DataType.datetime,
                datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=1))),
                naive(2019, 12, 31, 23),
            ),
            (DataType.datetime, "2020-01-01T00:00:00Z", naive(2020, 1, 1)),
            (DataType.datetime, pd.Timestamp("2020-01-01 01:02"), naive(2020, 1, 1, 1, 2)),
            (DataType.datetime, np.datetime64("2020-01-01", "ns"), naive(2020, 1, 1)),
            (ROW, {"tags": ("x",), "n": 1}, {"tags": ["x"], "n": 1}),
            (ROW, {"n": 1, "tags": None}, {"n": 1, "tags": None}),
            (
                Object((Property("a", AnyType()), Property("m", Map(LONG)))),
                {"a": [{"x": None}], "m": {"y": 1}},
                None,
            ),
        ],
    )
    def test_a_default_of_the_type_is_kept_as_a_plain_value(self, type_, default, kept):
        spec = ParamSpec("p", type_, default)

        assert spec.default == (default if kept is None else kept)
        assert type(spec.default) is type(default if kept is None else kept)
        assert Signature.from_dict(Signature(params=(spec,)).to_dict()).params == (spec,)

    @pytest.mark.parametrize(
        ("type_", "default"),
        [
            (LONG, 1.0),
            (LONG, True),
            (LONG, "1"),
            (LONG, 2**63),
            (DataType.integer, 2**31),
            (DOUBLE, True),
            (DOUBLE, 2**53 + 1),
            (DOUBLE, "0.1"),
            (DataType.float, 2**24 + 1),
            (DataType.float, 1e39),
            (DataType.boolean, 1),
            (STRING, 1),
            (STRING, b"x"),
            (DataType.datetime, 5),
            (DataType.datetime, "yesterday"),
            (DataType.datetime, "9999-12-31T23:59:59-01:00"),
            (DataType.datetime, pd.Timestamp("2020-01-01 00:00:00.000000001")),
            (DataType.datetime, np.datetime64("2020-01-01T00:00:00.000000001", "ns")),
            (LONG, [1]),
            (ROW, None),
            (ROW, {}),
            (ROW, {"n": 1, "more": 2}),
            (ROW, {"n": "x"}),
            (ROW, {"n": 1, "tags": ["x", 1]}),
            (ROW, {"n": None}),
            (Object((Property("a", AnyType()),)), {"a": {1}}),
            (Object((Property("a", AnyType()),)), {"a": {1: 2}}),
            (Object((Property("a", DataType.binary),)), {"a": b"x"}),
            (Object((Property("a", DataType.datetime),)), {"a": "2020-01-01"}),
        ],
    )
    def test_a_default_of_another_type_is_refused(self, type_, default):
        with pytest.raises(SignatureError, match="the default of parameter 'p'"):
            ParamSpec("p", type_, default)

    def test_a_list_has_items_of_the_type(self):
        assert ParamSpec("p", DOUBLE, (1, 2.5), (-1,)).default == [1.0, 2.5]
        assert ParamSpec("p", LONG, np.array([1, 2]), (-1,)).default == [1, 2]
        for default in (None, 1, "ab", [1, None], [1, "x"], {"a": 1}):
            with pytest.raises(SignatureError, match="the default of parameter 'p'"):
                ParamSpec("p", LONG, default, (-1,))

    def test_the_default_is_a_copy(self):
        mine = {"n": 1, "tags": ["x"]}
        spec = ParamSpec("p", ROW, mine)

        mine["tags"].append("y")

        assert spec.default == {"n": 1, "tags": ["x"]}

    def test_a_default_nested_without_end_is_refused(self):
        endless: list[object] = []
        endless.append(endless)

        with pytest.raises(SignatureError, match="nested deeper than 32 levels"):
            ParamSpec("p", Object((Property("a", AnyType()),)), {"a": endless})

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("p", DataType.binary, b""), "has the type"),
            (("p", Array(LONG), [1]), "has the type"),
            (("p", "long", 1), "has the type 'long'"),
            ((1, LONG, 1), "a parameter is named 1"),
            (("p\udc00", LONG, 1), "not valid Unicode"),
            (("p", LONG, [[1]], (-1, 2)), "has the shape (-1, 2)"),
            (("p", LONG, [1], [-1]), "has the shape [-1]"),
            (("p", ROW, [{"n": 1}], (-1,)), "has the shape (-1,)"),
        ],
    )
    def test_a_parameter_that_mlflow_does_not_have_is_refused(self, arguments, message):
        with pytest.raises(SignatureError) as error:
            ParamSpec(*arguments)

        assert message in str(error.value)

    def test_datetimes_are_written_as_iso_8601(self):
        day, moment = date(2020, 1, 2), datetime(2020, 1, 2, 3, 4, 5, 6, tzinfo=UTC)

        assert ParamSpec("p", DataType.datetime, day).to_dict()["default"] == "2020-01-02"
        assert ParamSpec("p", DataType.datetime, [moment], (-1,)).to_dict()["default"] == [
            "2020-01-02T03:04:05.000006"
        ]

    def test_the_older_key_dtype_is_read(self):
        assert param('{"name": "p", "dtype": "string", "default": "x"}') == ParamSpec("p", STRING, "x")
        assert param('{"name": "p", "dtype": "long", "type": "long", "default": 1}') == ParamSpec(
            "p", LONG, 1
        )

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                '{"name": "p", "dtype": "long", "type": "double", "default": 1}',
                "the keys 'type' and 'dtype' differ",
            ),
            ('{"name": "p", "type": "long", "default": 1, "x": 1}', "params[0]: unknown key 'x'"),
            (
                '{"name": "p", "type": "long", "default": 1, "properties": {}}',
                "params[0]: unknown key 'properties'",
            ),
            ('{"name": "p", "type": "object", "default": 1}', "params[0]: the key 'properties' is missing"),
            ('{"name": "p", "type": "long", "default": [1], "shape": [-1, 2]}', "expected null or [-1]"),
            ('{"name": 1, "type": "long", "default": 1}', "a parameter is named 1"),
            ('{"name": "p", "type": "array", "default": 1}', "params[0]: the key 'items' is missing"),
        ],
    )
    def test_what_is_no_parameter_is_refused(self, text, message):
        with pytest.raises(SignatureError) as error:
            param(text)

        assert message in str(error.value)

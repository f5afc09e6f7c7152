"""What a model takes and returns: columns or tensors with their types, and the signature that joins them.

All are checked when they are made: what exists is valid. Their JSON form is MLflow's, byte for byte.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from modelserving.errors import SignatureError, choices, excerpt
from modelserving.signature.json_form import (
    Form,
    check_keys,
    read_list,
    read_required,
    read_type,
    write_list,
    write_type,
)
from modelserving.signature.params import ParamSpec
from modelserving.signature.types import (
    ColumnType,
    DataType,
    check_required,
    check_text,
    check_type,
    duplicates,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["ColumnSpec", "ParamSpec", "Schema", "Signature", "TensorSpec"]

_TENSOR_DTYPE = re.compile(
    r"bool|u?int(8|16|32|64)|float(16|32|64|96|128)|complex(64|128|192|256)|str|bytes|object"
    r"|(datetime|timedelta)64(\[(Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])?"
)
_MAX_RANK = 64  # numpy's own


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """One column: its type, its name, and whether every request must give it.

    Attributes:
        type: A DataType, Array, Object, Map or AnyType.
        name: Text, or a whole number for a frame whose columns have no names of their own; None if unnamed.
        required: False if the column may be missing, or values in it.

    Raises:
        SignatureError: One of them cannot be.

    Example:
        >>> str(ColumnSpec(DataType.double, "a", required=False))
        "'a': double (optional)"
    """

    type: ColumnType
    name: str | int | None = None
    required: bool = True

    def __post_init__(self) -> None:
        _check_name(self.name, "a column")
        this = "an unnamed column" if self.name is None else f"column {excerpt(self.name)}"
        check_type(self.type, this)
        check_required(self.required, this)

    def __str__(self) -> str:
        name = "" if self.name is None else f"{self.name!r}: "
        return f"{name}{self.type} ({'required' if self.required else 'optional'})"

    @classmethod
    def from_dict(cls, form: Form, place: str = "$") -> ColumnSpec:
        """The column that MLflow's JSON form describes; ``place`` is where it was found, for errors.

        Without ``required`` a column of a scalar type is required, and a named one of another type optional:
        so MLflow reads it. Its older ``optional`` is understood too.
        """
        if "optional" in form:
            if "required" in form or not isinstance(form["optional"], bool):
                raise SignatureError(
                    f"{place}: the key 'optional' is true or false without 'required'; keep the latter"
                )
            form = {**form, "required": not form["optional"]}
            del form["optional"]
        type_ = read_type(form, place, beside=("name", "required"))
        name = cast("str | int | None", form.get("name"))
        required = read_required(form, place, absent=isinstance(type_, DataType))
        if name is None and form.get("required") is None:
            required = True  # an unnamed column cannot be optional
        return cls(type_, name, required)

    def to_dict(self) -> Form:
        """MLflow's JSON form."""
        name: Form = {} if self.name is None else {"name": self.name}
        return {**write_type(self.type), **name, "required": self.required}


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One array: its dtype and shape, and its name where there are several.

    Attributes:
        dtype: numpy's name of it, without size or byte order: ``float32``, ``str``, ``datetime64[D]`` …
        shape: The length of each axis, -1 for any. The first axis is the row.
        name: Text or a whole number; None if unnamed.

    Raises:
        SignatureError: One of them cannot be.

    Example:
        >>> str(TensorSpec("float32", (-1, 3)))
        "Tensor('float32', (-1, 3))"
    """

    dtype: str
    shape: tuple[int, ...]
    name: str | int | None = None

    def __post_init__(self) -> None:
        _check_name(self.name, "a tensor")
        this = "an unnamed tensor" if self.name is None else f"tensor {excerpt(self.name)}"
        if not isinstance(self.dtype, str) or not _TENSOR_DTYPE.fullmatch(self.dtype):
            raise SignatureError(
                f"{this} has the dtype {excerpt(self.dtype)}; use numpy's name of one, such as 'float32'"
            )
        axes = tuple(self.shape) if isinstance(self.shape, tuple | list) else None
        if axes is None or len(axes) > _MAX_RANK or not all(_is_whole(axis, -1) for axis in axes):
            raise SignatureError(
                f"{this} has the shape {excerpt(self.shape)}; use lengths such as (-1, 3), -1 for any"
            )
        object.__setattr__(self, "shape", axes)

    def __str__(self) -> str:
        name = "" if self.name is None else f"{self.name!r}: "
        return f"{name}Tensor({self.dtype!r}, {self.shape})"

    @classmethod
    def from_dict(cls, form: Form, place: str = "$") -> TensorSpec:
        """The tensor that MLflow's JSON form describes; ``place`` is where it was found, for errors."""
        check_keys(form, ("name",), place, needed=("type", "tensor-spec"))
        inner, where = form["tensor-spec"], f"{place}.tensor-spec"
        if not isinstance(inner, dict):
            raise SignatureError(f"{where}: expected a JSON object, got {excerpt(inner)}")
        check_keys(inner, (), where, needed=("dtype", "shape"))
        return cls(inner["dtype"], inner["shape"], cast("str | int | None", form.get("name")))

    def to_dict(self) -> Form:
        """MLflow's JSON form."""
        name: Form = {} if self.name is None else {"name": self.name}
        return {**name, "type": "tensor", "tensor-spec": {"dtype": self.dtype, "shape": list(self.shape)}}


@dataclass(frozen=True, slots=True)
class Schema:
    """One or more columns, or one or more tensors: all named or all unnamed, no name twice.

    Two names must also differ when written as text (0 and ``"0"`` do not), because the keys of a JSON record
    are text. MLflow reads a schema with one name twice and then uses its last column; here it is refused.

    Raises:
        SignatureError: They cannot stand together.

    Example:
        >>> schema = Schema((ColumnSpec(DataType.double, "a"), ColumnSpec(DataType.long, "b", False)))
        >>> str(schema)
        "['a': double (required), 'b': long (optional)]"
        >>> schema.names, len(schema)
        (('a', 'b'), 2)
        >>> Schema.from_json(schema.to_json()) == schema
        True
    """

    specs: tuple[ColumnSpec, ...] | tuple[TensorSpec, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "specs", tuple(self.specs))
        if not self.specs:
            raise SignatureError("a schema has no columns; give it one, or use None for no schema")
        for kind in (ColumnSpec, TensorSpec):
            if all(isinstance(spec, kind) for spec in self.specs):
                break
        else:
            kinds = {type(spec).__name__ for spec in self.specs}
            raise SignatureError(
                f"a schema is made of {choices(kinds)}; use ColumnSpec only or TensorSpec only"
            )
        self._check_names()

    def _check_names(self) -> None:
        names = [spec.name for spec in self.specs if spec.name is not None]
        if names and len(names) < len(self):
            raise SignatureError(f"a schema names {excerpt(names)} but not the others; name all or none")
        if not names and self.is_tensor and len(self) > 1:
            raise SignatureError(f"a schema has {len(self)} unnamed tensors; name them")
        if not names and any(isinstance(spec, ColumnSpec) and not spec.required for spec in self.specs):
            raise SignatureError(
                "a schema has an unnamed column that is optional; name the columns or require all"
            )
        if twice := duplicates(map(str, names)):
            raise SignatureError(f"a schema has a name more than once: {excerpt(twice)}; rename the columns")

    @property
    def is_tensor(self) -> bool:
        """Whether it is made of tensors."""
        return isinstance(self.specs[0], TensorSpec)

    @property
    def is_named(self) -> bool:
        """Whether its columns or tensors have names."""
        return self.specs[0].name is not None

    @property
    def names(self) -> tuple[str | int, ...]:
        """The names in order; () if there are none."""
        return tuple(spec.name for spec in self.specs if spec.name is not None)

    def __len__(self) -> int:
        return len(self.specs)

    def __iter__(self) -> Iterator[ColumnSpec | TensorSpec]:
        return iter(self.specs)

    def __str__(self) -> str:
        return "[" + ", ".join(map(str, self.specs)) + "]"

    @classmethod
    def from_json(cls, text: str, place: str = "$") -> Schema:
        """The schema that ``text``, one JSON list, describes.

        Args:
            text: What an MLmodel file has under ``signature.inputs`` or ``signature.outputs``.
            place: What errors call it.

        Raises:
            SignatureError: It is not JSON or describes no schema; in bounded time, whatever the text.
        """
        specs: list[ColumnSpec | TensorSpec] = []
        for form, where in read_list(text, place):
            kind = TensorSpec if form.get("type") == "tensor" else ColumnSpec
            specs.append(kind.from_dict(form, where))
        return cls(cast("tuple[ColumnSpec, ...]", tuple(specs)))

    def to_json(self) -> str:
        """The text that MLflow would write for it."""
        return write_list(spec.to_dict() for spec in self.specs)


@dataclass(frozen=True, slots=True)
class Signature:
    """What a model takes, what it returns, and the parameters a request may set.

    Attributes:
        inputs: The columns or tensors it takes; None if any input will do.
        outputs: What it returns; None if nobody said.
        params: The parameters, no name twice.

    Raises:
        SignatureError: There is nothing in it, or two parameters have one name.

    Example:
        >>> top = ParamSpec("top", DataType.long, 1)
        >>> signature = Signature(Schema((TensorSpec("float32", (-1, 2)),)), params=(top,))
        >>> print(signature)
        inputs: [Tensor('float32', (-1, 2))]
        params: ['top': long (default: 1)]
        >>> Signature.from_dict(signature.to_dict()) == signature
        True
    """

    inputs: Schema | None = None
    outputs: Schema | None = None
    params: tuple[ParamSpec, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", tuple(self.params))
        for name, schema in (("inputs", self.inputs), ("outputs", self.outputs)):
            if schema is not None and not isinstance(schema, Schema):
                raise SignatureError(f"the {name} of a signature are {excerpt(schema)}; use a Schema or None")
        if not all(isinstance(spec, ParamSpec) for spec in self.params):
            raise SignatureError(f"the params of a signature are {excerpt(self.params)}; use ParamSpec only")
        if self.inputs is None and self.outputs is None and not self.params:
            raise SignatureError(
                "a signature has neither inputs nor outputs nor params; use None for no signature"
            )
        if twice := duplicates(spec.name for spec in self.params):
            raise SignatureError(
                f"a signature has a parameter more than once: {excerpt(twice)}; keep one of each"
            )

    def __str__(self) -> str:
        params = f"[{', '.join(map(str, self.params))}]" if self.params else None
        parts = {"inputs": self.inputs, "outputs": self.outputs, "params": params}
        return "\n".join(f"{name}: {part}" for name, part in parts.items() if part is not None)

    @classmethod
    def from_dict(cls, form: Mapping[str, object]) -> Signature:
        """The signature that an MLmodel file has under ``signature``.

        Args:
            form: ``inputs``, ``outputs`` and ``params``, each JSON text, None, or left out.

        Raises:
            SignatureError: Something in it cannot be, with its place, such as ``inputs[2].items``.
        """
        check_keys(dict(form), ("inputs", "outputs", "params"), "the signature")
        inputs, outputs, params = (form.get(key) for key in ("inputs", "outputs", "params"))
        return cls(
            Schema.from_json(cast("str", inputs), "inputs") if inputs else None,
            Schema.from_json(cast("str", outputs), "outputs") if outputs else None,
            tuple(ParamSpec.from_dict(each, where) for each, where in read_list(params, "params"))
            if params
            else (),
        )

    def to_dict(self) -> dict[str, str | None]:
        """What MLflow would write into an MLmodel file under ``signature``."""
        return {
            "inputs": self.inputs.to_json() if self.inputs else None,
            "outputs": self.outputs.to_json() if self.outputs else None,
            "params": write_list(spec.to_dict() for spec in self.params) if self.params else None,
        }


def _check_name(name: object, owner: str) -> None:
    if isinstance(name, str):
        check_text(name, owner)
    elif name is not None and not _is_whole(name, -(2**63)):
        raise SignatureError(f"{owner} is named {excerpt(name)}; a name is text or a whole number: rename it")


def _is_whole(value: object, low: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value < 2**63

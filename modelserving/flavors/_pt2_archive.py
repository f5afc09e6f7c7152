"""The archive that ``torch.export.save`` writes, read by our own rules before torch sees any of it.

``torch.export.load`` unpickles parts of an archive, evaluates the expressions for sizes, calls whatever
``torch.…`` path a node names, and writes Python source with the names in it. So an archive is not data by
itself. Here every record is looked at: weights must be raw tensors, operators those that compute, expressions
arithmetic, and every other text a name. What passes is written anew, without the pickled example and the
remarks, and torch reads that copy only.
"""

from __future__ import annotations

import ast
import io
import json
import re
import zipfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_EXAMPLE = "data/sample_inputs/model.pt"
_GRAPH = "models/model.json"
_CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
_TEXTS = ("archive_format", "archive_version", "byteorder", ".data/version", ".data/serialization_id")
_TENSOR = re.compile(r"data/(weights/weight|constants/tensor)_[0-9]+")

_NAME = re.compile(r"[A-Za-z0-9_.+-]*", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9 ,._>-]{0,200}", re.ASCII)  # "reflect", "tanh", "ij,jk->ik"
_OPERATOR = re.compile(r"torch\.ops\.(?:aten|prims)\.(?P<name>\w+)(?:\.\w+)?", re.ASCII)
_WITH_FILES = frozenset({"from_file", "save"})  # of aten's operators, the ones that open a file
_OTHER_OPERATORS = re.compile(
    r"torch\.ops\.higher_order\.(?:cond|while_loop|wrap_with_set_grad_enabled|wrap_with_autocast)"
    r"|_operator\.(?:add|and_|eq|floordiv|ge|getitem|gt|le|lt|mod|mul|ne|neg|not_|or_|pos|pow|sub|truediv)"
    r"|math\.(?:ceil|floor|sqrt|trunc)"
    r"|torch\.sym_(?:float|int|ite|max|min|not|sqrt|sum)"
)
_SYMBOL = re.compile(r"(?:s|u|zf|zuf)[0-9]+", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]*)?(?:e[-+]?[0-9]+)?", re.ASCII)  # Float('0.5', precision=53)
_FUNCTIONS = frozenset({
    "Abs", "Add", "And", "CeilDiv", "CeilToInt", "CleanDiv", "Eq", "Float", "FloatPow", "FloatTrueDiv",
    "FloorDiv", "FloorToInt", "Ge", "Gt", "Identity", "IntTrueDiv", "Integer", "LShift", "Le", "Lt",
    "Max", "Min", "Mod", "ModularIndexing", "Mul", "Ne", "Not", "Or", "Piecewise", "Pow", "PowByNatural",
    "PythonMod", "RShift", "Rational", "RoundToInt", "Symbol", "ToFloat", "TruncToFloat", "TruncToInt",
    "Where", "ceiling", "floor", "int_oo", "oo",
})  # fmt: skip
_ARITHMETIC = (
    ast.Expression, ast.Load, ast.Call, ast.Name, ast.Constant, ast.keyword, ast.Tuple,
    ast.BinOp, ast.UnaryOp, ast.Compare, ast.operator, ast.unaryop, ast.cmpop,
)  # fmt: skip
_CONTAINERS = frozenset({None, "builtins.dict", "builtins.list", "builtins.tuple", "collections.OrderedDict"})
_LARGEST_TEXT = 64 << 20
_LONGEST_EXPRESSION = 10_000


class NotPlainError(ValueError):
    """An archive that holds more than a graph and its tensors; the message says what."""


def check(path: Path) -> None:
    """Look at every record of an archive; opens no tensor and imports nothing.

    Raises:
        NotPlainError: Something in it is more than data, or not what it should be.
    """
    _plain(path, io.BytesIO(), copy_tensors=False)


def plain_copy(path: Path) -> io.BytesIO:
    """The archive written anew from what was checked, as a file for ``torch.export.load``.

    Raises:
        NotPlainError: As :func:`check`.
    """
    copy = io.BytesIO()
    _plain(path, copy, copy_tensors=True)
    copy.seek(0)
    return copy


def _plain(path: Path, target: io.BytesIO, *, copy_tensors: bool) -> None:
    try:
        with zipfile.ZipFile(path) as archive, zipfile.ZipFile(target, "w") as copy:
            for record, info in _records(archive):
                if _TENSOR.fullmatch(record):
                    if copy_tensors:
                        copy.writestr(f"model/{record}", archive.read(info))
                    continue
                copy.writestr(f"model/{record}", _checked(record, _small(archive, info)))
    except NotPlainError:
        raise
    except (OSError, EOFError, ValueError, RecursionError, NotImplementedError, zipfile.BadZipFile) as error:
        raise NotPlainError(f"it is not an archive of torch.export ({type(error).__name__})") from error


def _records(archive: zipfile.ZipFile) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    """Every record by its name below the archive's one folder."""
    seen: set[str] = set()
    root = None
    for info in archive.infolist():
        top, _, record = info.filename.partition("/")
        root = root or top
        known = record in (_EXAMPLE, _GRAPH, *_CONFIGS, *_TEXTS) or _TENSOR.fullmatch(record)
        if top != root or not known or record in seen:
            raise NotPlainError(f"the record {info.filename[:80]!r} is not one of a graph and its tensors")
        if info.compress_type != zipfile.ZIP_STORED:
            raise NotPlainError(f"the record {info.filename[:80]!r} is compressed")
        seen.add(record)
        yield record, info
    if _GRAPH not in seen:
        raise NotPlainError(f"it has no record {_GRAPH!r}")


def _small(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.file_size > _LARGEST_TEXT:
        raise NotPlainError(f"the record {info.filename[:80]!r} is larger than {_LARGEST_TEXT >> 20} MiB")
    return archive.read(info)


def _checked(record: str, content: bytes) -> bytes:
    """The content that torch is given for a record that is not a tensor."""
    if record == _EXAMPLE:
        return b""  # a pickle, and nothing that predicting needs
    if record in _TEXTS:
        if not _NAME.fullmatch(content.decode("ascii").strip()):
            raise NotPlainError(f"the record {record!r} is not one word")
        return content
    parsed = json.loads(content)
    if record in _CONFIGS:
        for name, tensor in parsed["config"].items():
            if tensor["use_pickle"] is not False or not isinstance(tensor["path_name"], str):
                raise NotPlainError(f"the tensor {name[:80]!r} is pickled")
    if record == _GRAPH:
        parsed["guards_code"] = []
    return json.dumps(_checked_value(parsed, record)).encode()


def _checked_value(value: Any, key: str) -> Any:
    """``value`` as JSON has it, every text in it checked by what its key says it is."""
    if isinstance(value, dict):
        return _checked_mapping(value)
    if isinstance(value, list):
        return [_checked_value(each, key) for each in value]
    if isinstance(value, str):
        _check_text(value, key)
    return value


def _checked_mapping(mapping: Mapping[str, Any]) -> dict[str, Any]:
    for key in mapping:
        _check_text(key, "name")
    if "as_custom_obj" in mapping or "custom_obj" in mapping:
        raise NotPlainError("it holds objects of classes of its own")
    # Remarks about the source; torch would follow the names in them, and predicting needs none.
    return {
        key: {} if key == "metadata" and isinstance(value, dict) else _checked_value(value, key)
        for key, value in mapping.items()
    }


def _check_text(text: str, key: str) -> None:
    if key in ("target", "as_operator"):
        found = _OPERATOR.fullmatch(text)
        allowed = found["name"] not in _WITH_FILES if found else _OTHER_OPERATORS.fullmatch(text)
        if not allowed or "__" in text:
            raise NotPlainError(f"the operator {text[:80]!r} is not known to do nothing but compute")
    elif key == "expr_str":
        _check_expression(text)
    elif key in ("in_spec", "out_spec"):
        _check_tree(json.loads(text))
    elif key in ("as_string", "as_strings"):
        if not _WORD.fullmatch(text):
            raise NotPlainError(f"the text {text[:80]!r} is not one that operators take")
    elif not _NAME.fullmatch(text):
        raise NotPlainError(f"{text[:80]!r} is not a name")


def _check_expression(text: str) -> None:
    """An expression for a size: numbers, symbols, arithmetic, and the functions that sizes are made with."""
    try:
        if "#" in text or "\n" in text or len(text) > _LONGEST_EXPRESSION:
            raise SyntaxError
        plain = all(_is_arithmetic(node) for node in ast.walk(ast.parse(text, mode="eval")))
    except (SyntaxError, MemoryError):
        plain = False
    if not plain:
        raise NotPlainError(f"the size {text[:80]!r} is not arithmetic")


def _is_arithmetic(node: ast.AST) -> bool:
    if isinstance(node, ast.Name):
        return node.id in _FUNCTIONS or bool(_SYMBOL.fullmatch(node.id))
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name)
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float) or (
            isinstance(node.value, str)
            and bool(_SYMBOL.fullmatch(node.value) or _NUMBER.fullmatch(node.value))
        )
    return isinstance(node, _ARITHMETIC)


def _check_tree(tree: Any) -> None:
    """How inputs and outputs are nested: in tuples, lists and dicts only."""
    if isinstance(tree, list):
        for each in tree:
            _check_tree(each)
    elif isinstance(tree, dict):
        if tree.get("type") not in _CONTAINERS:
            raise NotPlainError(f"its inputs or outputs are held in {str(tree.get('type'))[:80]!r}")
        _check_tree(tree.get("children_spec", []))
    elif not isinstance(tree, int):
        raise NotPlainError("how its inputs and outputs are nested cannot be read")

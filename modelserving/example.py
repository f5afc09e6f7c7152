"""A model's input example: the files MLflow keeps it in, and a request made from it.

============================  =======================  ==============================================
example                       type                     ``input_example.json``
============================  =======================  ==============================================
DataFrame                     dataframe                ``{"columns": […], "data": [[…], …]}``; without
                                                       columns where they are 0, 1, …
ndarray, dict of ndarrays     ndarray                  nested lists; an object of them
scipy CSR or CSC matrix       sparse_matrix_csr, _csc  ``{"data", "indices", "indptr", "shape"}``
dict, list, scalar, Series    json_object              as it is
============================  =======================  ==============================================

With params it is ``{"inputs": <the above>, "params": {…}}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modelserving.errors import MLmodelError
from modelserving.scoring.content.json import parse
from modelserving.scoring.forms import LLM_KEYS, dataframe_split, inputs
from modelserving.scoring.predictions import encode_json
from modelserving.signature.convert.params import convert_params
from modelserving.signature.rows import Raw, Rows

if TYPE_CHECKING:
    from modelserving.signature.schema import Schema, Signature

EXAMPLE_FILE = "input_example.json"
REQUEST_FILE = "serving_input_example.json"


def save_example(
    example: object, folder: Path, *, params: Mapping[str, object] | None = None
) -> dict[str, object]:
    """Write an input example, and the request that asks it over HTTP.

    Args:
        example: What the model can be asked with. MLflow's ``(example, params)`` is understood.
        folder: The model's folder.
        params: Params to ask it with.

    Returns:
        The mapping ``saved_input_example_info`` of the MLmodel file.

    Raises:
        UnserializableError: The example has no JSON form.

    Example:
        >>> import tempfile, pathlib
        >>> save_example({"a": 1}, pathlib.Path(tempfile.mkdtemp()))["type"]
        'json_object'
    """
    if params is None and isinstance(example, tuple) and len(example) == 2 and isinstance(example[1], dict):
        example, params = example
    kind, form, request = _forms(example)
    info: dict[str, object] = {
        "artifact_path": EXAMPLE_FILE,
        "serving_input_path": REQUEST_FILE,
        "type": kind,
    }
    if kind == "dataframe":
        info["pandas_orient"] = "split" if isinstance(form, dict) and "columns" in form else "values"
    if params:
        info["params"] = "true"
        form = {"inputs": form, "params": dict(params)}
        request = {**request, **params} if _is_llm(example) else {**request, "params": dict(params)}
    (folder / EXAMPLE_FILE).write_bytes(encode_json(form))
    (folder / REQUEST_FILE).write_bytes(encode_json(request))
    return info


def load_example(
    folder: Path, info: Mapping[str, object], signature: Signature | None
) -> tuple[object, dict[str, object] | None]:
    """The input example of a model, and the params to ask it with (None without).

    Args:
        folder: The model's folder.
        info: ``saved_input_example_info`` of its MLmodel file.
        signature: What the model declares: gives frames and arrays their dtypes.

    Raises:
        MLmodelError: The file is missing or not what ``info`` says, or ``info`` names no such file.
    """
    path = _file(folder, info, "artifact_path", EXAMPLE_FILE)
    try:
        value = parse(path.read_bytes())
        params: dict[str, object] | None = None
        if str(info.get("params", "")).lower() == "true" and isinstance(value, dict):
            value, params = value["inputs"], value["params"]
        if params is not None and signature is not None and signature.params:
            params = convert_params(params, signature.params)
        schema = None if signature is None else signature.inputs
        return _read(value, str(info.get("type", "json_object")), schema), params
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise MLmodelError(f"the input example cannot be read: {error}", str(path)) from error


def serving_request(folder: Path, info: Mapping[str, object]) -> bytes:
    """The body of a request for ``/invocations`` that asks the input example, as JSON.

    Raises:
        MLmodelError: The file is missing, or ``info`` names no such file.
    """
    path = _file(folder, info, "serving_input_path", REQUEST_FILE)
    try:
        return path.read_bytes()
    except OSError as error:
        raise MLmodelError(f"the request of the input example cannot be read: {error}", str(path)) from error


def _forms(example: Any) -> tuple[str, object, dict[str, Any]]:
    """The type of an example, its own form, and the request made of it."""
    kind = _kind(example)
    if kind == "dataframe":
        form = _split(example)
        return kind, form, {"dataframe_split": form}
    if kind.startswith("sparse"):
        parts = {name: getattr(example, name) for name in ("data", "indices", "indptr")}
        return kind, {**parts, "shape": list(example.shape)}, {"inputs": example.toarray()}
    if kind == "json_object" and hasattr(example, "iloc"):  # a Series: its values, not records
        example = example.tolist()
    return kind, example, dict(example) if _is_llm(example) else {"inputs": example}


def _kind(example: Any) -> str:
    library = type(example).__module__.partition(".")[0]
    if library == "pandas" and hasattr(example, "iterrows"):
        return "dataframe"
    if library == "scipy" and getattr(example, "format", "") in {"csr", "csc"}:
        return f"sparse_matrix_{example.format}"
    if isinstance(example, np.ndarray):
        return "ndarray"
    if (
        isinstance(example, Mapping)
        and example
        and all(isinstance(each, np.ndarray) for each in example.values())
    ):
        return "ndarray"
    return "json_object"


def _split(frame: Any) -> dict[str, object]:
    names = list(frame.columns)
    rows = [list(row) for row in zip(*(frame.iloc[:, at].tolist() for at in range(len(names))), strict=True)]
    if names == list(range(len(names))):
        return {"data": rows}
    return {"columns": [name if isinstance(name, int) else str(name) for name in names], "data": rows}


def _is_llm(example: object) -> bool:
    return isinstance(example, Mapping) and any(name in example for name in LLM_KEYS)


def _read(value: object, kind: str, schema: Schema | None) -> object:
    if kind == "dataframe":
        return _handed(dataframe_split(value, schema)[0], "frame")
    if kind == "ndarray":
        if isinstance(value, dict):
            return _handed(inputs(value, schema)[0], "columns")
        return _handed(inputs(value, schema)[0], "array")
    if kind.startswith("sparse_matrix_") and isinstance(value, dict):
        from scipy import sparse

        make = {"sparse_matrix_csr": sparse.csr_matrix, "sparse_matrix_csc": sparse.csc_matrix}[kind]
        return make((value["data"], value["indices"], value["indptr"]), shape=tuple(value["shape"]))
    return value


def _handed(data: Rows | Raw, form: Any) -> object:
    return data.value if isinstance(data, Raw) else data.to(form)


def _file(folder: Path, info: Mapping[str, object], key: str, default: str) -> Path:
    name = info.get(key, default)
    if not isinstance(name, str) or Path(name).name != name or name in {"", ".", ".."}:
        reason = "it must be the name of a file in the model's folder"
        raise MLmodelError(reason, key=f"saved_input_example_info.{key}")
    return folder / name

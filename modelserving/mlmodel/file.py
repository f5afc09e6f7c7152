"""The ``MLmodel`` file: what a model's folder says about itself, in MLflow's format."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from modelserving.errors import MLmodelError, SignatureError
from modelserving.mlmodel.fields import (
    Check,
    boolean,
    integer,
    list_of,
    mapping,
    mapping_of,
    path,
    plain,
    record,
    text,
    texts,
    version,
)
from modelserving.mlmodel.flavor_configs import check_flavors, is_version
from modelserving.mlmodel.restricted_yaml import MAX_BYTES, dump, load
from modelserving.signature.schema import Signature

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE_NAME: Final = "MLmodel"
OURS: Final = "modelserving"
FORMAT: Final = 1
"""The newest form of what stands under ``modelserving:`` that this version reads, and the one it writes."""

_FIELDS: Final[dict[str, Check]] = {
    "artifact_path": text,
    "auth_policy": mapping,
    "databricks_runtime": text,
    "env_vars": texts,
    "is_signature_from_type_hint": boolean,
    "metadata": mapping,
    "mlflow_version": version,
    "model_id": text,
    "model_size_bytes": integer,
    "model_uuid": text,
    "prompts": texts,
    "resources": mapping,
    "run_id": text,
    "saved_input_example_info": record(
        {
            "artifact_path": path,
            "pandas_orient": text,
            "params": text,
            "serving_input_path": path,
            "type": text,
        }
    ),
    "type_hint_from_example": boolean,
    "utc_time_created": text,
}
_CHECK_SIGNATURE: Final = record({"inputs": text, "outputs": text, "params": text})
_CHECK_OURS: Final = record(
    {
        "categories": mapping_of(list_of(lambda value, _: value)),
        "environment": mapping_of(text),
        "golden": path,
        "method": text,
        "note": text,
        "time_zones": mapping_of(text),
        "version": text,
        "written_by": text,
    }
)
_KNOWN: Final = frozenset({*_FIELDS, "flavors", "signature", OURS})


@dataclass(frozen=True, kw_only=True, slots=True)
class MLmodel:
    """What an ``MLmodel`` file says; checked when made, from a file or from Python.

    Only ``flavors`` must be there, as older versions of MLflow wrote fewer keys. What is None is not written.

    Attributes:
        flavors: Name of each flavor → its config, a mapping of plain values. Known keys hold what they may,
            and paths stay inside the folder.
        signature: What the model takes and returns; None when it was logged without one.
        is_signature_from_type_hint: Whether the signature comes from the type hints of a Python function.
        type_hint_from_example: Whether those hints come from an input example.
        saved_input_example_info: Where the input example is, and of what kind.
        metadata: What the user noted: any plain values, by keys of text or whole numbers.
        artifact_path: Where MLflow logged it: a path in a run, or since MLflow 3 a URI. Never opened.
        run_id: The run that logged it.
        model_id: MLflow 3's id of the logged model.
        model_uuid: An id of this folder's content, from MLflow 1.20 on.
        utc_time_created: When it was made, ``2026-11-22 14:51:11.654385`` in UTC. Never parsed.
        mlflow_version: The MLflow that wrote it; None for what this package writes.
        model_size_bytes: Size of the model's files in bytes, without this one.
        prompts: URIs of MLflow prompts it uses.
        env_vars: Names of environment variables that were read while it was logged.
        resources: Databricks resources it uses.
        auth_policy: Databricks' policy for them.
        databricks_runtime: The Databricks runtime it was logged on.
        ours: What this package noted, under the key ``modelserving``; {} for models of others.
        extra: All other keys, kept and written back.

    Raises:
        MLmodelError: A value is not what its key must hold; ``key`` is the path to it.

    Example:
        >>> mlmodel = MLmodel(flavors={"sklearn": {"pickled_model": "model.pkl"}})
        >>> MLmodel.from_text(mlmodel.to_text()) == mlmodel
        True
    """

    flavors: Mapping[str, Mapping[str, object]]
    signature: Signature | None = None
    is_signature_from_type_hint: bool | None = None
    type_hint_from_example: bool | None = None
    saved_input_example_info: Mapping[str, object] | None = None
    metadata: Mapping[str | int, object] | None = None
    artifact_path: str | None = None
    run_id: str | None = None
    model_id: str | None = None
    model_uuid: str | None = None
    utc_time_created: str | None = None
    mlflow_version: str | None = None
    model_size_bytes: int | None = None
    prompts: tuple[str, ...] | None = None
    env_vars: tuple[str, ...] | None = None
    resources: Mapping[str, object] | None = None
    auth_policy: Mapping[str, object] | None = None
    databricks_runtime: str | None = None
    ours: Mapping[str, object] = field(default_factory=dict)
    extra: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._keep("ours", _checked_ours(plain(self.ours, (OURS,))))
        self._keep("flavors", plain(self.flavors, ("flavors",)))
        check_flavors(self.flavors, ("flavors",))
        for name, check in _FIELDS.items():
            value = plain(getattr(self, name), (name,))
            if value is not None:
                check(value, (name,))
            self._keep(name, tuple(value) if isinstance(value, list) else value)
        self._keep("extra", plain(record({})(self.extra, ())))
        if taken := sorted(_KNOWN.intersection(self.extra)):
            raise MLmodelError("a known key has its own field, it cannot stand in extra", None, taken[0])

    def _keep(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @classmethod
    def read(cls, folder: Path) -> MLmodel:
        """The MLmodel file of a model's folder.

        Opens that one file, no link in its place, only if it is a regular file, and reads at most 1 MiB of
        it.

        Args:
            folder: The folder of the model, not the file.

        Raises:
            MLmodelError: There is no such file, or it does not say what it must.
        """
        file = Path(folder) / FILE_NAME
        try:
            data = _bytes(file)
        except OSError as error:
            raise MLmodelError(_unreadable(error), str(file)) from error
        try:
            return cls.from_text(data.decode("utf-8"), str(file))
        except UnicodeDecodeError as error:
            raise MLmodelError(f"not UTF-8 (byte {error.start})", str(file)) from None

    @classmethod
    def from_text(cls, text: str, path: str | None = None) -> MLmodel:
        """What the text of an MLmodel file says.

        Args:
            text: YAML; see :mod:`~modelserving.mlmodel.restricted_yaml` for what is refused.
            path: The file it comes from, for messages.

        Raises:
            MLmodelError: It is not YAML, or does not say what it must.
        """
        try:
            form = load(text, is_text=is_version)
        except MLmodelError as error:
            raise MLmodelError(error.reason, path, error.key) from error.__cause__
        return cls.from_dict(form, path)

    @classmethod
    def from_dict(cls, form: object, path: str | None = None) -> MLmodel:
        """What the parsed content of an MLmodel file says.

        Args:
            form: A mapping from text; anything else is refused.
            path: The file it comes from, for messages.

        Raises:
            MLmodelError: It does not say what it must.
        """
        try:
            return cls(**_arguments(form))
        except MLmodelError as error:
            raise MLmodelError(error.reason, path, error.key) from error.__cause__

    def to_dict(self) -> dict[str, object]:
        """The content of the file, keys sorted, what is None left out."""
        form: dict[str, object] = {"flavors": self.flavors, **self.extra}
        for name in _FIELDS:
            value = getattr(self, name)
            form[name] = list(value) if isinstance(value, tuple) else value
        form["signature"] = None if self.signature is None else self.signature.to_dict()
        form[OURS] = self.ours or None
        present = {key: value for key, value in form.items() if value is not None or key in self.extra}
        copy: Any = plain(present)
        return dict(copy)

    def to_text(self) -> str:
        """The file as text: the same for equal models, and readable by MLflow.

        Raises:
            MLmodelError: It would be longer than 1 MiB.
        """
        return dump(self.to_dict())

    def write(self, folder: Path) -> None:
        """Write the file into the model's folder, in place of one that may be there.

        Raises:
            MLmodelError: It would be longer than 1 MiB.
            OSError: The folder cannot be written.
        """
        data = self.to_text().encode()
        part = Path(folder) / f"{FILE_NAME}.part"
        part.write_bytes(data)
        part.replace(part.with_name(FILE_NAME))


_DIRECT: Final = frozenset(each.name for each in fields(MLmodel)).intersection(_KNOWN) - {"signature"}


def _arguments(form: object) -> dict[str, Any]:
    """The arguments of MLmodel that a file's content stands for."""
    record({}, required=("flavors",))(form, ())
    content = dict(mapping(form, ()))
    arguments = {key: content.pop(key) for key in _DIRECT.intersection(content)}
    ours, signature = content.pop(OURS, None), content.pop("signature", None)
    arguments["ours"] = {} if ours is None else mapping(ours, (OURS,))
    arguments["signature"] = None if signature is None else _signature(signature)
    return {**arguments, "extra": content}


def _signature(form: object) -> Signature:
    _CHECK_SIGNATURE(form, ("signature",))
    try:
        return Signature.from_dict(mapping(form, ("signature",)))
    except SignatureError as error:
        raise MLmodelError(str(error), None, "signature") from error


def _checked_ours(ours: object) -> object:
    """What stands under ``modelserving:``; the format first, since all the rest depends on it."""
    found = mapping(ours, (OURS,))
    if not found:
        return ours
    record({"format": integer}, required=("format",))(found, (OURS,))
    written: Any = found["format"]
    if written < 1:
        raise MLmodelError(f"format {written} does not exist", None, f"{OURS}.format")
    if written > FORMAT:
        newer = found.get("version")
        package = f"modelserving>={newer}" if isinstance(newer, str) else "modelserving"
        remedy = f"run: pip install --upgrade '{package}'"
        raise MLmodelError(f"format {written} is newer than {FORMAT}; {remedy}", None, f"{OURS}.format")
    return _CHECK_OURS(ours, (OURS,))


def _bytes(file: Path) -> bytes:
    """At most one byte more than an MLmodel file may have."""
    descriptor = os.open(
        file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    )  # a FIFO must not block
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return stream.read(MAX_BYTES + 1)


def _unreadable(error: OSError) -> str:
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            return "no such file; give the folder of a saved model"
        case errno.ELOOP | errno.EMLINK:
            return "the MLmodel file is a symbolic link, which is not followed"
        case _:
            return f"cannot be read: {error.strerror}"

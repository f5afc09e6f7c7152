"""The flavor of ONNX graphs, run by onnxruntime."""

from __future__ import annotations

import os
import shutil
import threading
from typing import TYPE_CHECKING, Any, ClassVar

from modelserving.errors import DataError, FlavorSaveError, MissingDependencyError, Problem
from modelserving.flavor import Traits
from modelserving.flavors import _entry
from modelserving.flavors._onnx_file import external_files
from modelserving.flavors._onnx_twin import OnnxTwin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from modelserving.flavor import Config, Grant, Tier

_LARGEST = 2**31 - 1  # what one protocol buffer can hold


class OnnxModel:
    """An ONNX graph with one onnxruntime session per process; a forked child makes its own.

    Attributes:
        path: The file of the graph, with its external data beside it.
        files: The names of the files that belong to it.
    """

    def __init__(self, path: Path, files: Sequence[str], threads: int, providers: Sequence[str]) -> None:
        self.path, self.files = path, tuple(files)
        self._threads, self._providers = threads, tuple(providers)
        self._lock = threading.Lock()
        self._session: Any = None
        self._pid = 0
        self.inputs = [(each.name, each.type, len(each.shape)) for each in self.session.get_inputs()]
        self.outputs = [each.name for each in self.session.get_outputs()]

    @property
    def session(self) -> Any:
        """The ``InferenceSession`` of this process."""
        if self._pid != os.getpid():
            self._lock = threading.Lock() if self._pid else self._lock  # a fork may have copied a held lock
            with self._lock:
                if self._pid != os.getpid():
                    self._session, self._pid = self._open(), os.getpid()
        return self._session

    def run(self, feed: Mapping[str, Any]) -> dict[str, Any]:
        """Every output by name. A double is rounded to float only where the graph asks for float."""
        import numpy as np

        given = {}
        for name, kind, rank in self.inputs:
            value = np.asarray(feed[name])
            if kind == "tensor(float)" and value.dtype == np.float64:
                value = value.astype(np.float32)
            elif kind == "tensor(string)" and value.dtype != object:
                value = value.astype(object)
            given[name] = value.reshape(-1, 1) if rank == 2 and value.ndim == 1 else value
        return dict(zip(self.outputs, self.session.run(self.outputs, given), strict=True))

    def _open(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        return onnxruntime.InferenceSession(self.path, options, providers=list(self._providers))


class OnnxFlavor:
    """Saves ONNX models, and runs them with onnxruntime.

    Args:
        onnx_execution_providers: What to run on, best first; those that onnxruntime lacks are left out. None
            for the processor.
        intra_op_num_threads: Threads for one prediction, in which a model's file has no say; 0 for as many
            as there are cores. One, as a server asks from several threads already.

    Example:
        >>> from modelserving.flavors.onnx import OnnxFlavor
        >>> OnnxFlavor().accepts("not a graph")
        False
    """

    name: ClassVar[str] = "onnx"
    framework: ClassVar[str] = "onnxruntime"
    requires: ClassVar[tuple[str, ...]] = ("onnxruntime",)
    tiers: ClassVar[tuple[Tier, ...]] = ("native",)

    def __init__(
        self, onnx_execution_providers: Sequence[str] | None = None, intra_op_num_threads: int = 1
    ) -> None:
        self.providers = tuple(onnx_execution_providers or ("CPUExecutionProvider",))
        self.intra_op_num_threads = intra_op_num_threads

    def accepts(self, model: object, /) -> bool:
        """Whether ``model`` is an ``onnx.ModelProto``, or was loaded by this flavor."""
        kind = type(model)
        return kind is OnnxModel or (kind.__name__ == "ModelProto" and kind.__module__.startswith("onnx"))

    def save(self, model: Any, folder: Path, /, *, example: object = None) -> Mapping[str, Config]:
        """Write ``model.onnx``; of a model that was loaded, its external data too.

        Raises:
            FlavorSaveError: The graph is larger than a file can be, or its weights are files outside of it.
        """
        path = folder / "model.onnx"
        if isinstance(model, OnnxModel):
            for name in model.files:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(model.path.parent / name, folder / name)
            path = folder / model.path.name
        else:
            path.write_bytes(self._serialized(model))
        keys = {"data": path.name}
        return {
            self.name: {
                **keys,
                "code": None,
                "onnx_session_options": None,
                "onnx_version": _entry.installed_version("onnx"),
                "providers": list(self.providers),
            },
            "python_function": _entry.python_function_entry("mlflow.onnx", **keys),
        }

    def tier(self, folder: Path, config: Config, /) -> Tier:
        """``native``: a C++ parser reads the file; ``code`` when modules come along.

        Raises:
            FlavorLoadError: The graph names weights that are no file of the folder.
        """
        if config.get("code"):
            return "code"
        self._weights(_entry.file_of(self.name, folder, config, "data"))
        return "native"

    def load(self, folder: Path, config: Config, /, *, grant: Grant) -> OnnxModel | OnnxTwin:
        """The graph, ready to run; its weights come from files inside the folder or not at all."""
        path = _entry.file_of(self.name, folder, config, "data")
        _entry.require(grant, "code" if config.get("code") else "native", f"an ONNX graph ({path.name})")
        files = self._weights(path)
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingDependencyError("onnxruntime", "the flavor 'onnx'", "onnx") from error
        there = onnxruntime.get_available_providers()
        providers = [name for name in self.providers if name in there] or ["CPUExecutionProvider"]
        with _entry.reading(self.name, path):
            graph = OnnxModel(path, (path.name, *files), self.intra_op_num_threads, providers)
            twin: Any = config.get("twin")
            return OnnxTwin(graph, twin) if twin else graph

    def traits(self, model: object, /) -> Traits:
        """``predict``; a graph may do anything with its rows, so they are not known to be independent.

        A twin has the methods of the model it was made from, and its rows are as independent.
        """
        if isinstance(model, OnnxTwin):
            return model.traits
        return Traits(takes=("frame", "array", "columns"), thread_safe=True)

    def predict(
        self, model: OnnxModel | OnnxTwin, data: Any, params: Mapping[str, object], /, *, method: str
    ) -> object:
        """Every output of the graph; of a twin the one that answers the method.

        Args:
            model: The loaded graph.
            data: A dict of arrays by input name; an array for a graph of one input; or a frame, whose
                columns are the inputs, or together the only one.
            params: A graph takes none.
            method: ``predict``.

        Returns:
            A dict of arrays by output name; for a frame a frame, when every output is one value per row.
        """
        if isinstance(model, OnnxTwin):
            return model.predict(data, method)
        names = [name for name, _, _ in model.inputs]
        framed = hasattr(data, "columns") and hasattr(data, "to_numpy")
        if isinstance(data, dict):
            return model.run(data)
        if len(names) == 1:
            answer = model.run({names[0]: data.to_numpy() if framed else data})
        elif framed:
            answer = model.run({name: data[name].to_numpy() for name in names})
        else:
            raise DataError([Problem(f"a dict or a frame with the inputs {names}", "one array")])
        return _as_frame(answer, len(data)) if framed else answer

    def _weights(self, path: Path) -> list[str]:
        """The files beside the graph that hold its weights, each a file of the model."""
        with _entry.reading(self.name, path):
            files = sorted(external_files(path.read_bytes()))
        for name in files:
            _entry.file_of(self.name, path.parent, {"external data": name}, "external data")
        return files

    def _serialized(self, model: Any) -> bytes:
        """The graph as bytes."""
        if model.ByteSize() > _LARGEST:
            reason = (
                "it is larger than 2 GB, the most that one file can hold; make it smaller, or quantise it"
            )
            raise FlavorSaveError(self.name, reason)
        graph: bytes = model.SerializeToString()
        if outside := external_files(graph):
            reason = f"its weights are in other files ({min(outside)!r}); load them with onnx.load(path)"
            raise FlavorSaveError(self.name, reason)
        return graph


def _as_frame(answer: dict[str, Any], rows: int) -> object:
    """The outputs as columns of a DataFrame, as MLflow gives them, where each is one value per row."""
    import pandas as pd

    if all(getattr(value, "shape", None) in ((rows,), (rows, 1)) for value in answer.values()):
        return pd.DataFrame({name: value.reshape(-1) for name, value in answer.items()})
    return answer

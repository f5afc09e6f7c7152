"""The flavor of PyTorch: modules as exported graphs, as weights beside a factory, or pickled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from modelserving.errors import DataError, FlavorSaveError, MissingDependencyError, Problem
from modelserving.flavor import Traits
from modelserving.flavors import _entry, _pt2_archive
from modelserving.flavors._code_folder import code_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelserving.flavor import Config, Grant, Tier

Serialization = Literal["pt2", "safetensors", "pickle"]

_FILES: Mapping[str, str] = {"pt2": "model.pt2", "safetensors": "model.safetensors", "pickle": "model.pth"}
_FACTORY = "module_factory.py"
_PICKLE_MODULE = "mlflow.pytorch.pickle_module"  # MLflow imports what it finds under this name; we do not


class PyTorchFlavor:
    """Saves modules so that they load without running Python of theirs where that is possible.

    Args:
        serialization_format: ``pt2``, a graph exported with the input example; ``safetensors``, the weights
            beside a ``module_factory``; ``pickle``, the module as it is. None decides: safetensors with a
            factory; else pt2 where the module can be exported with any number of rows; else pickle.
        module_factory: A Python file and the name of a class or function in it that makes the module, with
            random weights: ``net.py:Net``. It is copied beside the weights.

    Example:
        >>> from modelserving.flavors.pytorch import PyTorchFlavor
        >>> PyTorchFlavor(serialization_format="pt2").accepts("not a module")
        False
    """

    name: ClassVar[str] = "pytorch"
    framework: ClassVar[str] = "torch"
    requires: ClassVar[tuple[str, ...]] = ("torch",)
    tiers: ClassVar[tuple[Tier, ...]] = ("native", "code")

    def __init__(
        self, serialization_format: Serialization | None = None, module_factory: str | None = None
    ) -> None:
        if serialization_format is not None and serialization_format not in _FILES:
            reason = (
                f"serialization_format is {serialization_format!r}; expected None or one of {sorted(_FILES)}"
            )
            raise FlavorSaveError(self.name, reason)
        if (serialization_format or "safetensors") != "safetensors" and module_factory:
            raise FlavorSaveError(self.name, "a module_factory goes with serialization_format='safetensors'")
        if serialization_format == "safetensors" and not module_factory:
            raise FlavorSaveError(
                self.name, "safetensors holds weights only; give module_factory='net.py:Net'"
            )
        self.serialization_format: Serialization | None = (
            "safetensors" if module_factory else serialization_format
        )
        self.module_factory = module_factory

    def accepts(self, model: object, /) -> bool:
        """Whether ``model`` is a ``torch.nn.Module``."""
        return _is_a(model, "torch.nn.modules.module", "Module")

    def save(self, model: Any, folder: Path, /, *, example: object = None) -> Mapping[str, Config]:
        """Write the module into ``data/``.

        Returns:
            The entries ``pytorch`` and, where MLflow can ask the model, ``python_function``. When the module
            was pickled and nobody asked for that, ``modelserving`` holds a ``note`` that says why.

        Raises:
            FlavorSaveError: It cannot be saved in the form that was asked for.
        """
        data = folder / "data"
        data.mkdir()
        form, note = self._write(model, data, example)
        config: dict[str, Config] = {
            self.name: {
                "code": None,
                "model_data": data.name,
                "pytorch_version": _entry.installed_version("torch"),
                **(
                    {"module_factory": str(self.module_factory).rpartition(":")[2]}
                    if form == "safetensors"
                    else {}
                ),
            }
        }
        if form == "pickle" or (form == "pt2" and not isinstance(example, dict)):
            config["python_function"] = _entry.python_function_entry(
                "mlflow.pytorch", config={"device": None}, data=data.name, pickle_module_name=_PICKLE_MODULE
            )
        return config | ({"modelserving": {"note": note}} if note else {})

    def tier(self, folder: Path, config: Config, /) -> Tier:
        """``native`` for an exported graph that holds nothing but computation; else ``code``."""
        path = _file(folder, config)
        if config.get("code") or path.suffix != ".pt2":
            return "code"
        try:
            _pt2_archive.check(path)
        except _pt2_archive.NotPlainError:
            return "code"
        return "native"

    def load(self, folder: Path, config: Config, /, *, grant: Grant) -> object:
        """The module back, on the processor, ready to predict."""
        path = _file(folder, config)
        _entry.require(grant, "native", f"a PyTorch model ({path.name})")
        graph = _plain_graph(path, grant) if path.suffix == ".pt2" and not config.get("code") else None
        if graph is None:
            _entry.require(grant, "code", f"Python code ({path.name}, PyTorch)")
        try:
            import torch
        except ImportError as error:
            raise MissingDependencyError("torch", "the flavor 'pytorch'", "pytorch") from error
        with _entry.reading(self.name, path):
            if graph is not None:
                return torch.export.load(graph).module()
            from modelserving.trust import code

            with code_folder(self.name, folder, config, grant):
                if path.suffix == ".safetensors":
                    return self._from_factory(path, config, grant)
                module: Any = code.load_torch(path, grant=grant)
            return module if path.suffix == ".pt2" else module.train(False)

    def traits(self, model: Any, /) -> Traits:
        """``predict``; a graph that changes none of its own tensors may be asked from several threads."""
        return Traits(takes=("array", "frame", "columns"), thread_safe=_only_computes(model))

    def predict(self, model: Any, data: Any, params: Mapping[str, object], /, *, method: str) -> object:
        """What the module answers, as arrays.

        Args:
            model: The module.
            data: An array; a frame, whose numbers are given as one array; or a dict, whose arrays are given
                by name. Floating point numbers take the module's own precision.
            params: Given to ``forward`` by name.
            method: ``predict``.

        Returns:
            An array for a tensor, a frame for a frame, and the same nested in tuples, lists and dicts.
        """
        import torch

        arguments, named = _inputs(data, _precision(model))
        with torch.inference_mode():
            answer = _entry.arrays(model(*arguments, **named, **params))
        if hasattr(data, "columns") and getattr(answer, "ndim", 3) <= 2:
            import pandas as pd

            return pd.DataFrame(answer, index=data.index)
        return answer

    def _write(self, model: Any, data: Path, example: object) -> tuple[Serialization, str | None]:
        """How the module was written, and why it is a pickle when nobody asked for one."""
        wanted = self.serialization_format
        if wanted == "safetensors":
            self._write_weights(model, data)
            return wanted, None
        if wanted != "pickle":
            reason = _why_not_exported(model, data / _FILES["pt2"], example)
            if reason is None:
                return "pt2", None
            if wanted == "pt2":
                raise FlavorSaveError(self.name, f"not as pt2: {reason}; leave serialization_format out")
            note = f"saved as a pickle, which needs trust to load: {reason}"
        else:
            note = None
        _write_pickle(model, data)
        return "pickle", note

    def _write_weights(self, model: Any, data: Path) -> None:
        """The state as safetensors, and the file of the factory."""
        file, _, made_by = str(self.module_factory).rpartition(":")
        if not Path(file).is_file() or not made_by.isidentifier():
            reason = f"module_factory is {self.module_factory!r}; expected a file and a name, as 'net.py:Net'"
            raise FlavorSaveError(self.name, reason)
        (data / _FACTORY).write_bytes(Path(file).read_bytes())
        try:
            from safetensors.torch import save_model
        except ImportError as error:
            raise MissingDependencyError("safetensors", "the flavor 'pytorch'", "pytorch") from error
        save_model(model, str(data / _FILES["safetensors"]))

    def _from_factory(self, path: Path, config: Config, grant: Grant) -> object:
        """The module that the factory makes, with the weights of the file."""
        from safetensors.torch import load_model

        from modelserving.trust import code

        made_by = str(config.get("module_factory"))
        factory = code.load_module_file(
            _entry.file_of(self.name, path.parent, {"module_factory": _FACTORY}, "module_factory"),
            grant=grant,
            name="module_factory",
        )
        if not made_by.isidentifier() or not hasattr(factory, made_by):
            raise _entry.unreadable(self.name, f"{_FACTORY!r} has no {made_by!r}; log the model again")
        module: Any = getattr(factory, made_by)()
        load_model(module, str(path))
        return module.train(False)


def _only_computes(model: Any) -> bool:
    """Whether the module is a graph of operators, none of which changes a tensor in place."""
    nodes = getattr(getattr(model, "graph", None), "nodes", None)
    return nodes is not None and not any(
        node.op in ("call_module", "call_method") or str(node.target).endswith("_.default") for node in nodes
    )


def _is_a(model: object, module: str, name: str) -> bool:
    return any(kind.__module__ == module and kind.__name__ == name for kind in type(model).__mro__)


def _file(folder: Path, config: Config) -> Path:
    """The one file that holds the module."""
    data = _entry.inside("pytorch", folder, config.get("model_data"), "model_data")
    found = [name for name in _FILES.values() if (data / name).is_file()]
    if len(found) != 1:
        expected = ", ".join(sorted(_FILES.values()))
        raise _entry.unreadable(
            "pytorch", f"{data.name!r} holds {found or 'none'} of {expected}; expected one"
        )
    return _entry.file_of("pytorch", data, {"model_data": found[0]}, "model_data")


def _plain_graph(path: Path, grant: Grant) -> Any:
    """The archive to give to torch; None when it holds more than data and whoever asks may run that."""
    try:
        return _pt2_archive.plain_copy(path)
    except _pt2_archive.NotPlainError as error:
        _entry.require(grant, "code", f"more than a graph ({path.name}: {error})")
        return None


def _why_not_exported(model: Any, path: Path, example: object) -> str | None:
    """Write the graph, and None; or why it cannot be exported, in a few words."""
    import torch

    if example is None:
        return "exporting a graph takes an input_example"
    modes = {module: module.training for module in model.modules()}
    try:
        arguments, named = _inputs(example, _precision(model))
        arguments = tuple(map(_two_rows, arguments))
        named = {name: _two_rows(tensor) for name, tensor in named.items()}
        rows = {0: torch.export.Dim.AUTO}
        shapes = dict.fromkeys(named, rows) or tuple(rows for _ in arguments)
        for module in modes:
            module.training = False
        program = torch.export.export(model, arguments, named, dynamic_shapes=shapes)
        fixed = [name for name, shape in _input_shapes(program) if str(shape[0]).isdigit()]
        if fixed:
            return f"its graph takes one number of rows only ({fixed[0]!r})"
        torch.export.save(program, path)
        _pt2_archive.check(path)
    except Exception as error:  # noqa: BLE001 - exporting runs the module, which raises what it likes
        path.unlink(missing_ok=True)
        return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:160]}"
    finally:
        for module, training in modes.items():
            module.training = training
    return None


def _input_shapes(program: Any) -> list[tuple[str, Any]]:
    """The shape of each input as the export sees it; a size that may vary is no number."""
    inputs = set(program.graph_signature.user_inputs)
    return [(node.name, node.meta["val"].shape) for node in program.graph.nodes if node.name in inputs]


def _two_rows(tensor: Any) -> Any:
    """The tensor, with at least two rows: of one, an export concludes that there is always one."""
    import torch

    return tensor if len(tensor) > 1 else torch.cat([tensor, tensor])


def _write_pickle(model: Any, data: Path) -> None:
    """The whole module, as MLflow writes it."""
    import cloudpickle
    import torch

    path = data / _FILES["pickle"]
    (data / "pickle_module_info.txt").write_text(_PICKLE_MODULE)
    try:
        torch.save(model, path, pickle_module=cloudpickle)
    except Exception as error:
        path.unlink(missing_ok=True)
        reason = f"cannot pickle a {type(model).__qualname__!r} ({type(error).__name__}: {error})"
        raise FlavorSaveError("pytorch", f"{reason}; remove what cannot be pickled from it") from error


def _precision(model: Any) -> Any:
    """The type of the module's floating point numbers."""
    import torch

    tensors = (*model.parameters(), *model.buffers())
    return next((each.dtype for each in tensors if each.is_floating_point()), torch.float32)


def _inputs(data: Any, precision: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The tensors a module is given, by position and by name."""
    import numpy as np
    import torch

    if isinstance(data, dict):
        return (), {str(name): _inputs(value, precision)[0][0] for name, value in data.items()}
    if hasattr(data, "columns") and hasattr(data, "to_numpy"):
        data = np.ascontiguousarray(data.to_numpy(dtype=np.float64))  # the layout decides on the last bits
    if not isinstance(data, torch.Tensor):
        array = np.asarray(data)
        if array.dtype.kind not in "biufc":
            raise DataError([Problem("numbers", f"an array of type {array.dtype}")])
        data = torch.tensor(array)
    return (data.to(precision) if data.is_floating_point() else data,), {}

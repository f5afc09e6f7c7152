"""The only calls of this package that run a model's code. Each of them takes a ``Grant`` of tier ``code``.

A flavor that forgets to ask has nothing to pass, and a test refuses these calls everywhere else. What is
loaded here may do anything that this process may do: the grant says that somebody vouched for these bytes.
"""

from __future__ import annotations

import builtins
import bz2
import gzip
import lzma
import pickle
import sys
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
)
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import IO, TYPE_CHECKING, Any, Literal

from modelserving.errors import MissingDependencyError, UntrustedModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from modelserving.flavor import Grant

Compression = Literal["gzip", "bz2", "lzma"]

_IMPORTING = threading.RLock()
_PRIVATE: ContextVar[_PrivateModules | None] = ContextVar("modules of the model being loaded", default=None)


def load_pickle(
    path: Path,
    *,
    grant: Grant,
    compression: Compression | None = None,
    find_class: Mapping[tuple[str, str], object] | None = None,
) -> object:
    """The object in a file that pickle or cloudpickle wrote.

    Args:
        path: The file, inside the granted folder.
        grant: Leave to run its code.
        compression: How the pickle is packed, if it is.
        find_class: What to take for a ``(module, name)`` that the pickle asks for, instead of importing it:
            stand-ins for classes of packages that need not be installed.

    Raises:
        UntrustedModelError: The grant is not for code, or not for this file.
        Exception: Whatever the pickle raises.
    """
    _check(grant, path)
    with _opened(Path(path), compression) as file:
        return _Unpickler(file, find_class or {}).load()


def load_joblib(path: Path, *, grant: Grant) -> object:
    """The object in a file that joblib wrote, compressed or not.

    Raises:
        UntrustedModelError: The grant is not for code, or not for this file.
        MissingDependencyError: joblib is not installed.
        Exception: Whatever the pickle in it raises.
    """
    _check(grant, path)
    try:
        import joblib
    except ImportError:
        raise MissingDependencyError("joblib", f"the file {Path(path).name!r}") from None
    loaded: object = joblib.load(path)
    return loaded


def load_skops_code(path: Path, *, grant: Grant) -> object:
    """The object in a skops file that names types outside our list, read by skops with all of them trusted.

    Raises:
        UntrustedModelError: The grant is not for code, or not for this file.
        MissingDependencyError: skops is not installed.
        Exception: Whatever the types in it raise.
    """
    _check(grant, path)
    try:
        import skops.io
    except ImportError:
        raise MissingDependencyError("skops", f"the file {Path(path).name!r}", "sklearn") from None
    loaded: object = skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))
    return loaded


def load_torch(path: Path, *, grant: Grant) -> object:
    """The module in a file that ``torch.save`` wrote, or in an archive of ``torch.export``; on the processor.

    Raises:
        UntrustedModelError: The grant is not for code, or not for this file.
        MissingDependencyError: PyTorch is not installed.
        Exception: Whatever the file raises.
    """
    _check(grant, path)
    try:
        import torch
    except ImportError:
        raise MissingDependencyError("torch", f"the file {Path(path).name!r}", "pytorch") from None
    if Path(path).suffix == ".pt2":
        return torch.export.load(path).module()
    return torch.load(path, map_location="cpu", weights_only=False)


def load_keras(path: Path, *, grant: Grant, custom_objects: Mapping[str, object] | None = None) -> object:
    """The model in a ``.keras`` or ``.h5`` file, with whatever classes and code it names.

    Raises:
        UntrustedModelError: The grant is not for code, or not for this file.
        Exception: Whatever the file raises.
    """
    _check(grant, path)
    import keras

    return keras.saving.load_model(path, custom_objects=custom_objects, compile=False, safe_mode=False)


def load_saved_model(folder: Path, *, grant: Grant) -> object:
    """The program in a folder that TensorFlow wrote; its graph may read and write files.

    Raises:
        UntrustedModelError: The grant is not for code, or not for this folder.
        Exception: Whatever the files raise.
    """
    _check(grant, folder)
    import tensorflow as tf

    return tf.saved_model.load(str(folder))


def load_module_file(path: Path, *, grant: Grant, name: str) -> ModuleType:
    """Run one Python file as a module.

    The module stands in ``sys.modules`` under ``name`` and the model's digest, where classes made in it are
    found.

    Args:
        path: The file, inside the granted folder.
        grant: Leave to run it.
        name: What to call the module; the digest is added to it.

    Raises:
        UntrustedModelError: The grant is not for code, or not for this file.
        Exception: Whatever the file raises.
    """
    _check(grant, path)
    full_name = f"{name}_{grant.digest.removeprefix('sha256:')[:16]}"
    module = ModuleType(full_name)
    module.__file__ = str(path)
    private = _PRIVATE.get()
    if private is not None:
        module.__dict__["__builtins__"] = private.builtins
    sys.modules[full_name] = module
    try:
        code = compile(Path(path).read_bytes(), str(path), "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102
    except BaseException:
        sys.modules.pop(full_name, None)
        raise
    return module


@contextmanager
def code_folder(folder: Path, *, grant: Grant) -> Iterator[None]:
    """Let a model import the modules that came with it, from ``folder``, while it is loaded.

    The modules belong to this model alone. Inside the block they stand in ``sys.modules`` under their own
    names; after it what stood there before is back. So two models may each bring their own ``helpers.py``,
    and neither takes the name from the application. An import statement that runs later, in a function of
    such a module or in one that cloudpickle or a model file brought, still finds them;
    ``importlib.import_module`` and unpickling after the block do not.

    Args:
        folder: The folder whose modules and packages can be imported, inside the granted folder.
        grant: Leave to run them.

    Raises:
        UntrustedModelError: The grant is not for code, or not for this folder.
    """
    _check(grant, folder)
    private = _PrivateModules(Path(folder))
    token = _PRIVATE.set(private)
    try:
        with private.visible():
            yield
    finally:
        _PRIVATE.reset(token)


def _check(grant: Grant, path: Path) -> None:
    inside = Path(path).resolve().is_relative_to(grant.folder.resolve())
    if grant.tier != "code" or not inside:
        raise UntrustedModelError(str(path), grant.digest, grant.tier, f"Python code ({Path(path).name})")


def _opened(path: Path, compression: Compression | None) -> IO[bytes] | gzip.GzipFile:
    match compression:
        case None:
            return path.open("rb")
        case "gzip":
            return gzip.open(path)
        case "bz2":
            return bz2.open(path)
        case "lzma":
            return lzma.open(path)


class _Unpickler(pickle.Unpickler):
    """A pickle reader that takes some names from a table before it imports them."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile, stand_ins: Mapping[tuple[str, str], object]) -> None:
        super().__init__(file)
        self._stand_ins = stand_ins
        self._private = _PRIVATE.get()

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._stand_ins[module, name]
        except KeyError:
            if self._private is not None and (module, name) == ("cloudpickle.cloudpickle", "_make_function"):
                return self._private.make_function
            return super().find_class(module, name)


class _PrivateModules:
    """The modules of one model's code folder: a finder, and a ``sys.modules`` of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.modules: dict[str, ModuleType] = {}
        self.depth = 0
        self.names = {path.name.split(".")[0] for path in folder.iterdir() if _can_be_imported(path)}
        self.builtins = {**vars(builtins), "__import__": self.import_}

    @contextmanager
    def visible(self) -> Iterator[None]:
        """Put the model's modules in place of those of the same names, and everything back afterwards."""
        with _IMPORTING:
            if self.depth:  # a module of this model imports another one
                yield
                return
            before = {name: sys.modules.pop(name) for name in list(sys.modules) if self.owns(name)}
            sys.modules.update(self.modules)
            sys.meta_path.insert(0, self)
            self.depth += 1
            try:
                yield
            finally:
                self.depth -= 1
                sys.meta_path.remove(self)
                self.modules = {name: sys.modules.pop(name) for name in list(sys.modules) if self.owns(name)}
                sys.modules.update(before)

    def make_function(self, code: CodeType, names: dict[str, Any], *rest: Any) -> FunctionType:
        """A function that cloudpickle brought by value, whose import statements see the model's modules."""
        names["__builtins__"] = self.builtins
        return FunctionType(code, names, *rest)

    def owns(self, name: str) -> bool:
        return name.partition(".")[0] in self.names

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Part of the import system's finder protocol."""
        if not self.owns(name):
            return None
        loaders: Any = (ExtensionFileLoader, EXTENSION_SUFFIXES), (self.loader, SOURCE_SUFFIXES)
        for folder in path or [str(self.folder)]:
            spec = FileFinder(folder, *loaders).find_spec(name, target)
            if spec is not None:
                return spec
        return None

    def loader(self, name: str, path: str) -> _SourceLoader:
        return _SourceLoader(name, path, self.builtins)

    def import_(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002
        locals: Mapping[str, Any] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """The import statement as the model's own modules see it."""
        importer = str((globals or {}).get("__name__", ""))
        if not self.owns(importer if level else name):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        if not level and not fromlist and name in self.modules:
            return self.modules[name.partition(".")[0]]
        with self.visible():
            return builtins.__import__(name, globals, locals, fromlist or (), level)


class _SourceLoader(SourceFileLoader):
    """Runs a source file; bytecode is neither read nor written beside it, for that would change the model."""

    def __init__(self, name: str, path: str, namespace: dict[str, Any]) -> None:
        super().__init__(name, path)
        self.namespace = namespace

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = self.namespace
        super().exec_module(module)


def _can_be_imported(path: Path) -> bool:
    if path.is_dir():
        return path.name.isidentifier() and path.name != "__pycache__"
    return (
        path.name.endswith((*SOURCE_SUFFIXES, *EXTENSION_SUFFIXES)) and path.name.split(".")[0].isidentifier()
    )

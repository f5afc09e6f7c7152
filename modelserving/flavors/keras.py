"""The flavor of Keras 3: models as ``.keras`` files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from modelserving.flavor import Traits
from modelserving.flavors import _entry, _keras_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from modelserving.flavor import Config, Grant, Tier


class KerasFlavor:
    """Saves Keras models; those of Keras's own layers load without running Python of theirs.

    Args:
        custom_objects: The model's own classes and functions, by the names they are registered under. They
            are pickled beside the model, which then needs trust to load.

    Example:
        >>> from modelserving.flavors.keras import KerasFlavor
        >>> KerasFlavor().accepts("not a model")
        False
    """

    name: ClassVar[str] = "keras"
    framework: ClassVar[str] = "keras"
    requires: ClassVar[tuple[str, ...]] = ("keras", _entry.first_installed("tensorflow", "tensorflow-cpu"))
    tiers: ClassVar[tuple[Tier, ...]] = ("native", "code")

    def __init__(self, custom_objects: Mapping[str, object] | None = None) -> None:
        self.custom_objects = dict(custom_objects or {})

    def accepts(self, model: object, /) -> bool:
        """Whether ``model`` is a ``keras.Model``."""
        return any(
            kind.__name__ == "Model" and kind.__module__.startswith("keras.") for kind in type(model).__mro__
        )

    def save(self, model: Any, folder: Path, /, *, example: object = None) -> Mapping[str, Config]:
        """Write ``data/model.keras``.

        Raises:
            FlavorSaveError: Keras cannot save the model.
        """
        data = folder / "data"
        data.mkdir()
        _keras_file.write(self.name, model, data, self.custom_objects)
        (data / "keras_module.txt").write_text("keras")
        return {
            self.name: {
                "data": data.name,
                "keras_backend": _keras_file.keras(self.name).backend.backend(),
                "keras_version": _entry.installed_version("keras"),
                "save_exported_model": False,
            },
            "python_function": _entry.python_function_entry("mlflow.keras"),
        }

    def tier(self, folder: Path, config: Config, /) -> Tier:
        """``native`` for a model of Keras's own layers, whose weights HDF5 reads; else ``code``."""
        path = _keras_file.file_of(self.name, folder, config)
        return "code" if config.get("code") else _keras_file.tier(path)

    def load(self, folder: Path, config: Config, /, *, grant: Grant) -> object:
        """The model back, not compiled: it predicts, and is not trained."""
        _keras_file.keras(self.name)
        return _keras_file.read(self.name, folder, config, grant)

    def traits(self, model: object, /) -> Traits:
        """``predict``; layers may do anything with their rows, so they are not known to be independent."""
        return Traits(takes=("array", "frame", "columns"))

    def predict(self, model: object, data: object, params: Mapping[str, object], /, *, method: str) -> object:
        """What ``model.predict(data)`` answers; a dict's arrays go by name, and there are no params."""
        return _keras_file.predict(model, data)

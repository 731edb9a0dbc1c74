"""The classes in transformers' Auto tables, without importing transformers for it.

Each module with such a class registers it at its end. Here it is seen to that these modules are
imported once transformers is: at once if it is there already, else right after its import.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    # importlib.abc takes as long to import as all of the package; the protocols need no base.
    from collections.abc import Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_LIBRARY = "transformers"
_WITH_CLASSES = ("deepseek_vl_v2.modeling", "deepseek_vl_v2.processing")


def register_with_transformers() -> None:
    """Register the classes, now or as soon as transformers is imported."""
    if _LIBRARY in sys.modules:
        import_classes()
    else:
        sys.meta_path.insert(0, _AfterTransformers())


def import_classes() -> None:
    """Import every module that registers a class."""
    own = [module for name, module in sys.modules.items() if name.startswith("deepseek_vl_v2.")]
    if any(getattr(module.__spec__, "_initializing", False) for module in own if module):
        # A module of this package is what imports transformers; it registers its class itself.
        return
    for name in _WITH_CLASSES:
        importlib.import_module(name)


class _AfterTransformers:
    """Finds transformers as the other finders do, with a loader that registers at the end."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != _LIBRARY:
            return None
        for finder in sys.meta_path:
            if finder is not self and (spec := finder.find_spec(name, path, target)):
                if spec.loader is not None:
                    spec.loader = cast("Loader", _RegisteringLoader(spec.loader, self))
                return spec
        return None


class _RegisteringLoader:
    def __init__(self, loader: Loader, finder: _AfterTransformers) -> None:
        self._loader, self._finder = loader, finder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
        import_classes()

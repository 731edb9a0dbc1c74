"""dvl2: DeepSeek-VL2 on the command line, and from Python: ``from dvl2_cli import Model``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dvl2_cli.api import Model

__all__ = ["Model", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # The package is imported by every command: the API only by who asks for it.
    if name == "Model":
        from dvl2_cli.api import Model

        return Model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

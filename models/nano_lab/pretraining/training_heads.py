"""The auxiliary heads of a run beside its model, so that another run goes on with them.

No checkpoint of the released format holds them. Heads that begin anew need some hundred steps to
teach the tower again what it should show, and cost it some of what it knows until then.
"""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from dvl2_cli.errors import ModelError
from dvl2_cli.files import atomic_write
from dvl2_cli.finetuning.state import NETWORK, fitting_weights

FILE_NAME = "training_heads.safetensors"
_MODEL = "model."
# Names of the file, which older checkpoints have too, by the network's own.
_FILE_NAMES = {"glyph_head": "head", "object_head": "thing_head", "position_head": "place_head"}


def save_heads(folder: Path, state: Path) -> None:
    """Write the heads of a training state into a model's folder, in half precision.

    Raises:
        OutputError: it cannot be written.
    """
    weights = load_file(state / NETWORK)
    heads = {_in_file(k): w.half() for k, w in weights.items() if not k.startswith(_MODEL)}
    if heads:
        with atomic_write(folder / FILE_NAME, "wb") as file:
            file.write(save(heads))


def load_heads(folder: Path, network: nn.Module) -> None:
    """Give ``network`` the heads in a model's folder that it has too, in the same shape.

    Raises:
        ModelError: the file is broken.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return
    try:
        kept = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"cannot read the heads in {path}: {error}", "Remove the file to begin with new heads."
        ) from error
    wanted = {k: v for k, v in network.state_dict().items() if not k.startswith(_MODEL)}
    named = {k: kept[_in_file(k)] for k in wanted if _in_file(k) in kept}
    network.load_state_dict(fitting_weights(named, wanted), strict=False)


def _in_file(name: str) -> str:
    """What the file calls a weight of the network."""
    head, _, rest = name.partition(".")
    return f"{_FILE_NAMES.get(head, head)}.{rest.replace('colours.', 'shades.')}"

"""The objects that answers speak of: the tokens that show each, and what is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dvl2_cli.finetuning.batch import PlacedImage
from dvl2_cli.finetuning.layout import shown_cells
from nano_lab.pretraining.batch import Objects
from nano_lab.pretraining.layout import in_sequence
from nano_lab.pretraining.object_labels import colour_class, name_class, shown_objects
from nano_lab.rendering.sample import SceneObject

# Further from the middle of every object than this share of the picture is beside it.
MAX_DISTANCE = 0.02
NO_OBJECT = -1


@dataclass(frozen=True, slots=True)
class PlacedObject:
    """One object of a picture.

    ``cells`` are its places in the image's own token sequence. ``facts`` are the classes of
    its name and colour (see objects), then its box x0, y0, x1, y1, shares 0..1 of the picture.
    """

    cells: tuple[int, ...]
    facts: tuple[float, ...]


def placed_objects(
    objects: Sequence[SceneObject], size: tuple[int, int], image: PlacedImage
) -> list[PlacedObject]:
    """Every object of a picture of ``size``, in order."""
    return [_placed(item, size, image) for item in objects]


def _placed(item: SceneObject, size: tuple[int, int], image: PlacedImage) -> PlacedObject:
    labels = shown_objects([item], size, image.columns, image.rows)
    whole = PlacedImage(tuple(range(len(labels))), image.columns, image.rows)
    names = in_sequence(torch.from_numpy(labels[..., :1]), shown_cells([whole]))[:, 0]
    cells = (names > 0).nonzero()[:, 0].tolist()
    x0, y0, x1, y1 = (side / whole for side, whole in zip(item.box, (*size, *size), strict=True))
    facts = (name_class(item.name), colour_class(item.colour), x0, y0, x1, y1)
    return PlacedObject(tuple(cells), facts)


def object_at(
    spot: tuple[float, float], objects: Sequence[SceneObject], size: tuple[int, int]
) -> int:
    """Which of ``objects`` has its middle at ``spot`` (pixels), or NO_OBJECT."""
    away = [_away(spot, item, size) for item in objects]
    nearest = min(range(len(objects)), key=away.__getitem__, default=NO_OBJECT)
    return nearest if objects and away[nearest] < MAX_DISTANCE else NO_OBJECT


def _away(spot: tuple[float, float], item: SceneObject, size: tuple[int, int]) -> float:
    x0, y0, x1, y1 = item.box
    return max(abs((x0 + x1) / 2 - spot[0]) / size[0], abs((y0 + y1) / 2 - spot[1]) / size[1])


def join_objects(
    samples: Sequence[tuple[list[int], Sequence[PlacedObject]] | None], length: int
) -> Objects | None:
    """Rows padded to ``length``; None where no sample speaks of an object.

    Args:
        samples: for every row which object each token is read from, and the objects, with
            places in the row.
        length: of the rows.
    """
    if not any(samples):
        return None
    of = torch.full((len(samples), length), NO_OBJECT)
    rows: list[int] = []
    areas: list[Tensor] = []
    facts: list[tuple[float, ...]] = []
    for row, sample in enumerate(samples):
        tokens, objects = sample or ([], [])
        known = torch.tensor(tokens, dtype=torch.long)
        of[row, : len(known)] = torch.where(known >= 0, known + len(areas), NO_OBJECT)
        for seen in objects:
            area = torch.zeros(length, dtype=torch.bool)
            area[list(seen.cells)] = True
            rows.append(row)
            areas.append(area)
            facts.append(seen.facts)
    return Objects(
        of, torch.tensor(rows), torch.stack(areas), torch.tensor(facts, dtype=torch.float32)
    )

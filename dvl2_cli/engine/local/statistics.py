"""What is usual for a checkpoint, where it says so: of pictures, and of right answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from dvl2_cli.files import atomic_write

FILE_NAME = "feature_stats.safetensors"


@dataclass(frozen=True, slots=True)
class FeatureStatistics:
    """Mean and variance [D] of the mean tile token over the training pictures.

    ``threshold`` is the distance that one training picture in two hundred exceeded,
    ``probability`` what tells right answers from wrong ones (see ``evaluation.calibration``), or
    None where that was not measured.
    """

    mean: Tensor
    variance: Tensor
    threshold: float
    probability: float | None = None

    def distance(self, pooled: Tensor) -> float:
        """Root mean squared z-score of a mean tile token [D] (diagonal Mahalanobis / sqrt D)."""
        z_squared = (pooled.cpu().float() - self.mean) ** 2 / self.variance
        return float(z_squared.mean().sqrt())


def pooled(tokens: Tensor) -> Tensor:
    """Tile tokens [N, T, D] -> their mean [D] in fp32, which the statistics are of."""
    return tokens.float().mean(dim=(0, 1))


def load_statistics(folder: Path) -> FeatureStatistics | None:
    """Read a checkpoint's statistics; None where it has none."""
    path = folder / FILE_NAME
    if not path.is_file():
        return None
    tensors = load_file(path)
    return FeatureStatistics(
        tensors["mean"].float(),
        tensors["var"].float().clamp(min=1e-8),
        float(tensors["threshold"]),
        float(tensors["probability"]) if "probability" in tensors else None,
    )


def save_statistics(folder: Path, statistics: FeatureStatistics) -> None:
    """Write them into a checkpoint's folder.

    Raises:
        OutputError: it cannot be written.
    """
    tensors = {
        "mean": statistics.mean,
        "var": statistics.variance,
        "threshold": torch.tensor(statistics.threshold),
    }
    if statistics.probability is not None:
        tensors["probability"] = torch.tensor(statistics.probability)
    with atomic_write(folder / FILE_NAME, "wb") as file:
        file.write(save(tensors))

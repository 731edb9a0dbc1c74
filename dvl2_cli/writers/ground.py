"""Which formats ``dvl2 ground`` writes, and what each needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dvl2_cli.results.ground import GroundResult
from dvl2_cli.writers.boxes_csv import csv_files
from dvl2_cli.writers.coco import coco_files
from dvl2_cli.writers.labelme import labelme_files
from dvl2_cli.writers.labelstudio import labelstudio_files
from dvl2_cli.writers.plugins import find_writer
from dvl2_cli.writers.voc import voc_files
from dvl2_cli.writers.yolo import yolo_files

# Results of all pictures -> relative file name -> text.
FilesOf = Callable[[Sequence[GroundResult]], dict[str, str]]

FORMATS: dict[str, FilesOf] = {
    "coco": coco_files,
    "yolo": yolo_files,
    "voc": voc_files,
    "labelstudio": labelstudio_files,
    "labelme": labelme_files,
    "csv": csv_files,
}


def ground_writer(name: str) -> FilesOf:
    """The writer called ``name``, from here or from a plugin.

    Raises:
        UsageError: no such format.
    """
    return FORMATS[name] if name in FORMATS else find_writer("ground", name, list(FORMATS)).files

"""Which formats ``dvl2 ground`` writes, and what each needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dvl2_cli.results.ground import GroundResult
from dvl2_cli.writers.boxes_csv import csv_files
from dvl2_cli.writers.coco import coco_files
from dvl2_cli.writers.labelme import labelme_files
from dvl2_cli.writers.labelstudio import labelstudio_files
from dvl2_cli.writers.place import NOWHERE, AnnotationPlace
from dvl2_cli.writers.plugins import find_writer
from dvl2_cli.writers.voc import voc_files
from dvl2_cli.writers.yolo import yolo_files


class FilesOf(Protocol):
    """Results of all pictures -> relative file name -> text."""

    def __call__(
        self, results: Sequence[GroundResult], place: AnnotationPlace = ...
    ) -> dict[str, str]:
        """The files as they lie in the folder of ``place``."""


FORMATS: dict[str, FilesOf] = {
    "coco": coco_files,
    "yolo": yolo_files,
    "voc": voc_files,
    "labelstudio": labelstudio_files,
    "labelme": labelme_files,
    "csv": csv_files,
}

# Formats that name the picture: it has to be a file.
PICTURE_FORMATS = frozenset(FORMATS) - {"csv"}
# Formats with a file for each picture, which tools find by the picture's name.
FILE_FORMATS = frozenset({"yolo", "voc", "labelme"})


def ground_writer(name: str) -> FilesOf:
    """The writer called ``name``, from here or from a plugin.

    Raises:
        UsageError: no such format.
    """
    if name in FORMATS:
        return FORMATS[name]
    plugin = find_writer("ground", name, list(FORMATS))

    def files(results: Sequence[GroundResult], place: AnnotationPlace = NOWHERE) -> dict[str, str]:
        del place
        return plugin.files(results)

    return files

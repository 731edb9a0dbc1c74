"""What the suite needs on this machine, and what of it is missing."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

from dvl2_cli.errors import InputError
from nano_lab.foreign.drawing.catalogue import FONT_PACKAGES, MONO, SANS, SERIF
from nano_lab.foreign.drawing.scenes import ICON_SETS, icons_file

_PROGRAMS = {
    "chromium": "chromium",
    "soffice": "libreoffice-writer libreoffice-calc libreoffice-impress",
    "pdflatex": "texlive-latex-recommended lmodern",
}
_MODULES = ("jinja2", "matplotlib", "playwright")


def check(icons: Path, *, peers: bool) -> None:
    """Refuse to draw with other tools than the suite's: figures would not compare.

    Raises:
        InputError: something is missing; the hint is the commands that install it.
    """
    programs = _PROGRAMS | ({"tesseract": "tesseract-ocr"} if peers else {})
    modules = _MODULES + (("rapidocr", "onnxruntime") if peers else ())
    apt = [package for program, package in programs.items() if not shutil.which(program)]
    if not apt and any(not _has_family(name) for name in SANS + SERIF + MONO):
        apt.append(FONT_PACKAGES)
    pip = [name for name in modules if importlib.util.find_spec(name) is None]
    npm = [f"@iconify-json/{name}" for name in ICON_SETS if not icons_file(icons, name).exists()]
    hints = [
        f"{command} {' '.join(missing)}"
        for command, missing in (
            ("apt-get install", apt),
            ("pip install", pip),
            (f"npm install --prefix {icons}", npm),
        )
        if missing
    ]
    if hints:
        raise InputError(
            "eval: tools that the foreign suite is drawn with are missing",
            hint="; ".join(hints),
        )


def _has_family(name: str) -> bool:
    program = shutil.which("fc-match")
    if program is None:
        return False
    found = subprocess.run([program, "-f", "%{family}", name], capture_output=True, check=False)  # noqa: S603
    return name in found.stdout.decode()

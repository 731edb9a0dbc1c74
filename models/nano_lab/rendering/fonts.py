"""The fonts that the renderer draws with, and the Debian packages that hold them."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dvl2_cli.errors import InputError
from nano_lab.rendering.held_out import HELD_OUT_FONTS
from nano_lab.rendering.sample import Split

Genre = Literal["sans", "serif", "mono", "display"]

# Folders to look for fonts in instead of the system's, as in PATH.
FOLDERS_VARIABLE = "NANO_LAB_FONTS"
_GIVEN = os.environ.get(FOLDERS_VARIABLE)
FONT_FOLDERS: tuple[Path, ...] = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path.home() / ".local/share/fonts",
    Path.home() / ".fonts",
)
if _GIVEN is not None:
    FONT_FOLDERS = tuple(Path(folder) for folder in _GIVEN.split(os.pathsep) if folder)
EMOJI_FILE, EMOJI_PACKAGE = "NotoColorEmoji.ttf", "fonts-noto-color-emoji"


@dataclass(frozen=True, slots=True)
class Family:
    """A typeface: ``files`` are the names of its upright and slanted cuts."""

    name: str
    package: str
    genre: Genre
    files: tuple[str, ...]


def _family(name: str, package: str, genre: Genre, files: str) -> Family:
    return Family(name, f"fonts-{package}", genre, tuple(files.split("|")))


def _four(stem: str, suffix: str = ".ttf") -> str:
    return "|".join(f"{stem}-{cut}{suffix}" for cut in ("Regular", "Bold", "Italic", "BoldItalic"))


FAMILIES: tuple[Family, ...] = (
    _family(
        "DejaVu Sans",
        "dejavu",
        "sans",
        "DejaVuSans.ttf|DejaVuSans-Bold.ttf|DejaVuSans-Oblique.ttf|DejaVuSansCondensed.ttf",
    ),
    _family(
        "DejaVu Serif",
        "dejavu",
        "serif",
        "DejaVuSerif.ttf|DejaVuSerif-Bold.ttf|DejaVuSerif-Italic.ttf|DejaVuSerifCondensed.ttf",
    ),
    _family("DejaVu Sans Mono", "dejavu", "mono", "DejaVuSansMono.ttf|DejaVuSansMono-Bold.ttf"),
    _family("Liberation Sans", "liberation2", "sans", _four("LiberationSans")),
    _family("Liberation Serif", "liberation2", "serif", _four("LiberationSerif")),
    _family("Liberation Mono", "liberation2", "mono", _four("LiberationMono")),
    _family("Noto Sans", "noto-core", "sans", _four("NotoSans")),
    _family("Noto Serif", "noto-core", "serif", _four("NotoSerif")),
    _family("Noto Sans Display", "noto-core", "sans", _four("NotoSansDisplay")),
    _family("Noto Mono", "noto-mono", "mono", "NotoMono-Regular.ttf"),
    _family("Roboto", "roboto-unhinted", "sans", _four("Roboto") + "|Roboto-Light.ttf"),
    _family("Roboto Condensed", "roboto-unhinted", "sans", _four("RobotoCondensed")),
    _family("Roboto Slab", "roboto-slab", "serif", "RobotoSlab-Regular.otf|RobotoSlab-Bold.otf"),
    _family("Open Sans", "open-sans", "sans", _four("OpenSans")),
    _family("Lato", "lato", "sans", _four("Lato")),
    _family("Cantarell", "cantarell", "sans", "Cantarell-Regular.otf|Cantarell-Bold.otf"),
    _family("Carlito", "crosextra-carlito", "sans", _four("Carlito")),
    _family("Caladea", "crosextra-caladea", "serif", _four("Caladea")),
    _family("Comfortaa", "comfortaa", "display", "Comfortaa-Regular.ttf|Comfortaa-Bold.ttf"),
    _family("Inconsolata", "inconsolata", "mono", "Inconsolata.otf"),
    _family("Fira Code", "firacode", "mono", "FiraCode-Regular.ttf|FiraCode-Bold.ttf"),
    _family("Hack", "hack", "mono", _four("Hack")),
    _family(
        "EB Garamond",
        "ebgaramond",
        "serif",
        "EBGaramond12-Regular.otf|EBGaramond12-Bold.otf|EBGaramond12-Italic.otf",
    ),
    _family(
        "Linux Libertine",
        "linuxlibertine",
        "serif",
        "LinLibertine_R.otf|LinLibertine_RB.otf|LinLibertine_RI.otf",
    ),
    _family("Linux Biolinum", "linuxlibertine", "sans", "LinBiolinum_R.otf|LinBiolinum_RB.otf"),
    _family("GFS Didot", "gfs-didot", "serif", "GFSDidot.otf|GFSDidotBold.otf"),
    _family("GFS Artemisia", "gfs-artemisia", "serif", "GFSArtemisia.otf|GFSArtemisiaBold.otf"),
    _family("GFS Neohellenic", "gfs-neohellenic", "sans", "GFSNeohellenic.otf"),
    _family(
        "Junicode",
        "junicode",
        "serif",
        "JunicodeTwoBeta-Regular.otf|JunicodeTwoBeta-Bold.otf|JunicodeTwoBeta-Italic.otf",
    ),
    _family("Quicksand", "quicksand", "sans", "Quicksand-Regular.ttf|Quicksand-Bold.ttf"),
    _family("Lobster Two", "lobstertwo", "display", "LobsterTwo-Regular.otf|LobsterTwo-Bold.otf"),
    _family("Play", "play", "sans", "Play-Regular.ttf|Play-Bold.ttf"),
    _family("Courier Prime", "courier-prime", "mono", "Courier Prime.otf|Courier Prime Bold.otf"),
    _family("Free Sans", "freefont-ttf", "sans", "FreeSans.ttf|FreeSansBold.ttf"),
    _family("Free Serif", "freefont-ttf", "serif", "FreeSerif.ttf|FreeSerifBold.ttf"),
    _family("Free Mono", "freefont-ttf", "mono", "FreeMonoBold.ttf"),
    _family("Cabin", "cabin", "sans", _four("Cabin", ".otf")),
    _family("Inter", "inter", "sans", _four("Inter", ".otf")),
    _family("Oxygen", "oxygen", "sans", "Oxygen-Sans.ttf|Oxygen-Sans-Bold.ttf"),
    _family("JetBrains Mono", "jetbrains-mono", "mono", _four("JetBrainsMono")),
    _family("Vollkorn", "vollkorn", "serif", _four("Vollkorn")),
    _family("Gentium", "sil-gentium", "serif", "Gentium-R.ttf|Gentium-I.ttf"),
    _family("Charis SIL", "sil-charis", "serif", _four("CharisSIL")),
    _family("Andika", "sil-andika", "sans", _four("Andika")),
    _family("Tuffy", "tuffy", "sans", "Tuffy.ttf|Tuffy_Bold.ttf|Tuffy_Italic.ttf"),
    _family("Mononoki", "mononoki", "mono", "mononoki-Regular.ttf|mononoki-Bold.ttf"),
    _family("Anonymous Pro", "anonymous-pro", "mono", "Anonymous Pro.ttf|Anonymous Pro B.ttf"),
    _family("Karla", "karla", "sans", _four("Karla", ".otf")),
    _family("Agave", "agave", "mono", "agave-r-autohinted.ttf"),
    _family("National Park", "national-park", "display", "NationalPark-Regular.otf"),
    _family("Jura", "jura", "display", "Jura-Medium.otf|Jura-Bold.otf"),
    _family("Goudy Bookletter", "goudybookletter", "serif", "GoudyBookletter1911.otf"),
    _family("Prociono", "prociono", "serif", "Prociono.otf"),
    _family("Old Standard", "oldstandard", "serif", "OldStandard-Regular.ttf|OldStandard-Bold.ttf"),
)


@functools.cache
def _installed_files() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder in FONT_FOLDERS:
        for path in sorted(folder.rglob("*")):
            if path.suffix in {".ttf", ".otf"}:
                found.setdefault(path.name, path)
    return found


@functools.cache
def installed_cuts(split: Split, genres: tuple[Genre, ...]) -> tuple[tuple[Path, ...], ...]:
    """The installed cuts of every family of the split and genres, in the order of FAMILIES.

    Raises:
        InputError: no such font is installed; the hint says what to install.
    """
    files = _installed_files()
    families = [
        family
        for family in FAMILIES
        if family.genre in genres and (family.name in HELD_OUT_FONTS) == (split == "test")
    ]
    cuts = [tuple(files[name] for name in family.files if name in files) for family in families]
    present = tuple(paths for paths in cuts if paths)
    if not present:
        packages = " ".join(sorted({family.package for family in families}))
        raise InputError(
            f"No font of the {split} split ({', '.join(genres)}) is installed.",
            hint=f"On Debian: apt-get install {packages}",
        )
    return present


def missing_packages(split: Split | None = None) -> list[str]:
    """Debian packages of the split's families, and of the emoji, of which no file is here."""
    files = _installed_files()
    wanted = [
        family
        for family in FAMILIES
        if split is None or (family.name in HELD_OUT_FONTS) == (split == "test")
    ]
    missing = {
        family.package for family in wanted if not any(name in files for name in family.files)
    }
    if EMOJI_FILE not in files:
        missing.add(EMOJI_PACKAGE)
    return sorted(missing)


def emoji_path() -> Path:
    """The file of Noto Color Emoji.

    Raises:
        InputError: it is not installed.
    """
    try:
        return _installed_files()[EMOJI_FILE]
    except KeyError:
        raise InputError(
            "Noto Color Emoji, which the scenes are drawn with, is not installed.",
            hint=f"On Debian: apt-get install {EMOJI_PACKAGE}",
        ) from None

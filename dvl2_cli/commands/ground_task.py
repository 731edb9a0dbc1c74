"""The work of ``dvl2 ground``: ask for every phrase, draw, crop and write."""

from __future__ import annotations

import dataclasses
import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dvl2_cli.commands.parallel import Job, worked_on
from dvl2_cli.commands.reporter import Reporter
from dvl2_cli.errors import Dvl2Error, InputError, UsageError
from dvl2_cli.files import forget_input
from dvl2_cli.inputs.load import load_pictures
from dvl2_cli.inputs.picture import Picture, Unreadable
from dvl2_cli.inputs.sources import find_sources
from dvl2_cli.options import AUTO, parallel_of
from dvl2_cli.results import FoundObject, GroundResult, Source, json_line
from dvl2_cli.tasks.context import OnText, TaskContext
from dvl2_cli.tasks.ground import MAX_TOKENS, UNNAMED, GroundOptions, ground, ground_requests
from dvl2_cli.writers.collisions import check_outputs
from dvl2_cli.writers.folder import make_folder, write_files, write_text
from dvl2_cli.writers.ground import FILE_FORMATS, FORMATS, PICTURE_FORMATS, FilesOf, ground_writer
from dvl2_cli.writers.names import UniqueNames, stem_of
from dvl2_cli.writers.pictures import check_picture_name, save_picture
from dvl2_cli.writers.place import (
    IMAGES,
    NOWHERE,
    AnnotationPlace,
    earlier_classes,
    has_no_file,
    root_of,
    take_name,
)
from dvl2_cli.writers.target import OutputTarget, target_of

if TYPE_CHECKING:
    from dvl2_cli.commands.sources import InputOptions, Inputs
    from dvl2_cli.options import CommonOptions

_AUTOMATIC = "auto"
_DRAWN = ".boxes.png"
_LINE_FORMATS = ("text", "json")
_PAGED = (".pdf", ".tif", ".tiff")
# NAME.ID.png, where NAME may end in a page and the number of a repeated name.
_CROP = re.compile(r"(?P<name>(?P<document>.+?)(?:\.p\d+)?(?:-\d+)?)\.\d+\.png", re.DOTALL)
_SUFFIXES = {
    ".txt": "text", ".json": "json", ".ndjson": "json", ".jsonl": "json", ".csv": "csv",
    ".xml": "voc",
}  # fmt: skip
_NO_TARGET = OutputTarget()


@dataclass(slots=True)
class GroundTask:
    """One run of the command."""

    options: GroundOptions
    example: str | None = None
    draw: str | None = None
    crop_dir: Path | None = None
    form: str | None = None
    output: str | None = None
    fail_empty: bool = False
    parallel: str = AUTO
    _writer: FilesOf | None = None
    _target: OutputTarget = _NO_TARGET
    _several: bool = False
    _lines: list[str] = field(default_factory=list)
    _place: AnnotationPlace = NOWHERE
    _taken: dict[str, str] = field(default_factory=dict)
    _drawing_folder: Path | None = None
    _results: list[GroundResult] = field(default_factory=list)
    _names: UniqueNames = field(default_factory=UniqueNames)

    def run(
        self,
        image: str,
        options: InputOptions,
        common: CommonOptions,
        *,
        show_prompt: bool,
    ) -> None:
        """Ask about every picture that ``image`` names."""
        inputs = options.inputs([image], offline=common.offline)
        self._check(image, inputs.several, options)
        if not common.plan:
            read = inputs.files() if self.example is None else (self.example, *inputs.files())
            check_outputs(self._outputs(inputs), self._kept(read, inputs.several))
            self._make_folders()
        with Reporter(
            common, max_tokens=MAX_TOKENS, several=inputs.several, show_prompt=show_prompt
        ) as reporter:
            memory = None if common.plan else reporter.session.picture_memory
            inputs.limit(memory)
            if self.example is not None:
                reading = options.reading(offline=common.offline).within(memory)
                example = next(load_pictures(self.example, reading=reading))
                self.options = dataclasses.replace(self.options, example=example)
            if self.form is None:
                self.form = "text" if reporter.output.is_tty else "json"
            pictures = self._pictures(reporter, inputs)
            if common.plan:
                for found in pictures:
                    self._plan(reporter, found)
            else:
                jobs = (self._job(reporter, found) for found in pictures)
                for job, result in worked_on(reporter, jobs, self.parallel, several=inputs.several):
                    self._report(reporter, self._kept_pictures(reporter, result, job.picture))
                self._write(reporter)
            reporter.conclude("looked at")
            reporter.finish()

    def _check(self, image: str, several: bool, options: InputOptions) -> None:
        """Find out what cannot work before anything is asked."""
        parallel_of(self.parallel)
        self._several = several
        self._target = target_of(self.output, self.form, _SUFFIXES)
        self.form = self._target.form
        if self.form is not None and self.form not in _LINE_FORMATS:
            self._writer = ground_writer(self.form)
            phrases = self.options.phrases or ((UNNAMED,) if self.example is not None else ())
            folder, file = self._target.folder, self._target.file
            if file is not None and (
                self.form == "yolo" or (several and self.form in FILE_FORMATS)
            ):
                raise UsageError(
                    f"-f {self.form} makes several files", "Name a folder, as -o labels/."
                )
            earlier = earlier_classes(folder) if folder and self.form == "yolo" else ()
            beside = folder if file is None else file.parent
            self._place = AnnotationPlace(beside, root_of(image), phrases, earlier)
            if image != "-" and self.form in FILE_FORMATS:
                self._check_names(image, options)
        if self._target.folder is not None and self._writer is None:
            raise UsageError(
                f"-o {self.output} is a folder, which -f coco, yolo, voc, labelstudio, labelme "
                "or csv can fill",
                "Add one of them, or name a file, as boxes.json.",
            )
        if self.draw in (None, _AUTOMATIC):
            return
        target = Path(str(self.draw))
        if several or str(self.draw).endswith("/") or target.is_dir():
            self._drawing_folder = target
        else:
            check_picture_name(target)

    def _check_names(self, image: str, options: InputOptions) -> None:
        """Refuse pictures that would share an annotation file.

        Raises:
            InputError: two of them would.
        """
        taken: dict[str, str] = {}
        for found in find_sources([image], recursive=options.recursive, exclude=options.exclude):
            if isinstance(found, Unreadable) or found.name.lower().endswith(_PAGED):
                continue  # pages have their numbers in their names
            take_name(self._place.name(Source(found.name)), found.name, taken)

    def _outputs(self, inputs: Inputs) -> Iterator[Path]:
        """The files that may be written, as far as they can be named before pages are counted."""
        paths = list(self._kept(inputs.files(), inputs.several))
        names = UniqueNames()
        stems = {path: names.take(stem_of(Source(path))) for path in paths}
        if self.draw is not None:
            yield from (self._drawn_path(path, stem) for path, stem in stems.items())
        if self.crop_dir is not None:
            yield from earlier_crops(self.crop_dir, stems.values())
        file, folder = self._target.file, self._target.folder
        if file is not None:
            yield file
        elif folder is not None and self.form in FORMATS:
            # The writer itself says which files it writes for such pictures.
            blank = [GroundResult(source=Source(path, width=1, height=1)) for path in paths]
            yield from (folder / name for name in FORMATS[self.form](blank, self._place))
            if self.form in PICTURE_FORMATS:
                yield from self._earlier_pages(folder, paths)

    def _earlier_pages(self, folder: Path, paths: Iterable[str]) -> Iterator[Path]:
        """Files in ``folder`` that have the name of a picture of a page of ``paths``."""
        for path in paths:
            if path.lower().endswith(_PAGED):
                document = folder / IMAGES / self._place.name(Source(path))
                yield from document.parent.glob(f"{glob.escape(document.name)}.p*.png")

    @staticmethod
    def _kept(paths: Iterable[str], several: bool) -> Iterator[str]:
        """The pictures that are asked about: drawings of an earlier run are passed over."""
        return (path for path in paths if not (several and path.endswith(_DRAWN)))

    def _make_folders(self) -> None:
        for folder in (self._target.folder, self.crop_dir, self._drawing_folder):
            if folder is not None:
                make_folder(folder)

    @staticmethod
    def _pictures(reporter: Reporter, inputs: Inputs) -> Iterator[Picture | Unreadable]:
        for found in inputs.shown_by(reporter.console.progress):
            if inputs.several and found.path.endswith(_DRAWN):
                forget_input(Path(found.path))
                reporter.console.progress.expect(-1)
                continue  # drawn by an earlier run over the same folder
            yield found

    def _plan(self, reporter: Reporter, picture: Picture | Unreadable) -> None:
        if isinstance(picture, Unreadable):
            self._report(reporter, GroundResult.failure(picture.error, Source.of(picture)))
            return
        for phrase, request in ground_requests(reporter.defaults, picture, self.options):
            reporter.plan(request, f"{picture.path}: {phrase or 'caption'}")

    def _job(self, reporter: Reporter, found: Picture | Unreadable) -> Job[GroundResult]:
        """How a picture is asked about; its annotation's name is taken now."""
        source = Source.of(found)
        if isinstance(found, Unreadable):
            reporter.begin(found)
            return Job(result=GroundResult.failure(found.error, source))
        try:
            self._take_name(source)
        except Dvl2Error as error:
            return Job(result=self._failure(reporter, error, source))

        def work(context: Callable[[], TaskContext], on_text: OnText | None) -> GroundResult:
            del on_text
            try:
                return ground(context(), found, self.options)
            except Dvl2Error as error:
                return self._failure(reporter, error, source)

        return Job(picture=found, work=work)

    @staticmethod
    def _failure(reporter: Reporter, error: Dvl2Error, source: Source) -> GroundResult:
        if error.fatal:
            raise error
        return GroundResult.failure(error, source, reporter.model)

    def _kept_pictures(
        self, reporter: Reporter, result: GroundResult, picture: Picture | None
    ) -> GroundResult:
        """``result`` with the pictures that were to be written about it."""
        if picture is None or result.status == "failed":
            return result
        if result.finish_reason == "cancelled":
            return result  # half of the boxes are no crops, drawing or annotation
        try:
            return self._save_pictures(reporter, result, picture)
        except Dvl2Error as error:
            return self._failure(reporter, error, Source.of(picture))

    def _take_name(self, source: Source) -> None:
        """Refuse a picture that annotations could not name, before it is asked about.

        Raises:
            InputError: its file would be another picture's, or it is a page and goes to stdout.
        """
        if self.form not in PICTURE_FORMATS:
            return
        if has_no_file(source) and self._target.folder is None:
            raise InputError(
                f"{source.path}: a page is no file that -f {self.form} can name",
                "Add -o FOLDER: its picture is written there.",
            )
        if self.form in FILE_FORMATS:
            take_name(self._place.name(source), source.path, self._taken)

    def _own_picture(self, result: GroundResult, picture: Picture) -> GroundResult:
        """``result`` about a file: a page's picture is written beside its annotation."""
        source = result.source
        if self.form not in PICTURE_FORMATS or source is None or not has_no_file(source):
            return result
        folder = self._target.folder
        assert folder is not None  # noqa: S101  _take_name refused it
        path = folder / IMAGES / f"{self._place.name(source)}.png"
        make_folder(path.parent)
        save_picture(picture.image, path)
        return dataclasses.replace(
            result, source=dataclasses.replace(source, path=str(path), page=None)
        )

    def _save_pictures(
        self, reporter: Reporter, result: GroundResult, picture: Picture
    ) -> GroundResult:
        """Draw and crop, as asked."""
        result = self._own_picture(result, picture)
        stem = self._names.take(stem_of(Source.of(picture)))
        if self.crop_dir is not None:
            result = dataclasses.replace(result, crops=self._crop(result, picture, stem))
        if self.draw is not None:
            from dvl2_cli.ui.boxes import LabelledBox, draw_boxes

            groups = {query: index for index, query in enumerate(self.options.phrases)}
            boxes = [
                LabelledBox(item.box, item.label, groups.get(item.query or "", item.id))
                for item in result.objects
            ]
            drawing = draw_boxes(picture.image, boxes)
            path = self._drawn_path(picture.path, stem)
            save_picture(drawing.image, path)
            for note in drawing.notes:
                reporter.console.note(note)
            result = dataclasses.replace(result, drawn=str(path))
        return result

    def _drawn_path(self, picture: str, stem: str) -> Path:
        name = f"{stem}{_DRAWN}"
        if self.draw == _AUTOMATIC:
            is_there = os.path.exists(picture)  # noqa: PTH110  pathlib raises for long names
            return Path(picture).parent / name if is_there else Path(name)
        target = Path(str(self.draw))
        return target / name if self._drawing_folder is not None else target

    def _crop(self, result: GroundResult, picture: Picture, stem: str) -> tuple[str, ...]:
        from dvl2_cli.ui.boxes import crop

        assert self.crop_dir is not None  # noqa: S101  the caller checked
        paths = []
        for item in result.objects:
            path = self.crop_dir / f"{stem}.{item.id}.png"
            save_picture(crop(picture.image, item.box), path)
            paths.append(str(path))
        return tuple(paths)

    def _report(self, reporter: Reporter, result: GroundResult) -> None:
        empty = result.status != "failed" and not result.objects
        unusable = empty and (bool(result.rejected) or result.finish_reason == "loop")
        reporter.count(result, code=5 if unusable else int(empty and self.fail_empty))
        if self._writer is not None:
            if result.finish_reason != "cancelled":
                self._results.append(result)
        elif self.form == "json":
            self._put(reporter, json_line(result.as_json()) + "\n")
        elif result.status != "failed":
            named = f"{result.source.path}:\n" if self._several and result.source else ""
            self._put(reporter, named + as_text(result))

    def _put(self, reporter: Reporter, text: str) -> None:
        if self._target.file is None:
            reporter.output.text(text)
        else:
            self._lines.append(text)

    def _write(self, reporter: Reporter) -> None:
        file, folder = self._target.file, self._target.folder
        if self._writer is None:
            if file is not None and self._lines:
                write_text(file, self._text(file))
            return
        if not self._results:
            return  # Ctrl-C came before any annotation was whole
        files = self._writer(self._results, self._place)
        if folder is not None:
            write_files(folder, files)
            reporter.console.note(f"wrote {len(files)} files to {folder}")
        elif len(files) > 1:
            raise UsageError(f"-f {self.form} makes several files", "Add -o FOLDER.")
        for text in files.values() if folder is None else ():
            if file is None:
                reporter.output.text(text)
            else:
                write_text(file, text)

    def _text(self, file: Path) -> str:
        """Lines; in a file called .json, one document."""
        if self.form != "json" or file.suffix.lower() != ".json":
            return "".join(self._lines)
        rows = ",\n".join(line.rstrip("\n") for line in self._lines)
        return f"[\n{rows}\n]\n"


def earlier_crops(folder: Path, stems: Iterable[str]) -> Iterator[Path]:
    """Files in ``folder`` that have the name of a crop of one of ``stems``, or of its pages."""
    known = {stem.casefold() for stem in stems}
    try:
        names = os.listdir(folder)  # noqa: PTH208  pathlib makes a Path of every name
    except OSError:
        return
    for name in names:
        parts = _CROP.fullmatch(name)
        if parts and {parts["name"].casefold(), parts["document"].casefold()} & known:
            yield folder / name


def as_text(result: GroundResult) -> str:
    """Objects for people: a line for each, the caption first if there is one."""
    lines = [result.caption] if result.caption is not None else []
    size = f"{result.source.width} x {result.source.height}" if result.source else ""
    names = [_name(item) for item in result.objects]
    width = max((len(name) for name in names), default=0)
    for name, item in zip(names, result.objects, strict=True):
        corners = "{:.0f}, {:.0f} to {:.0f}, {:.0f}".format(*item.box)
        lines.append(f"{name:<{width}}  {corners}  (pixels of {size})")
    if not result.objects:
        lines.append("nothing found")
    if result.drawn:
        lines.append(f"drawn: {result.drawn}")
    return "\n".join(lines) + "\n"


def _name(item: FoundObject) -> str:
    """The model's word, after the phrase where it is another."""
    if item.query is None or item.query.casefold() == item.label.casefold():
        return item.label
    return f"{item.query}: {item.label}"

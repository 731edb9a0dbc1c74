"""The work of ``dvl2 ground``: ask for every phrase, draw, crop and write."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dvl2_cli import prompts
from dvl2_cli.commands.run import Run, is_fatal
from dvl2_cli.engine.request import Constraint
from dvl2_cli.errors import Dvl2Error, InputError, UsageError
from dvl2_cli.files import forget_input
from dvl2_cli.inputs.load import Reading, load_pictures
from dvl2_cli.inputs.picture import Picture, Unreadable
from dvl2_cli.inputs.sources import find_sources
from dvl2_cli.results import FoundObject, GroundResult, Source
from dvl2_cli.tasks.grounding.grammar import caption_grammar, objects_grammar
from dvl2_cli.tasks.grounding.locating import Located, ground_result
from dvl2_cli.tasks.grounding.second_look import look_again
from dvl2_cli.writers.folder import make_folder, write_files
from dvl2_cli.writers.ground import FILE_FORMATS, PICTURE_FORMATS, FilesOf, ground_writer
from dvl2_cli.writers.names import UniqueNames, stem_of
from dvl2_cli.writers.pictures import check_picture_name, save_picture
from dvl2_cli.writers.place import (
    IMAGES,
    NOWHERE,
    Place,
    earlier_classes,
    has_no_file,
    root_of,
    take_name,
)

if TYPE_CHECKING:
    from PIL.Image import Image

    from dvl2_cli.commands.sources import InputOptions
    from dvl2_cli.engine.events import Finished
    from dvl2_cli.options import CommonOptions

MAX_TOKENS = 1024
_AUTOMATIC = "auto"
_DRAWN = ".boxes.png"
_LINE_FORMATS = ("text", "json")
_PAGED = (".pdf", ".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to ask about each picture."""

    phrases: tuple[str, ...]
    every: bool = False
    caption: bool = False
    example: str | None = None
    constrain: bool = True

    def check(self) -> None:
        """Refuse combinations that make no question.

        Raises:
            UsageError: so combined.
        """
        if self.caption and (self.phrases or self.every or self.example):
            raise UsageError(
                "--caption describes the whole picture", "Leave out phrases, --all and --example."
            )
        if not self.caption and not self.phrases and not self.example:
            raise UsageError(
                "nothing to find", 'Name it, as in: dvl2 ground photo.jpg "red car", or --caption.'
            )
        if any(not phrase.strip() for phrase in self.phrases):
            raise UsageError("a phrase is empty", "Name what to find.")

    def questions(self) -> list[tuple[str | None, str]]:
        """(phrase, prompt) for each request."""
        if self.caption:
            return [(None, prompts.PRESETS["grounded-caption"])]
        if self.example is not None:
            phrases = self.phrases or ("an object",)
            return [(phrase, prompts.locate_like(phrase)) for phrase in phrases]
        ask = prompts.locate_all if self.every else prompts.locate
        return [(phrase, ask(phrase)) for phrase in self.phrases]

    def constraint(self) -> Constraint | None:
        """The grammar of the answers."""
        if not self.constrain:
            return None
        free = self.caption or self.example is not None
        return Constraint("lark", caption_grammar() if free else objects_grammar())


@dataclass(slots=True)
class GroundTask:
    """One run of the command."""

    wanted: Wanted
    draw: str | None = None
    crop_dir: Path | None = None
    form: str | None = None
    output: Path | None = None
    fail_empty: bool = False
    _writer: FilesOf | None = None
    _place: Place = NOWHERE
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
            self._make_folders()
        examples = self._example(options.reading(offline=common.offline))
        with Run(
            common, max_tokens=MAX_TOKENS, several=inputs.several, show_prompt=show_prompt
        ) as run:
            if self.form is None:
                pretty = run.output.is_tty and not inputs.several
                self.form = "text" if pretty else "json"
            for found in inputs:
                if inputs.several and found.path.endswith(_DRAWN):
                    forget_input(Path(found.path))
                    continue  # drawn by an earlier run over the same folder
                if common.plan and isinstance(found, Picture):
                    self._plan(run, found, examples)
                    continue
                self._report(run, self._result(run, found, examples))
                if run.interrupts.stop:
                    break
            if not common.plan:
                self._write(run)
            run.finish()

    def _check(self, image: str, several: bool, options: InputOptions) -> None:
        """Find out what cannot work before anything is asked."""
        if self.form is not None and self.form not in _LINE_FORMATS:
            self._writer = ground_writer(self.form)
            phrases = (phrase for phrase, _ in self.wanted.questions() if phrase is not None)
            earlier = earlier_classes(self.output) if self.output and self.form == "yolo" else ()
            self._place = Place(self.output, root_of(image), tuple(phrases), earlier)
            if image != "-" and self.form in FILE_FORMATS:
                self._check_names(image, options)
        if self.output is not None and self._writer is None:
            raise UsageError("-o goes with -f coco, yolo, voc, labelstudio, labelme or csv")
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

    def _make_folders(self) -> None:
        for folder in (self.output, self.crop_dir, self._drawing_folder):
            if folder is not None:
                make_folder(folder)

    def _example(self, reading: Reading) -> list[Picture]:
        if self.wanted.example is None:
            return []
        return [next(load_pictures(self.wanted.example, reading=reading))]

    def _plan(self, run: Run, picture: Picture, examples: list[Picture]) -> None:
        for phrase, question in self.wanted.questions():
            images = [item.image for item in (*examples, picture)]
            run.plan(run.request(question, images), f"{picture.path}: {phrase or 'caption'}")

    def _result(
        self, run: Run, found: Picture | Unreadable, examples: list[Picture]
    ) -> GroundResult:
        source = Source.of(found)
        if isinstance(found, Unreadable):
            return GroundResult.failure(found.error, source)
        try:
            self._take_name(source)
            result = self._ask(run, found, examples)
            if result.finish_reason == "cancelled":
                return result  # half of the boxes are no crops, drawing or annotation
            return self._save_pictures(run, result, found)
        except Dvl2Error as error:
            if is_fatal(error):
                raise
            return GroundResult.failure(error, source, run.model)

    def _ask(self, run: Run, picture: Picture, examples: list[Picture]) -> GroundResult:
        images = [item.image for item in (*examples, picture)]
        located = []
        warnings = list(picture.notes)
        questions = self.wanted.questions()
        for phrase, question in questions:
            request = run.request(question, images, constraint=self.wanted.constraint())
            answer = run.ask(request)
            located.append(self._closer(run, picture, Located(phrase, answer)))
            named = phrase if len(self.wanted.phrases) > 1 else None
            warnings += [text for text in run.doubts(answer, named) if text not in warnings]
            if run.interrupts.cancel.is_set():
                break
        result = ground_result(
            located,
            (picture.width, picture.height),
            as_caption=self.wanted.caption,
            complete=len(located) == len(questions),
        )
        return dataclasses.replace(
            result,
            source=Source.of(picture),
            model=run.model,
            warnings=(*warnings, *result.warnings),
        )

    def _closer(self, run: Run, picture: Picture, told: Located) -> Located:
        """``told`` after a second look, with a model that wants what is small shown larger."""
        if self.wanted.example is not None or not run.policy.refine_boxes:
            return told

        def ask(image: Image, about: str) -> Finished:
            constraint = self.wanted.constraint()
            return run.ask(run.request(prompts.locate(about), [image], constraint=constraint))

        return look_again(told, picture.image, ask)

    def _take_name(self, source: Source) -> None:
        """Refuse a picture that annotations could not name, before it is asked about.

        Raises:
            InputError: its file would be another picture's, or it is a page and goes to stdout.
        """
        if self.form not in PICTURE_FORMATS:
            return
        if has_no_file(source) and self.output is None:
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
        assert self.output is not None  # noqa: S101  _take_name refused it
        path = self.output / IMAGES / f"{self._place.name(source)}.png"
        make_folder(path.parent)
        save_picture(picture.image, path)
        return dataclasses.replace(
            result, source=dataclasses.replace(source, path=str(path), page=None)
        )

    def _save_pictures(self, run: Run, result: GroundResult, picture: Picture) -> GroundResult:
        """Draw and crop, as asked."""
        result = self._own_picture(result, picture)
        stem = self._names.take(stem_of(Source.of(picture)))
        if self.crop_dir is not None:
            result = dataclasses.replace(result, crops=self._crop(result, picture, stem))
        if self.draw is not None:
            from dvl2_cli.ui.boxes import LabelledBox, draw_boxes

            groups = {query: index for index, query in enumerate(self.wanted.phrases)}
            boxes = [
                LabelledBox(item.box, item.label, groups.get(item.query or "", item.id))
                for item in result.objects
            ]
            drawing = draw_boxes(picture.image, boxes)
            path = self._drawn_path(picture, stem)
            save_picture(drawing.image, path)
            for note in drawing.notes:
                run.console.note(note)
            result = dataclasses.replace(result, drawn=str(path))
        return result

    def _drawn_path(self, picture: Picture, stem: str) -> Path:
        name = f"{stem}{_DRAWN}"
        if self.draw == _AUTOMATIC:
            beside = Path(picture.path).parent
            return beside / name if Path(picture.path).exists() else Path(name)
        target = Path(str(self.draw))
        path = target / name if target.is_dir() else target
        if path.exists() and Path(picture.path).exists() and path.samefile(picture.path):
            raise InputError(f"--draw {path} would overwrite the picture itself")
        return path

    def _crop(self, result: GroundResult, picture: Picture, stem: str) -> tuple[str, ...]:
        from dvl2_cli.ui.boxes import crop

        assert self.crop_dir is not None  # noqa: S101  the caller checked
        paths = []
        for item in result.objects:
            path = self.crop_dir / f"{stem}.{item.id}.png"
            save_picture(crop(picture.image, item.box), path)
            paths.append(str(path))
        return tuple(paths)

    def _report(self, run: Run, result: GroundResult) -> None:
        empty = result.status != "failed" and not result.objects
        unusable = empty and (bool(result.rejected) or result.finish_reason == "loop")
        run.count(result, code=5 if unusable else int(empty and self.fail_empty))
        if self._writer is not None:
            if result.finish_reason != "cancelled":
                self._results.append(result)
        elif self.form == "json":
            run.output.json(result.as_json())
        elif result.status != "failed":
            run.output.text(as_text(result))

    def _write(self, run: Run) -> None:
        if self._writer is None or not self._results:
            return  # no annotations are asked for, or Ctrl-C came before any was whole
        files = self._writer(self._results, self._place)
        if self.output is not None:
            write_files(self.output, files)
            run.console.note(f"wrote {len(files)} files to {self.output}")
        elif len(files) == 1:
            run.output.text(next(iter(files.values())))
        elif files:
            raise UsageError(f"-f {self.form} makes several files", "Add -o FOLDER.")


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

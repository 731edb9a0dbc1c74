"""Micro-batches of rendered pictures: number m of a stage is always the same one.

Its content depends only on the recipe's seed, the stage and m. So a run can be resumed, or
spread over processes, without repeating or losing a picture.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor
from torch.utils.data import Dataset

from deepseek_vl_v2 import DeepseekVLV2Processor
from deepseek_vl_v2.format.tiling import TileGrid
from dvl2_cli.conversations.markers import with_markers
from dvl2_cli.finetuning.batch import PlacedImage
from dvl2_cli.finetuning.encode import EncodedSample, encode_sample
from dvl2_cli.finetuning.layout import CELLS
from dvl2_cli.planning.print_size import print_zoom
from nano_lab.pretraining.attention_targets import NOWHERE, character_spots, repeated, token_place
from nano_lab.pretraining.batch import PretrainingBatch
from nano_lab.pretraining.counting_targets import CountedPlaces, counted_spots
from nano_lab.pretraining.encode import (
    PretrainingSample,
    collate,
    encode_branches,
    without_targets,
)
from nano_lab.pretraining.glyph_labels import BINS, THUMBNAIL_TOKENS, Labels, glyph_labels
from nano_lab.pretraining.input_corruption import corrupt_colours
from nano_lab.pretraining.mentions import mentions
from nano_lab.pretraining.negative_masking import held_out_pairs, other_letters
from nano_lab.pretraining.object_labels import FIELDS, shown_objects
from nano_lab.pretraining.objects import NO_OBJECT, PlacedObject, object_at, placed_objects
from nano_lab.pretraining.recipe import PretrainingStage
from nano_lab.rendering.render import render
from nano_lab.rendering.sample import Sample, Split, Turn

# Kinds that hold print, and so have a label for every bin of every tile.
NOT_DENSE = frozenset(
    ["chat", "crowd", "scene", "asked-scene", "palette", "names", "tally", "count", "example"]
)
MAX_SAMPLES = 192
# A row is filled to this share at least, if so many pictures have one that does.
MIN_FILLED, MAX_TRIES = 0.75, 4
# Pictures of more tiles than a micro-batch should hold cost several times as much and teach
# little more, so most of them are passed over.
LARGE_SHARE = 0.15
_HELD_OUT_PAIRS = torch.from_numpy(held_out_pairs())


class _Targets:
    """What each token of a sample is read from: its place, the bin there, the object; or -1."""

    def __init__(self, length: int) -> None:
        self.places = [NOWHERE] * length
        self.bins = [NOWHERE] * length
        self.objects = [NO_OBJECT] * length


class RenderedBatches(Dataset[PretrainingBatch]):
    """``self[m]`` renders micro-batch ``m``: samples of one kind and of like length."""

    def __init__(
        self,
        stage: PretrainingStage,
        seed: int,
        processor: DeepseekVLV2Processor,
        split: Split = "train",
    ) -> None:
        self.stage, self.seed, self.split = stage, seed, split
        self.processor = processor

    def __len__(self) -> int:
        return self.stage.steps * self.stage.micro_batches

    def __getitem__(self, number: int) -> PretrainingBatch:
        rng = random.Random(f"{self.seed}/{self.stage.name}/{number}")  # noqa: S311
        kind = self._kind(number)
        if self.stage.language_loss == 0:
            return self._tiles_only(kind, rng)
        return self._conversations(kind, rng)

    def _kind(self, number: int) -> str:
        """Two neighbours are of one kind: two processes then have as much to do each, and a step
        of more micro-batches still holds several kinds.
        """
        step, inside = divmod(number, self.stage.micro_batches)
        rng = random.Random(f"{self.seed}/{self.stage.name}/step {step}/{inside // 2}")  # noqa: S311
        return rng.choices(list(self.stage.mix), list(self.stage.mix.values()))[0]

    def _render(self, kind: str, rng: random.Random) -> Sample:
        return render(kind, rng.getrandbits(48), self.split)

    def _tiles_only(self, kind: str, rng: random.Random) -> PretrainingBatch:
        """Single local tiles with what lies in their cells; no text."""
        tiles: list[Tensor] = []
        marks: list[Tensor] = []
        shown: list[Tensor] = []
        while len(tiles) < self.stage.tiles:
            sample = self._render(kind, rng)
            assert sample.image is not None  # noqa: S101
            encoded = encode_sample(self.processor, _messages(sample), _images(sample))
            local = list(encoded.images[-1].tiles[1:])
            rng.shuffle(local)
            glyphs, objects = _glyph_labels(encoded, sample), _object_labels(encoded, sample)
            for index in local[: self.stage.tiles - len(tiles)]:
                tiles.append(torch.from_numpy(encoded.tiles[index]))
                marks.append(torch.from_numpy(glyphs[index]))
                shown.append(torch.from_numpy(objects[index]))
        none = torch.zeros(0, dtype=torch.long)
        text = none[:, None]
        return PretrainingBatch(
            torch.stack(tiles),
            none,
            text,
            text,
            text,
            cell_places=none,
            glyph_labels=torch.stack(marks),
            object_labels=torch.stack(shown) if self.stage.object_loss else None,
        )

    def _conversations(self, kind: str, rng: random.Random) -> PretrainingBatch:
        samples: list[PretrainingSample] = []
        marks: list[Labels] = []
        objects: list[np.ndarray] = []
        longest = tiles = 0
        zoomed = kind not in NOT_DENSE and rng.random() < self.stage.zoomed
        branched = rng.random() < self.stage.prefix_branches
        while len(samples) < MAX_SAMPLES:
            sample, zoom = self._render_alike(kind, rng, longest, zoomed=zoomed)
            encoded = self._encode(sample, zoom, branched=branched)
            longest = max(longest, len(encoded.ids))
            tiles += len(encoded.tiles)
            full = longest * (len(samples) + 1) > self.stage.tokens or tiles > self.stage.tiles
            if samples and full:
                break
            if self.stage.input_corruption and sample.objects:
                encoded = replace(encoded, ids=self._corrupted(encoded, sample, rng))
            if self.stage.negative_masking and sample.objects:
                excluded = tuple(self._excluded(encoded, sample))
                encoded = replace(encoded, excluded_tokens=excluded)
            if self.stage.guided_attention_loss or self.stage.cell_loss:
                encoded = self._with_targets(encoded, sample)
            if self.stage.token_corruption and sample.glyphs:
                share = self.stage.token_corruption
                wrong = corrupt_tokens(encoded.ids, encoded.labels, share, rng)
                encoded = replace(encoded, ids=wrong)
            samples.append(encoded)
            marks.append(_glyph_labels(encoded, sample))
            objects.append(_object_labels(encoded, sample))
        with_glyphs = self.stage.glyph_loss or self.stage.cell_loss
        glyphs = torch.from_numpy(np.concatenate(marks)) if with_glyphs else None
        shown = torch.from_numpy(np.concatenate(objects)) if self.stage.object_loss else None
        batch = collate(samples, self.processor.pad_id, glyphs, shown)
        if not self.stage.negative_masking:
            return batch
        return replace(batch, held_out_pairs=_HELD_OUT_PAIRS)

    def _encode(self, sample: Sample, zoom: float = 1.0, *, branched: bool) -> PretrainingSample:
        zooms = [zoom] * len(_images(sample))
        if branched and zooms and len(sample.turns) > 1:
            apart = [_messages(replace(sample, turns=(turn,))) for turn in sample.turns]
            return encode_branches(self.processor, apart, _images(sample), zooms)
        whole = encode_sample(self.processor, _messages(sample), _images(sample), zooms)
        return without_targets(whole)

    def _render_alike(
        self, kind: str, rng: random.Random, longest: int, *, zoomed: bool
    ) -> tuple[Sample, float]:
        """A sample that fills most of a row of ``longest`` tokens, or the last of some tries,
        and how many times as large it is shown.
        """
        tries = 0
        while True:
            sample = self._render(kind, rng)
            zoom = print_zoom(sample.image) if zoomed and sample.image is not None else 1.0
            if self._is_large(sample, zoom) and rng.random() >= LARGE_SHARE:
                continue
            tries += 1
            alike = MIN_FILLED * longest <= self._length(sample, zoom) <= longest
            if alike or not longest or tries == MAX_TRIES:
                return sample, zoom

    def _length(self, sample: Sample, zoom: float) -> int:
        """About how many tokens a sample takes; nano's are characters."""
        length = sum(len(turn.question) + len(turn.answer) for turn in sample.turns)
        if sample.image is not None:
            length += self._grid(sample, sample.image, zoom).tokens(self.processor.tile_tokens)
        return length

    def _is_large(self, sample: Sample, zoom: float) -> bool:
        if sample.image is None:
            return False
        return self._grid(sample, sample.image, zoom).count > self.stage.tiles

    def _grid(self, sample: Sample, image: Image, zoom: float) -> TileGrid:
        return self.processor.grid(image.size, images=len(_images(sample)), zoom=zoom)

    def _with_targets(self, encoded: PretrainingSample, sample: Sample) -> PretrainingSample:
        """With the position that every token is read from, the glyph's bin, and the object."""
        known = _Targets(len(encoded.ids))
        placed: list[PlacedObject] = []
        starts = answer_starts(encoded.labels)
        if sample.image is not None and encoded.images:
            before = self._before_image(encoded)
            for found in placed_objects(sample.objects, sample.image.size, encoded.images[-1]):
                cells = tuple(before + cell for cell in found.cells)
                placed.append(replace(found, cells=cells))
        for turn, start in zip(sample.turns, starts, strict=True):
            if sample.image is not None and encoded.images:
                self._aim_at_picture(encoded, sample, turn, start, known)
            self._aim_at_question(encoded, turn, start, known)
        objects = (known.objects, placed) if placed else None
        named = mentions(self.processor.tokenizer.convert_ids_to_tokens(encoded.ids))
        return replace(
            encoded,
            attention_targets=known.places,
            glyph_bins=known.bins,
            objects=objects,
            mentions=named,
            counting=tuple(self._counting(encoded, sample, starts)),
        )

    def _counting(
        self, encoded: EncodedSample, sample: Sample, starts: list[int]
    ) -> Iterator[CountedPlaces]:
        if sample.image is None or not sample.objects or not encoded.images:
            return
        size, image = sample.image.size, encoded.images[-1]
        before = self._before_image(encoded)
        for turn, start in zip(sample.turns, starts, strict=True):
            for char, spots in counted_spots(turn, size):
                known = [token_place(spot, size, image)[0] for spot in spots]
                if NOWHERE not in known:
                    token = start + self._spans(turn.answer).index(char)
                    yield CountedPlaces(token - 1, tuple(before + place for place in known))

    def _corrupted(self, encoded: EncodedSample, sample: Sample, rng: random.Random) -> list[int]:
        """``ids`` in which colours that answers tell are others, or other letters."""
        ids = list(encoded.ids)
        tokenizer = self.processor.tokenizer
        starts = answer_starts(encoded.labels)
        for turn, start in zip(sample.turns, starts, strict=True):
            wrong = corrupt_colours(turn, self.stage.input_corruption, rng)
            if wrong == turn.answer:
                continue
            tokens = tokenizer(wrong.strip(), add_special_tokens=False)["input_ids"]
            if len(tokens) == len(self._spans(turn.answer)):
                ids[start : start + len(tokens)] = tokens
        return ids

    def _excluded(self, encoded: EncodedSample, sample: Sample) -> Iterator[tuple[int, int]]:
        """Positions of letters, and tokens of others that would begin a held-out pair."""
        tokenizer = self.processor.tokenizer
        starts = answer_starts(encoded.labels)
        for turn, start in zip(sample.turns, starts, strict=True):
            letters = list(other_letters(turn))
            spans = self._spans(turn.answer) if letters else []
            for char, letter in letters:
                token = tokenizer(letter, add_special_tokens=False)["input_ids"]
                if char in spans and len(token) == 1:
                    yield start + spans.index(char), token[0]

    def _picture_end(self, encoded: EncodedSample) -> int:
        ids = encoded.ids
        return len(ids) - ids[::-1].index(self.processor.tokens.image)

    def _before_image(self, encoded: EncodedSample) -> int:
        """The position of the last image's first token."""
        return self._picture_end(encoded) - image_tokens(encoded.images[-1])

    def _aim_at_picture(
        self, encoded: EncodedSample, sample: Sample, turn: Turn, start: int, known: _Targets
    ) -> None:
        assert sample.image is not None  # noqa: S101
        size, image = sample.image.size, encoded.images[-1]
        before = self._before_image(encoded)
        spots = character_spots(turn, sample.glyphs, size)
        for index, char in enumerate(self._spans(turn.answer), start):
            spot = spots[char]
            if spot is None:
                continue
            place, inner = token_place(spot, size, image)
            if place != NOWHERE:
                known.places[index] = before + place
                known.bins[index] = inner if sample.glyphs else NOWHERE
                known.objects[index] = object_at(spot, sample.objects, size)

    def _aim_at_question(
        self, encoded: PretrainingSample, turn: Turn, start: int, known: _Targets
    ) -> None:
        ids, branches = encoded.ids, encoded.branches
        stretch = repeated(turn)
        if stretch is None:
            return
        wanted = [i for i, char in enumerate(self._spans(turn.answer)) if char in range(*stretch)]
        tokens = [ids[start + i] for i in wanted]
        for place in range(start - len(tokens), -1, -1):
            if branches is not None and branches[place] != branches[start]:
                return
            if ids[place : place + len(tokens)] == tokens:
                for number, index in enumerate(wanted):
                    known.places[start + index] = place + number
                    known.objects[start + index] = NO_OBJECT
                return

    def _spans(self, answer: str) -> list[int]:
        """The first character of every token of an answer."""
        encoded = self.processor.tokenizer(
            answer.strip(), add_special_tokens=False, return_offsets_mapping=True
        )
        return [int(start) for start, _ in encoded["offset_mapping"]]


def _images(sample: Sample) -> list[Image]:
    return [image for image in (sample.example, sample.image) if image is not None]


def _messages(sample: Sample) -> list[dict[str, str]]:
    messages: list[dict[str, str]] = []
    for turn in sample.turns:
        question = with_markers(turn.question, 0 if messages else len(_images(sample)))
        messages += [
            {"role": "<|User|>", "content": question},
            {"role": "<|Assistant|>", "content": turn.answer},
        ]
    return messages


def corrupt_tokens(
    ids: list[int], labels: list[int], share: float, rng: random.Random
) -> list[int]:
    """``ids`` with that share of the answers' tokens replaced by others of the answers."""
    answers = [token for token, label in zip(ids, labels, strict=True) if label != -100]
    return [
        rng.choice(answers) if label != -100 and rng.random() < share else token
        for token, label in zip(ids, labels, strict=True)
    ]


def answer_starts(labels: list[int]) -> list[int]:
    """Positions of the first label of every answer."""
    return [i for i, label in enumerate(labels) if label != -100 and labels[i - 1] == -100]


def image_tokens(image: PlacedImage) -> int:
    """Tokens of one image, thumbnail, separators and all."""
    return THUMBNAIL_TOKENS + image.rows * CELLS * (image.columns * CELLS + 1)


def _object_labels(encoded: EncodedSample, sample: Sample) -> np.ndarray:
    """Object labels of a sample's tiles; -1 everywhere in pictures that are not scenes."""
    labels = np.full((len(encoded.tiles), CELLS * CELLS, FIELDS), -1, np.float32)
    if sample.objects and sample.image is not None:
        image = encoded.images[-1]
        known = shown_objects(sample.objects, sample.image.size, image.columns, image.rows)
        labels[list(image.tiles)] = known
    return labels


def _glyph_labels(encoded: EncodedSample, sample: Sample) -> Labels:
    """Labels of a sample's tiles; -1 everywhere in those that have none (thumbnails, scenes)."""
    labels = np.full((len(encoded.tiles), CELLS * CELLS, BINS), -1, np.int16)
    if sample.kind not in NOT_DENSE and sample.image is not None:
        image = encoded.images[-1]
        known = glyph_labels(sample.glyphs, sample.image.size, image.columns, image.rows)
        labels[list(image.tiles[1:])] = known
    return labels

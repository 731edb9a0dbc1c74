"""What a command works with: settings, model, device and plan, each found once and handed down."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING

from dvl2_cli.engine.events import Tell, tell_nobody
from dvl2_cli.engine.request import RequestDefaults, Sampling
from dvl2_cli.errors import UsageError
from dvl2_cli.packages import need_packages
from dvl2_cli.setting_values import TILES_FORM, ZOOM_FORM, tiles_of, zoom_of
from dvl2_cli.settings import Settings, load_settings, with_flags

if TYPE_CHECKING:
    from dvl2_cli.engine.remote.places import ModelKey
    from dvl2_cli.options import CommonOptions
    from dvl2_cli.planning.accelerators import Found
    from dvl2_cli.planning.choose import Choice
    from dvl2_cli.planning.hardware import Hardware
    from dvl2_cli.store.checkpoint import CheckpointInfo
    from dvl2_cli.store.resolve import ModelSpec, Resolved


class Session:
    """The choices of one command.

    Settings are read when it is made; the rest is found when it is first asked for, and kept.

    Args:
        common: the command line's shared options, or None for the settings alone.
        tell: is told what was chosen and why.
        settings: in place of those of the file, the environment and the options.
        remember: whether this counts as a use of the model, for `dvl2 ls`.

    Raises:
        UsageError: a setting is not what it takes.
    """

    def __init__(
        self,
        common: CommonOptions | None = None,
        tell: Tell = tell_nobody,
        settings: Settings | None = None,
        *,
        remember: bool = True,
    ) -> None:
        if settings is None:
            settings = load_settings()
            settings = settings if common is None else with_flags(settings, common)
        self.settings = settings
        self.tell = tell
        self.revision = None if common is None else common.revision
        self._remember = remember and not (common is not None and common.plan)

    def check_packages(self) -> None:
        """Refuse what this installation cannot do, before anything is read.

        Raises:
            UsageError: an adapter was asked for, and what lays it over the weights is missing.
        """
        if self.settings.adapter is not None and self.settings.server is None:
            need_packages("--adapter", "train", "peft")

    def with_model(self, name: str) -> Session:
        """The same settings with another model, chosen while the command runs."""
        sources = {**self.settings.sources, "model": "flag --model"}
        return Session(None, self.tell, replace(self.settings, model=name, sources=sources))

    @functools.cached_property
    def accelerators(self) -> Found:
        """The accelerators of this machine, and how they were looked for."""
        from dvl2_cli.planning.accelerators import find_accelerators

        return find_accelerators()

    @property
    def has_cuda(self) -> bool:
        """Whether a CUDA device is there."""
        return any(found.kind == "cuda" for found in self.accelerators[0])

    @functools.cached_property
    def spec(self) -> ModelSpec:
        """What decides which model it is."""
        from dvl2_cli.store.resolve import ModelSpec

        settings = self.settings
        cuda = settings.device.startswith("cuda")
        if settings.device == "auto":
            cuda = self.has_cuda
        source = settings.source("model")
        return ModelSpec(settings.model, source, settings.quant, self.revision, cuda)

    @functools.cached_property
    def resolved(self) -> Resolved:
        """The chosen model's folder.

        Raises:
            ModelError: it is not on this machine.
        """
        from dvl2_cli.store.resolve import resolve

        return resolve(self.spec, remember=self._remember)

    @functools.cached_property
    def checkpoint(self) -> CheckpointInfo:
        """What the folder holds.

        Raises:
            ModelError: it is broken.
        """
        from dvl2_cli.store.checkpoint import check_checkpoint

        return check_checkpoint(self.resolved.folder)

    @functools.cached_property
    def key(self) -> ModelKey:
        """By which a warm process with this model and these settings is found."""
        from dvl2_cli.engine.remote.places import ModelKey

        return ModelKey.of(self.resolved.folder, self.settings)

    @functools.cached_property
    def hardware(self) -> Hardware:
        """The machine, with the disk that the model lies on."""
        from dvl2_cli.planning.hardware import probe

        return probe(self.resolved.folder, accelerators=self.accelerators)

    @functools.cached_property
    def device(self) -> Choice:
        """The device that the model is planned for, as far as it can be told without torch.

        Raises:
            UsageError: it is not there, or the copy does not run on it.
        """
        from dvl2_cli.planning.choose import check_packed, choose_device

        requested = self.settings.device
        found = self.hardware.accelerators
        kind = requested.split(":")[0]
        if kind in ("cuda", "mps") and all(card.kind != kind for card in found.value):
            raise UsageError(
                f"--device is {requested}, but no such device is there ({found.source})",
                "Use --device cpu, or see: dvl2 doctor",
            )
        choice = choose_device(self.hardware, requested, packed=self.resolved.packed)
        if self.resolved.packed:
            check_packed(self.resolved.folder, choice.chosen)
        return choice

    @functools.cached_property
    def picture_memory(self) -> int | None:
        """Bytes that decoding one picture may take under --max-memory; None without a cap.

        Raises:
            ModelError: the model is not on this machine, or broken.
            UsageError: the cap is no size, or the device is not there.
        """
        if self.settings.max_memory is None:
            return None
        from dvl2_cli.planning.plan import picture_room
        from dvl2_cli.planning.weights import weights_held
        from dvl2_cli.sizes import parse_size

        cap = parse_size(self.settings.max_memory)
        is_here = self.settings.server is None and self.device.chosen == "cpu"
        return picture_room(cap, weights_held(self.checkpoint, "cpu") if is_here else None)

    def defaults(self, *, max_tokens: int) -> RequestDefaults:
        """What every request of the command has; ``max_tokens`` is the command's own default.

        Raises:
            UsageError: --tiles or --zoom is not what it takes.
        """
        settings = self.settings
        sampling = Sampling(
            temperature=0.0 if settings.temperature is None else settings.temperature,
            top_p=1.0 if settings.top_p is None else settings.top_p,
            seed=settings.seed,
            max_new_tokens=settings.max_tokens or max_tokens,
        )
        try:
            tiles = None if settings.tiles is None else tiles_of(settings.tiles)
        except ValueError as error:
            raise UsageError(f"--tiles is {settings.tiles!r}", TILES_FORM) from error
        try:
            zoom = None if settings.zoom is None else zoom_of(settings.zoom)
        except ValueError as error:
            raise UsageError(f"--zoom is {settings.zoom!r}", ZOOM_FORM) from error
        return RequestDefaults(sampling, tiles, zoom)

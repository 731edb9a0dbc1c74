"""What the commands that manage models print with ``--json``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from dvl2_cli.row import JsonRow
from dvl2_cli.store.contents import ModelPart
from dvl2_cli.store.inventory import State
from dvl2_cli.store.policy import Policy
from dvl2_cli.store.problems import Problem
from dvl2_cli.store.records import StoredFile
from dvl2_cli.units import Bytes, Count, Moment, Seconds, Share

if TYPE_CHECKING:
    from dvl2_cli.engine.engine import ModelInfo

CopyFormat = Literal["int4", "int8", "nf4"]


@dataclass(frozen=True, slots=True)
class SizedFile:
    """A file of a model."""

    name: str
    size: Bytes


@dataclass(frozen=True, slots=True)
class LsRow(JsonRow):
    """One copy of a model on this machine."""

    schema = "dvl2.ls/1"
    heading = "One line of dvl2 ls --json"

    name: str
    id: str
    quant: str
    revision: str | None
    state: State
    size: Bytes
    folder: Path
    pulled_at: Moment | None
    used_at: Moment | None
    default: bool


@dataclass(frozen=True, slots=True)
class ShowRow(JsonRow):
    """One model in detail."""

    schema = "dvl2.show/1"
    heading = "One line of dvl2 show --json"

    id: str
    revision: str | None
    quant: str
    folder: Path
    reason: str
    licence: str | None
    architecture: dict[str, Any] | None
    parameters: Count | None
    active_parameters: Count | None
    context_length: Count | None
    policy: Policy | None
    parts: list[ModelPart]
    files: list[SizedFile]
    problems: list[Problem]


@dataclass(frozen=True, slots=True)
class MadeCopy:
    """A quantised copy."""

    quant: str
    folder: Path


@dataclass(frozen=True, slots=True)
class PullRow(JsonRow):
    """What was pulled, and the quantised copy that was made of it."""

    schema = "dvl2.pull/1"
    heading = "One line of dvl2 pull --json"

    id: str
    revision: str
    licence: str | None
    folder: Path
    files: tuple[StoredFile, ...]
    copy: MadeCopy | None


@dataclass(frozen=True, slots=True)
class PullPlanRow(JsonRow):
    """What a pull would fetch: ``present`` is here already, ``copy`` is for the quantised copy."""

    schema = "dvl2.pull-plan/1"
    heading = "One line of dvl2 pull --dry-run --json"

    id: str
    revision: str
    folder: Path
    files: list[SizedFile]
    size: Bytes
    present: Bytes
    copy: Bytes
    free: Bytes


@dataclass(frozen=True, slots=True)
class RmRow(JsonRow):
    """A copy that was deleted."""

    schema = "dvl2.rm/1"
    heading = "One line of dvl2 rm --json"

    id: str
    quant: str
    revision: str | None
    size: Bytes


@dataclass(frozen=True, slots=True)
class ClassError:
    """How rounding changed one class of weights: sqrt(sum of squared errors / of squares)."""

    name: str
    kind: str
    relative_error: float
    weights: Count


@dataclass(frozen=True, slots=True)
class Agreement:
    """How near two models' predictions are over ``positions`` positions.

    Attributes:
        kl: mean Kullback-Leibler divergence from the original to the copy, in nats.
        top1: share of positions at which both find the same token most probable.
    """

    kl: float
    top1: Share
    positions: Count


@dataclass(frozen=True, slots=True)
class QuantizeRow(JsonRow):
    """A quantised copy; ``made`` is false for one that was there already."""

    schema = "dvl2.quantize/1"
    heading = "One line of dvl2 quantize --json"

    folder: Path
    quant: CopyFormat
    made: bool
    errors: list[ClassError]
    agreement: Agreement | None


class Server(TypedDict):
    """A warm model, as its server describes itself."""

    socket: str
    info: ModelInfo
    key: dict[str, Any]
    version: str
    pid: Count
    requests: Count
    uptime_seconds: Seconds
    idle_seconds: Seconds
    stops_after_seconds: Seconds
    resident_bytes: Bytes


@dataclass(frozen=True, slots=True)
class PsRow(JsonRow):
    """The warm models."""

    schema = "dvl2.ps/1"
    heading = "One line of dvl2 ps --json"

    servers: list[Server]


@dataclass(frozen=True, slots=True)
class PsStopRow(JsonRow):
    """The sockets of the servers that were stopped."""

    schema = "dvl2.ps-stop/1"
    heading = "The line of dvl2 ps --stop --json"

    stopped: list[Path]


@dataclass(frozen=True, slots=True)
class WarmModel:
    """The model that a server keeps."""

    id: str
    revision: str | None
    quant: str
    device: str


@dataclass(frozen=True, slots=True)
class ServeRow(JsonRow):
    """Where a model is warm: the path of a socket, or a URL."""

    schema = "dvl2.serve/1"
    heading = "The line of dvl2 serve --json, written when the model is warm"

    address: str
    pid: Count
    model: WarmModel

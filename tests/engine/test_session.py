"""What a command chooses is found once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dvl2_cli.engine.session import Session
from dvl2_cli.errors import UsageError
from dvl2_cli.options import CommonOptions
from dvl2_cli.settings import Settings
from tests.commands.conftest import Cli
from tests.commands.conftest import cli as cli

PICTURE = Path(__file__).parents[2] / "examples" / "pictures" / "letter.png"
ONCE = (
    "dvl2_cli.engine.session.load_settings",
    "dvl2_cli.planning.accelerators.find_accelerators",
    "dvl2_cli.planning.hardware.probe",
    "dvl2_cli.store.resolve.resolve",
    "dvl2_cli.store.checkpoint.check_checkpoint",
)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each of ONCE was called."""
    from pkgutil import resolve_name

    counted: Counter[str] = Counter()

    def counting(name: str, called: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            counted[name.rpartition(".")[2]] += 1
            return called(*args, **kwargs)

        return call

    for name in ONCE:
        module, _, function = name.rpartition(".")
        monkeypatch.setattr(name, counting(name, resolve_name(f"{module}:{function}")))
    return counted


def test_a_plan_finds_everything_once(cli: Cli, calls: Counter[str]) -> None:
    assert cli("ocr", PICTURE, "-m", "nano", "--plan").code == 0
    assert calls == Counter(
        load_settings=1, find_accelerators=1, probe=1, resolve=1, check_checkpoint=1
    )


def test_a_command_reads_its_settings_and_resolves_its_model_once(
    cli: Cli, calls: Counter[str]
) -> None:
    assert cli("ocr", PICTURE, "-m", "nano").code == 0
    assert calls == Counter(load_settings=1, find_accelerators=1, resolve=1)


def test_a_model_is_opened_with_what_was_found(calls: Counter[str]) -> None:
    from dvl2_cli.engine.opening import open_local_engine

    session = Session(CommonOptions(model="nano"))
    engine = open_local_engine(session)
    assert engine.info.policy == session.checkpoint.policy
    engine.close()
    assert calls == Counter(
        load_settings=1, find_accelerators=1, probe=1, resolve=1, check_checkpoint=1
    )


def test_what_is_not_asked_for_is_not_looked_at(calls: Counter[str]) -> None:
    Session(CommonOptions(model="nano", device="cpu")).defaults(max_tokens=8)
    assert calls == Counter(load_settings=1)
    assert Session(settings=Settings()).spec.model is None
    assert calls["load_settings"] == 1


def test_another_model_has_the_same_settings() -> None:
    session = Session(CommonOptions(model="none", temperature=0.5))
    other = session.with_model("nano")
    assert other.resolved.is_nano
    assert other.resolved.reason == "from flag --model"
    assert other.settings.temperature == 0.5


@pytest.mark.parametrize(("name", "value"), [("tiles", "many"), ("zoom", "0.01"), ("zoom", "big")])
def test_wrong_values_are_refused(name: str, value: str) -> None:
    given: dict[str, Any] = {name: value}
    session = Session(settings=Settings(**given))
    with pytest.raises(UsageError, match=f"--{name} is '{value}'"):
        session.defaults(max_tokens=8)

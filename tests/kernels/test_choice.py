"""$DVL2_KERNELS names the path that runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deepseek_vl_v2.kernels import library
from dvl2_cli.doctor.check import Status
from dvl2_cli.doctor.kernels import kernel_checks
from dvl2_cli.engine.local.kernel_choice import check_kernels, why_slow
from dvl2_cli.errors import UsageError

pytestmark = pytest.mark.skipif(not library.available(), reason="the kernels were not built")


@pytest.fixture(autouse=True)
def fresh_library(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = library.kernel_name()
    library.load_library.cache_clear()
    yield
    monkeypatch.delenv(library.SWITCH, raising=False)
    library.load_library.cache_clear()
    library.use_kernels(before)


def test_every_path_that_runs_can_be_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = library.load_library()
    assert loaded is not None
    names = library.path_names(loaded)
    assert names[-1] == "scalar"
    for name in names:
        monkeypatch.setenv(library.SWITCH, name)
        library.load_library.cache_clear()
        assert library.kernel_name() == name
        path = next(check for check in kernel_checks() if check.name == "path")
        assert path.found == name
        assert path.reason == f"DVL2_KERNELS={name}, of {', '.join(names)}"


@pytest.mark.parametrize("name", ["torch", "0"])
def test_torch_can_be_forced(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(library.SWITCH, name)
    assert library.kernel_name() == "torch"
    assert f"DVL2_KERNELS is {name}" in (why_slow() or "")
    monkeypatch.delenv(library.SWITCH)
    library.load_library.cache_clear()
    assert why_slow() is None


@pytest.mark.parametrize("name", ["avx3", "AVX2", "1"])
def test_an_unknown_path_is_one_clear_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(library.SWITCH, name)
    message = f"DVL2_KERNELS is '{name}'; this machine runs .*scalar, torch"
    with pytest.raises(UsageError, match=message):
        check_kernels()
    path = next(kernel_checks())
    assert path.status is Status.FAILED
    assert f"'{name}'" in (path.reason or "")


def test_a_path_of_another_processor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = library.load_library()
    assert loaded is not None
    foreign = "neon-i8mm" if "avx2" in library.path_names(loaded) else "avx2"
    monkeypatch.setenv(library.SWITCH, foreign)
    library.load_library.cache_clear()
    with pytest.raises(UsageError, match=foreign):
        check_kernels()

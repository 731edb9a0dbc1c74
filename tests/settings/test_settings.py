from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvl2_cli.errors import UsageError
from dvl2_cli.options import CommonOptions
from dvl2_cli.settings import RULES, Settings, load_settings, parse_value, with_flags
from dvl2_cli.settings_file import set_value, unset_value


def test_a_missing_file_gives_defaults(tmp_path: Path) -> None:
    settings = load_settings(tmp_path / "none.toml", {})
    assert settings == Settings()
    assert settings.source("quant") == "default"


def test_precedence_and_sources(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('# mine\nquant = "int4"\nthreads = 1\nseed = 7\n')
    settings = load_settings(path, {"DVL2_THREADS": "2", "DVL2_DEVICE": "cpu"})
    final = with_flags(settings, CommonOptions(device="cuda", offline=True))
    assert (final.quant, final.threads, final.device, final.seed) == ("int4", 2, "cuda", 7)
    assert final.offline
    assert final.source("quant") == f"{path}:2"
    assert final.source("threads") == "DVL2_THREADS"
    assert final.source("device") == "flag --device"
    assert final.source("top_p") == "default"


def test_a_flag_that_was_not_given_changes_nothing(tmp_path: Path) -> None:
    settings = load_settings(tmp_path / "none.toml", {"DVL2_OFFLINE": "1", "DVL2_SEED": "0"})
    assert with_flags(settings, CommonOptions()) == settings
    assert with_flags(settings, CommonOptions(seed=0)).source("seed") == "flag --seed"


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ('quant = "int4"\nthreads = "two"\n', 2, "threads takes a whole number, not 'two'"),
        ('\nquant = "int5"\n', 2, "quant is one of auto, none, int8, int4, nf4, not 'int5'"),
        ("# x\n\nmodle = 'a'\n", 3, "there is no setting 'modle'"),
        ("[chat]\nx = 1\n", 1, "there is no setting 'chat'"),
        ("quant = \n", 1, "not valid TOML: Invalid value"),
        ("top_p = 1.5\n", 1, "top_p is at least 0 and at most 1, not 1.5"),
        ("temperature = nan\n", 1, "temperature is at least 0, not nan"),
        ("offline = 1\n", 1, "offline takes true or false, not 1"),
        ("threads = true\n", 1, "threads takes a whole number, not True"),
    ],
)
def test_a_bad_file_names_its_line(tmp_path: Path, text: str, line: int, reason: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_settings(path, {})
    assert caught.value.message == f"{path}:{line}: {reason}"
    with pytest.raises(UsageError):
        set_value(path, "seed", 1)
    assert path.read_text() == text


def test_a_file_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(b"seed = 1\n\xff\xfe")
    with pytest.raises(UsageError, match=r"settings.toml:2: the settings are not UTF-8"):
        load_settings(path, {})
    with pytest.raises(UsageError, match="cannot read the settings"):
        load_settings(tmp_path, {})


def test_a_bad_variable_is_named() -> None:
    with pytest.raises(UsageError, match="DVL2_THREADS: threads takes a whole number"):
        load_settings(Path("/none"), {"DVL2_THREADS": "many"})
    with pytest.raises(UsageError, match="DVL2_OFFLINE: offline takes true or false"):
        load_settings(Path("/none"), {"DVL2_OFFLINE": "maybe"})


def test_setting_keeps_comments_and_order(tmp_path: Path) -> None:
    path = tmp_path / "new" / "settings.toml"
    set_value(path, "seed", 3)
    path.write_text("# top\nseed = 3  # lucky\n\n# formats\nquant = 'int8'\n")
    set_value(path, "seed", 4)
    set_value(path, "model", 'a "b" \\ c')
    text = path.read_text()
    assert text.startswith("# top\nseed = 4  # lucky\n\n# formats\nquant = 'int8'\n")
    assert load_settings(path, {}).model == 'a "b" \\ c'
    assert unset_value(path, "quant")
    assert not unset_value(path, "quant")
    assert "# top\nseed = 4  # lucky" in path.read_text()


def test_a_linked_settings_file_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "dotfiles.toml", tmp_path / "settings.toml"
    real.write_text("seed = 1\n")
    link.symlink_to(real)
    set_value(link, "seed", 2)
    assert link.is_symlink()
    assert real.read_text() == "seed = 2\n"


_VALUES = st.one_of(
    st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers(), max_size=2)
)


@given(name=st.sampled_from([*RULES, "nothing"]), value=_VALUES)
def test_any_value_is_taken_or_refused_in_one_line(name: str, value: object) -> None:
    import tempfile

    import tomlkit

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "settings.toml"
        text = tomlkit.dumps({name: value})
        path.write_text(text, encoding="utf-8", newline="")
        try:
            settings = load_settings(path, {})
        except UsageError as error:
            message = error.message
        else:
            message = ""
            taken, wanted = getattr(settings, name), tomllib.loads(text)[name]
            # A whole number does for a float, which may not hold all of its digits.
            assert taken == (float(wanted) if isinstance(taken, float) else wanted)
        assert "\n" not in message


def _dvl2(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dvl2_cli", "config", *words],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "NO_COLOR": "1", "COLUMNS": "120", **environ},
    )


def test_the_command(tmp_path: Path) -> None:
    path = str(tmp_path / "settings.toml")
    assert _dvl2("path", DVL2_CONFIG=path).stdout == path + "\n"
    assert _dvl2("set", "threads", "2", DVL2_CONFIG=path).returncode == 0
    assert _dvl2("get", "threads", DVL2_CONFIG=path).stdout == "2\n"
    assert _dvl2("get", "threads", DVL2_CONFIG=path, DVL2_THREADS="3").stdout == "3\n"
    listing = _dvl2("list", DVL2_CONFIG=path).stdout
    assert f"threads\t2\t{path}:1\n" in listing
    assert _dvl2("list", "--json", DVL2_CONFIG=path).stdout.startswith('{"schema":"dvl2.config/1"')
    wrong = _dvl2("set", "threds", "2", DVL2_CONFIG=path)
    assert wrong.returncode == 2
    assert wrong.stderr == (
        "dvl2: config set: there is no setting 'threds'\n  Did you mean threads?\n"
    )
    assert _dvl2("set", "threads", DVL2_CONFIG=path).returncode == 2
    assert _dvl2("unset", "threads", DVL2_CONFIG=path).returncode == 0
    assert Path(path).read_text() == ""


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("device", "gpu", "Use one of auto, cpu, cuda, mps"),
        ("device", "cuda:x", "or cuda:N"),
        ("tiles", "10", "0 to 9, or auto"),
        ("tiles", "many", "0 to 9, or auto"),
        ("zoom", "11", "from 0.1 to 10, or auto"),
        ("zoom", "nan", "from 0.1 to 10, or auto"),
        ("max_memory", "8 apples", "8GB"),
        ("max_memory", "0", "8GB"),
        ("server", "ftp://x", "http://127.0.0.1:8000"),
        ("quant", "int2", None),
    ],
)
def test_a_setting_and_its_option_take_the_same_values(
    name: str, value: str, remedy: str | None
) -> None:
    with pytest.raises(UsageError) as as_setting:
        parse_value(name, value, "config set")
    with pytest.raises(UsageError) as as_option:
        with_flags(Settings(), CommonOptions(**{name: value}))  # type: ignore[arg-type]
    assert as_setting.value.message.startswith(f"config set: {name} is ")
    assert "--" not in as_setting.value.message
    assert as_option.value.message.startswith(f"--{name.replace('_', '-')} is ")
    assert as_setting.value.hint == as_option.value.hint
    assert remedy is None or remedy in str(as_setting.value.hint)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("device", "cuda:1"), ("tiles", "0"), ("tiles", "auto"), ("zoom", "1.5"),
        ("zoom", "auto"), ("max_memory", "7.5GiB"), ("server", "http://[::1]:8000/v1"),
    ],
)  # fmt: skip
def test_what_is_of_the_form_is_taken_as_it_is(name: str, value: str) -> None:
    assert parse_value(name, value, "config set") == value


def test_the_password_of_a_server_is_not_shown() -> None:
    with pytest.raises(UsageError) as caught:
        parse_value("server", "ftp://me:secret@host", "config set")
    assert "secret" not in caught.value.message

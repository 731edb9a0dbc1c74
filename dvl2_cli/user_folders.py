"""The user's folders for settings, data, state and sockets; a user may have none.

A container or a service may run under a user id without an entry in the password file and without
HOME. What needs no folder works there; what needs one says so in one line.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

from dvl2_cli.errors import UsageError

_APP = "dvl2"


class NoHomeError(UsageError):
    """The user has no home folder, and no XDG variable names another place."""


def config_folder() -> Path:
    """Where settings belong.

    Raises:
        NoHomeError: there is no such place.
    """
    import platformdirs

    return _found(lambda: platformdirs.user_config_path(_APP, appauthor=False))


def data_folder() -> Path:
    """Where models and sessions belong; raises as `config_folder`."""
    import platformdirs

    return _found(lambda: platformdirs.user_data_path(_APP, appauthor=False))


def state_folder() -> Path:
    """Where stopped runs go on; raises as `config_folder`."""
    import platformdirs

    return _found(lambda: platformdirs.user_state_path(_APP, appauthor=False))


def cache_folder() -> Path:
    """Where what can be made again is kept; raises as `config_folder`."""
    import platformdirs

    return _found(lambda: platformdirs.user_cache_path(_APP, appauthor=False))


def runtime_folder() -> Path:
    """Where sockets belong; raises as `config_folder`."""
    import platformdirs

    with warnings.catch_warnings():
        # Without XDG_RUNTIME_DIR it warns that it takes a folder under /tmp, which is fine.
        warnings.simplefilter("ignore")
        return _found(lambda: platformdirs.user_runtime_path(_APP, appauthor=False))


def _found(place: Callable[[], Path]) -> Path:
    try:
        return place()
    except (RuntimeError, KeyError) as error:  # KeyError: no entry in the password file
        raise NoHomeError(
            "this user has no home folder: HOME is not set",
            "Set HOME, or XDG_CONFIG_HOME, XDG_DATA_HOME and XDG_STATE_HOME.",
        ) from error

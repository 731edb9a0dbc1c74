"""``dvl2`` with the fake engine, for tests that need a process of their own.

    python tests/commands/fake_cli.py ANSWERS.json ocr page.png …

ANSWERS.json has {"answer": text, {substring of the prompt: text} or [text of each request, the
last one's also of all that follow], "finish_reason": …,
"policy": fields of the model's policy,
"gate": a file, before which no model is there, "broken": why there is none after it,
"delay": seconds before each answer, "pace": seconds before each token, "log": file that
gets a line for each request, "peak": file that gets the process's memory status at its end}.
"""

from __future__ import annotations

import atexit
import json
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from dvl2_cli.engine import opening
from dvl2_cli.engine.events import Event, Token
from dvl2_cli.engine.request import Request
from dvl2_cli.errors import ModelError
from dvl2_cli.store.policy import Policy
from tests.fakes import FakeEngine


class ScriptedEngine(FakeEngine):
    """As slow as the script says; keeps only the last request, for pictures fill the memory."""

    pace = 0.0

    def stream(self, request: Request, cancel: threading.Event | None = None) -> Iterator[Event]:
        self.requests.clear()
        for event in super().stream(request, cancel):
            if self.pace and isinstance(event, Token):
                time.sleep(self.pace)
            yield event


def engine_from(script: dict[str, Any]) -> FakeEngine:
    def answer(request: Request) -> str:
        if "log" in script:
            with Path(script["log"]).open("a", encoding="utf-8") as log:
                log.write(request.messages[-1].shown.replace("\n", " ") + "\n")
        time.sleep(script.get("delay", 0))
        answers = script["answer"]
        if isinstance(answers, str):
            if "{size}" not in answers:
                return answers
            size = request.messages[-1].images[-1].size
            return answers.replace("{size}", f"{size[0]}x{size[1]}")
        if isinstance(answers, list):
            return str(answers.pop(0) if len(answers) > 1 else answers[0])
        content = request.messages[-1].content
        return str(next((text for key, text in answers.items() if key in content), "nothing"))

    ScriptedEngine.pace = script.get("pace", 0.0)
    engine = ScriptedEngine(
        answer,
        finish_reason=script.get("finish_reason", "stop"),
        mean_probability=script.get("mean_probability", 0.9),
        is_nano=script.get("is_nano", False),
    )
    engine.info = replace(engine.info, policy=Policy(**script.get("policy", {})))
    return engine


def opened(script: dict[str, Any]) -> FakeEngine:
    """The engine, once the file "gate" is there; or the model's error "broken"."""
    while "gate" in script and not Path(script["gate"]).exists():
        time.sleep(0.02)
    if "broken" in script:
        raise ModelError(script["broken"])
    return engine_from(script)


def main() -> None:
    script = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    opening.open_engine = lambda session: opened(script)
    if "peak" in script:
        atexit.register(shutil.copyfile, "/proc/self/status", script["peak"])
    sys.argv[1:2] = []
    from dvl2_cli.app import main as run

    run()


if __name__ == "__main__":
    main()

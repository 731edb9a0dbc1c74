"""Every subcommand, its module and its place in the help; nothing is imported for it."""

from __future__ import annotations

# name -> (module, one-line help, panel); the module has a `typer.Typer` called `app`.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "chat": ("dvl2_cli.commands.chat", "Talk about images, or answer once with -p.", "Ask"),
    "ocr": ("dvl2_cli.commands.ocr", "Read the text of images and PDF pages.", "Ask"),
    "ground": ("dvl2_cli.commands.ground", "Find what phrases name and return boxes.", "Ask"),
    "caption": ("dvl2_cli.commands.caption", "Describe one image or a folder of them.", "Ask"),
    "history": ("dvl2_cli.commands.history", "Search, show and delete kept sessions.", "Ask"),
    "pull": ("dvl2_cli.commands.pull", "Download a model and make the quantised copy.", "Models"),
    "ls": ("dvl2_cli.commands.ls", "List the models on this machine.", "Models"),
    "show": ("dvl2_cli.commands.show", "Show what a model is made of.", "Models"),
    "rm": ("dvl2_cli.commands.rm", "Delete a model from this machine.", "Models"),
    "ps": ("dvl2_cli.commands.ps", "Show the warm model server, if one runs.", "Models"),
    "quantize": ("dvl2_cli.commands.quantize", "Make a quantised local copy.", "Models"),
    "serve": ("dvl2_cli.commands.serve", "Keep a model warm on a socket.", "Models"),
    "bench": ("dvl2_cli.commands.bench", "Measure speed and memory.", "Measure"),
    "eval": ("dvl2_cli.commands.eval", "Measure the quality of answers.", "Measure"),
    "train": ("dvl2_cli.commands.train", "Train or fine-tune a model.", "Train"),
    "config": ("dvl2_cli.commands.config", "Read and change the settings.", "Settings"),
    "doctor": ("dvl2_cli.commands.doctor", "Check this installation and machine.", "Settings"),
    "help": ("dvl2_cli.commands.help", "Explain a topic, as memory or json.", "Settings"),
}

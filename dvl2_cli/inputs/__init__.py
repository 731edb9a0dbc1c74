"""From what the user names (files, folders, URLs, lists, stdin) to upright RGB pictures.

`dvl2_cli.inputs.load` has the two entry points: `load_pictures`, which raises at the first
bad input, and `read_pictures`, which yields a failure and goes on.
"""

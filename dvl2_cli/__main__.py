"""``python -m dvl2_cli`` is the ``dvl2`` command."""

from dvl2_cli.app import main

if __name__ == "__main__":
    main()

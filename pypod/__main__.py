"""``python -m pypod``."""

from pypod.cli.main import main

if __name__ == "__main__":
    main()

"""``python -m modelserving`` is the command ``modelserving``."""

from modelserving.cli import main

if __name__ == "__main__":
    main()

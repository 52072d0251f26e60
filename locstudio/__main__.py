"""``python -m locstudio``."""

from locstudio.cli import main

if __name__ == "__main__":
    raise SystemExit(main())

"""``python -m scripts`` is ``jgpt``."""

from scripts.main import main

if __name__ == "__main__":
    main()

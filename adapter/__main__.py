"""`python -m adapter`."""

from adapter.cli import main

if __name__ == "__main__":
    main()

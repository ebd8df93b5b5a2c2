"""``python -m dprnn_lab.cli``: the command line, also under torchrun."""

from . import app

if __name__ == "__main__":
    app()

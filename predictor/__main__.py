"""``python -m predictor --model_name linear-regressor --model_dir DIR``: serve a model folder."""

import argparse
import logging
from pathlib import Path

from kserve import model_server

from predictor.server import Predictor
from predictor.settings import Settings


def main() -> None:
    """Read flags and settings, and serve."""
    parser = argparse.ArgumentParser(prog="predictor", parents=[model_server.parser])
    parser.set_defaults(model_name="linear-regressor")
    parser.add_argument("--model_dir", type=Path, help="The model folder (PREDICTOR_MODEL_DIR).")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    logging.getLogger("kserve").setLevel(logging.WARNING)
    given = {"model_dir": options.model_dir} if options.model_dir else {}
    Predictor(options, Settings(**given)).run()


if __name__ == "__main__":
    main()

"""``python -m predictor --model_name linear-regressor --model_dir DIR``: serve a model folder."""

import argparse
import gc
from pathlib import Path

from predictor import import_stubs
from predictor.observability import logs
from predictor.settings import Settings

with import_stubs.without("pandas", "kubernetes"):
    from kserve import model_server

    from predictor.app import Predictor


def main() -> None:
    """Read flags and settings, and serve."""
    parser = argparse.ArgumentParser(
        prog="predictor",
        description=__doc__,
        parents=[model_server.parser],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.set_defaults(model_name="linear-regressor")
    parser.add_argument("--model_dir", type=Path, help="the model folder (PREDICTOR_MODEL_DIR)")
    options = parser.parse_args()
    if options.workers != 1:
        parser.error("--workers: one process serves here; more load is more pods")
    given = {"model_dir": options.model_dir} if options.model_dir else {}
    try:
        settings = Settings(**given)
        predictor = Predictor(options, settings)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    logs.configure(settings.log_level)
    # What the imports made stays for ever: the collector need not walk through it again and again.
    gc.freeze()
    predictor.run()


if __name__ == "__main__":
    main()

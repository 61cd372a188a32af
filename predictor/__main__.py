"""``python -m predictor --model_name linear-regressor --model_dir DIR`` serves a model folder."""

import gc
import logging
import sys

from predictor import import_stubs, settings
from predictor.observability import logs

with (
    import_stubs.without("pandas", "kubernetes", "kserve.api", "kserve.models"),
    import_stubs.without("fastapi.telemetry", inert=True),
):
    from predictor.app import Predictor
    from predictor.errors import CannotListen
    from predictor.kserve_compat import flags

logger = logging.getLogger("predictor")


def main() -> None:
    """Read flags and settings, and serve until a signal ends the process."""
    options = flags.parse()
    overrides = {"model_dir": options.model_dir} if options.model_dir else {}
    try:
        values = settings.load(**overrides)
        predictor = Predictor(options, values)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"predictor: error: {error}\n")
        sys.exit(2)
    logs.configure(values.log_level)
    if unknown := settings.unknown():
        logger.warning("variables that are no settings have no effect: %s", ", ".join(unknown))
    # Objects made by imports live as long as the process: the garbage collector need not visit them.
    gc.freeze()
    try:
        predictor.run()
    except CannotListen:
        sys.exit(1)


if __name__ == "__main__":
    main()

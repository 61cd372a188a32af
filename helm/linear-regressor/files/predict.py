"""What `helm test` runs: waits until the version is served, and asks it for a prediction."""

import json
import os
import time
import urllib.request
from typing import Any

URL = os.environ["URL"]
MODEL = os.environ["MODEL"]
VERSION = os.environ["VERSION"]
HEADERS = {"Content-Type": "application/json"}
if "API_KEY" in os.environ:
    HEADERS["X-API-Key"] = os.environ["API_KEY"]
end = time.monotonic() + float(os.environ["TIMEOUT_SECONDS"])


def ask(path: str, body: object = None) -> Any:
    """Send one request to the Service, and return the document that it answers."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data, HEADERS)  # noqa: S310
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310  the chart names it
        return json.load(answer)


while True:
    try:
        model = ask(f"/v2/models/{MODEL}")
        if not VERSION or VERSION in model["versions"]:
            break
        said = f"it serves {model['versions']}"
    except OSError as error:
        said = str(error)
    if time.monotonic() > end:
        raise SystemExit(f"version {VERSION or 'any'} of {MODEL} is not served: {said}")
    time.sleep(1)

features = model["inputs"][0]["shape"][-1]
predictions = ask(f"/v1/models/{MODEL}:predict", {"instances": [[0.0] * features]})["predictions"]
if not isinstance(predictions[0], float):
    raise SystemExit(f"no prediction came back: {predictions}")
print(f"{MODEL} serves {model['versions']} and predicts {predictions[0]}")

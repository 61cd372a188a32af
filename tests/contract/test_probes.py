"""A rollout's probes say nothing about what users ask."""

from pathlib import Path

import httpx

from components.operations.rollout.pods import PROBE
from tests.support.models import write_model
from tests.support.processes import wait_until
from tests.support.server import VERSION, start_predictor


def test_probes_are_neither_recorded_nor_sampled_for_drift(tmp_path: Path) -> None:
    def recorded() -> str:
        text = client.get("/metrics").text
        return text if 'predictor_feedback_recorded_total{kind="predictions"} 1.0' in text else ""

    store = str(tmp_path / "store")
    with (
        start_predictor(write_model(tmp_path / VERSION), place=tmp_path, feedback_url=store) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as client,
    ):
        for _ in range(3):
            for path, body in (("/stream", {"instance": 0.5}), ("/batch", {"instances": [0.5, 0.25]})):
                response = client.post(path, json=body, headers=PROBE)
                assert response.headers["x-request-id"] == PROBE["X-Request-Id"]
                response.raise_for_status()
        client.post("/stream", json={"instance": 0.5}).raise_for_status()
        wait_until(recorded, what="the request that is no probe")
        effective = 'predictor_drift_effective_rows{version="7",column="bmi"} 1.0'
        wait_until(lambda: effective in client.get("/metrics").text, what="its place in the sample")

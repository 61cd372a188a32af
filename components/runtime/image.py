"""The image every step of the pipeline runs in, named once."""

PIPELINE_IMAGE = "linear-regressor/pipeline:0.1.0"

"""The image of the pipeline's steps."""

PIPELINE_IMAGE = "linear-regressor/pipeline:0.1.0"

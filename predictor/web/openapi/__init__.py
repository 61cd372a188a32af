"""The OpenAPI document: every endpoint, with shapes and examples of the served model.

Each module describes the endpoints that the module of the same name in ``predictor/endpoints`` answers;
``site`` describes ``predictor/web/site.py``.
"""

from predictor.web.openapi.document import document

__all__ = ["document"]

"""The OpenAPI document: every endpoint of the predictor, with shapes and examples of the served model.

KServe's application can describe its own routes, but knows neither the model's shapes nor the errors, names
a validation error that is never sent, and misses what is answered in front of it. So this document is ours
in full.
"""

from predictor.web.openapi.document import document
from predictor.web.openapi.security import Auth

__all__ = ["Auth", "document"]

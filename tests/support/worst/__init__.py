"""The forms of requests that cost a server most: for each reader the body that it takes longest for."""

from tests.support.worst import binary, messages, text
from tests.support.worst.client import send
from tests.support.worst.form import Form

FORMS: tuple[Form, ...] = (*text.forms(), *binary.forms(), *messages.forms())

__all__ = ["FORMS", "Form", "send"]

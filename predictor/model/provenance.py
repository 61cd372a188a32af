"""Where a registered model comes from: kept beside the model in its folder, and signed with it.

It names the model and the version that the folder was registered as. A signature alone does not say that: the
signed folder of version 2, copied over that of version 1, would still be well signed.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, Self

FORMAT_VERSION = 1
TEXTS = ("name", "version", "digest", "run", "data", "code", "image", "created")
"""The entries that are texts."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a model comes from. A text that is not known is empty.

    Attributes:
        name: of the registered model.
        version: its number.
        digest: of the model.
        run: the identity of the pipeline run.
        data: the fingerprint of the training data.
        code: the commit of the code.
        image: the image of the steps.
        created: when it was registered, as ISO 8601 in UTC.
        promoted: whether the gate chose it, when it was registered.
        reasons: the gate's reasons.
    """

    name: str
    version: str
    digest: str
    run: str
    data: str
    code: str
    image: str
    created: str
    promoted: bool
    reasons: tuple[str, ...]

    def encode(self) -> bytes:
        """Return the content of the file."""
        return (json.dumps({"format_version": FORMAT_VERSION, **asdict(self)}, indent=2) + "\n").encode()

    @classmethod
    def decode(cls, content: bytes, digest: str | None = None) -> Self:
        """Read what ``encode`` wrote, about the model of a digest if that is given.

        Raises:
            ValueError: it is malformed, or about another model.
        """
        document: Any = json.loads(content)
        if not isinstance(document, dict) or document.get("format_version") != FORMAT_VERSION:
            raise ValueError(f"not a document of format version {FORMAT_VERSION}")
        texts: dict[str, str] = {}
        for name in TEXTS:
            if not isinstance(value := document.get(name), str):
                raise ValueError(f"{name} is not a string")
            texts[name] = value
        if digest not in (None, texts["digest"]):
            raise ValueError(f"it is about the model {texts['digest']}, not {digest}")
        promoted, reasons = document.get("promoted"), document.get("reasons")
        if not isinstance(promoted, bool) or not isinstance(reasons, list):
            raise ValueError("promoted or reasons is missing")
        if not all(isinstance(reason, str) for reason in reasons):
            raise ValueError("a reason is not a string")
        return cls(**texts, promoted=promoted, reasons=tuple(reasons))

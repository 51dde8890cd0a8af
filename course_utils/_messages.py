"""Short results for the reader, as text and as HTML (in no colour: the page may be dark)."""

from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Message:
    """A result for the reader: HTML in a notebook, text everywhere else."""

    text: str
    html: str

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f'<div style="border-left: 4px solid; padding-left: 0.8em">{self.html}</div>'


def message(*lines: str) -> Message:
    """A message of one or more lines; empty ones are left out."""
    kept = [line for line in lines if line]
    return Message("\n".join(kept), "".join(f"<div>{escape(line)}</div>" for line in kept))


def spoken(text: str | Message) -> str:
    """`text` as HTML that a screen reader reads out when it changes."""
    html = text._repr_html_() if isinstance(text, Message) else escape(text)
    return f'<div role="status" aria-live="polite">{html}</div>'

"""Received text (messages of SWR, names in a request) as plain ASCII on one line. Pure.

Harbor serves task logs without a charset, so a browser garbles any other letter. It also uses the text of an error as a
format string, so the text must not contain a percent sign (`docs/facts/harbor.md D.1`, `J.3`).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_LETTERS: Final = {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss", "æ": "ae", "ø": "o"}
_SIGNS: Final = {"…": "...", "→": "->", "←": "<-", "×": "x", "•": "*", "·": "*", "€": "EUR", "§": "section "}
_STOPS: Final = {"，": ", ", "。": ". ", "、": ", ", "\ufffd": "?"}
_QUOTES: Final = dict.fromkeys("‘’‚‛′", "'") | dict.fromkeys("“”„‟″«»", '"')
_SPELLED: Final = str.maketrans(_LETTERS | _SIGNS | _STOPS | _QUOTES | dict.fromkeys("‐‑‒–—―−", "-"))
_AMOUNT: Final = re.compile(r"(?<=\d)\s*%(?!\w)", re.ASCII)


def plain(text: str) -> str:
    """The text as one line of printable ASCII without a percent sign.

    Letters with accents lose them, German umlauts are spelled out, other letters become `<U+XXXX>`. Control and format
    characters become blanks. `100 %` becomes `100 percent`, any other percent sign `(percent)`.
    """
    visible = "".join(letter if letter.isprintable() else " " for letter in unicodedata.normalize("NFC", text))
    letters = unicodedata.normalize("NFKD", visible.translate(_SPELLED))
    spelled = "".join(letter for letter in letters if not unicodedata.combining(letter))
    escaped = "".join(letter if letter.isascii() else f"<U+{ord(letter):04X}>" for letter in spelled)
    named = _AMOUNT.sub(" percent", escaped).replace("%", "(percent)")
    return " ".join(named.split())

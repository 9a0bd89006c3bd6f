"""One knob: a behavior of the sandbox that can be changed."""

from __future__ import annotations

from dataclasses import dataclass

Value = bool | int | str


@dataclass(frozen=True)
class Knob:
    """A behavior with its source and the evidence for the default.

    The type of the default is the type of the knob. `choices` lists all texts that are allowed; empty: any text.
    `source` is a section of docs/facts/swr.md. `tag` is the evidence (docs/facts/swr.md, top): DOC documented by the
    vendor, CODE relied on by the vendor's own client code, HW seen on the sister product, 3P third party, UNK unknown.
    """

    name: str
    default: Value
    help: str
    source: str
    tag: str
    choices: tuple[str, ...] = ()

    def check(self, value: object) -> Value:
        """Returns the value.

        :raises ValueError: when the value does not fit the knob.
        """
        if not isinstance(value, bool | int | str) or type(value) is not type(self.default):
            raise ValueError(f"knob {self.name}: expected {type(self.default).__name__}, got {value!r}")
        if self.choices and value not in self.choices:
            raise ValueError(f"knob {self.name}: expected one of {', '.join(self.choices)}, got {value!r}")
        if isinstance(value, int) and value < 0:
            raise ValueError(f"knob {self.name}: expected 0 or greater, got {value}")
        return value

    def parse(self, text: str) -> Value:
        """The value of a text: on/off, true/false or 1/0 for switches.

        :raises ValueError: when the text does not fit the knob.
        """
        if isinstance(self.default, bool):
            words = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
            if text.lower() not in words:
                raise ValueError(f"knob {self.name}: expected on or off, got {text!r}")
            return words[text.lower()]
        if isinstance(self.default, int):
            if not (text.isascii() and text.isdigit()):
                raise ValueError(f"knob {self.name}: expected a number, got {text!r}")
            return self.check(int(text))
        return self.check(text)

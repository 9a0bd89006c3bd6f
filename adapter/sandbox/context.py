"""The objects that all applications of the sandbox share."""

from __future__ import annotations

from dataclasses import dataclass, field

from adapter.sandbox.accounts import Accounts
from adapter.sandbox.faults import Faults
from adapter.sandbox.journal import Journal
from adapter.sandbox.knobs import Knobs
from adapter.sandbox.limits import Lockouts, Rate
from adapter.sandbox.options import SandboxOptions
from adapter.sandbox.store import Store
from adapter.sandbox.tokens import Signer


@dataclass(frozen=True)
class Context:
    options: SandboxOptions
    store: Store
    accounts: Accounts
    knobs: Knobs
    signer: Signer = field(default_factory=Signer)
    rate: Rate = field(default_factory=Rate)
    lockouts: Lockouts = field(default_factory=Lockouts)
    journal: Journal = field(default_factory=Journal)
    faults: Faults = field(default_factory=Faults)

    @classmethod
    def create(cls, options: SandboxOptions) -> Context:
        return cls(options, Store(options.data), Accounts(options.accounts), Knobs(options.knobs))

    def reset(self) -> None:
        """Restores the initial state and deletes all stored data."""
        self.faults.set([])
        self.store.clear()
        self.knobs.reset()
        self.rate.reset()
        self.lockouts.reset()
        self.journal.clear()

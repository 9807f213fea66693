"""The reference page of the contracts, `docs/contracts.md`: `python -m lakehouse.contracts.reference > docs/contracts.md`."""

from __future__ import annotations

import json

from lakehouse.contracts import CONTRACTS
from lakehouse.contracts.base import CONTRACT_VERSION, Contract, Field
from lakehouse.contracts.json_schema import example
from lakehouse.contracts.rules import KIND_WORDS, rules_of

_HEAD = f"""# Records on Kafka: the contracts

Made from `lakehouse/contracts/` by `python -m lakehouse.contracts.reference > docs/contracts.md`; a test fails when it is out of date.
Contract version {CONTRACT_VERSION}. Every record is one UTF-8 JSON object. Types and scale are judged on the token: `1.0` is no integer, `12.340` has
three decimals, `"5"` is no number. For optional fields null and absent are the same. A field that a contract does not know is
accepted, kept in bronze and counted as a warning.

A record that breaks a rule is in `silver/quarantine`, raw, with the ids of all rules it breaks.
"""


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join([_HEAD, *(_section(contract) for contract in CONTRACTS.values())])


def _section(contract: Contract) -> str:
    fields = [row for item in contract.fields for row in _rows(item, "")]
    rules = [f"| `{rule.id}` | {rule.severity} | {rule.reason} |" for rule in rules_of(contract)]
    return "\n".join(
        [
            f"## `{contract.topic}`: {contract.meaning}",
            "",
            f"`event_type` is `{contract.event_type}`, the Kafka key is `{contract.key_field}`.",
            "",
            "| field | kind | required | limits | meaning |",
            "|---|---|---|---|---|",
            *fields,
            "",
            "```json",
            json.dumps(example(contract)),
            "```",
            "",
            '<details markdown="1"><summary>Rules</summary>',
            "",
            "| rule | severity | reason |",
            "|---|---|---|",
            *rules,
            "",
            "</details>",
            "",
        ]
    )


def _rows(item: Field, prefix: str) -> list[str]:
    limits = ", ".join(item.values) or (f"{item.minimum} to {item.maximum}" if item.minimum is not None else "")
    required = "yes" if item.required else "no"
    row = f"| `{prefix}{item.name}` | {KIND_WORDS[item.kind]} | {required} | {limits} | {item.meaning} |"
    return [row, *(line for part in item.fields for line in _rows(part, f"{prefix}{item.name}[]."))]


if __name__ == "__main__":
    print(page(), end="")

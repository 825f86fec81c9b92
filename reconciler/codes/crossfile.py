"""Codes between manifests, E2xx: names that clash, and renames that cannot be meant.

Found by `diagnostics.clashes` and, where only the state knows, by `plan`.
"""

from __future__ import annotations

from reconciler.codes.entry import Code, api

_URL = "baseUrl: https://crm.example.com"

CROSSFILE = {
    "E201": Code(
        title="two manifests have the same name",
        text=(
            "Within a kind and a namespace a name is unique, without regard to case. Both places "
            "are named. Rename one of the two, put it in another namespace, or delete the copy."
        ),
        failing=api(_URL) + "---\n" + api("baseUrl: https://crm2.example.com"),
        fixed=api(_URL)
        + "---\n"
        + api("baseUrl: https://crm2.example.com", metadata="{name: crm2}"),
    ),
    "E202": Code(
        title="previous name is still declared",
        text=(
            "A manifest says that it was called so before, while another manifest has that very "
            "name. A rename would take the identity, history and counters of a connection that "
            "still exists. Delete the entry from `previousNames`, or the other manifest. Two "
            "manifests may swap names when each lists the other's."
        ),
        failing=api(_URL, metadata="{name: crm}")
        + "---\n"
        + api("baseUrl: https://crm2.example.com", metadata="{name: crm2, previousNames: [crm]}"),
        fixed=api(_URL, metadata="{name: crm}")
        + "---\n"
        + api("baseUrl: https://crm2.example.com", metadata="{name: crm2}"),
    ),
    "E203": Code(
        title="previous name claimed twice",
        text=(
            "The same previous name stands in two places, so it cannot be told which connection "
            "continues it. Delete one of the two entries."
        ),
        failing=api(_URL, metadata="{name: crm, previousNames: [sales]}")
        + "---\n"
        + api("baseUrl: https://crm2.example.com", metadata="{name: crm2, previousNames: [sales]}"),
        fixed=api(_URL, metadata="{name: crm, previousNames: [sales]}")
        + "---\n"
        + api("baseUrl: https://crm2.example.com", metadata="{name: crm2}"),
    ),
    "E204": Code(
        title="previous name is the name itself",
        text="`previousNames` lists the name that the manifest has now. Delete the entry.",
        failing=api(_URL, metadata="{name: crm, previousNames: [crm]}"),
        fixed=api(_URL, metadata="{name: crm}"),
    ),
    "E205": Code(
        title="previous and new name are both alive",
        text=(
            "The state store has a live connection under the new name and another one under a "
            "previous name, so a rename would have to throw one of them away. Archive the one "
            "that is not to stay, or delete the entry from `previousNames`. Found by `plan`, "
            "since only the state knows."
        ),
    ),
}

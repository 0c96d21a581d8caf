"""The reference page of a site's policy, made from its own models so that it can't fall behind."""

from __future__ import annotations

from huizhen.core.study_reference import section
from huizhen.federate.policy import Hours, SitePolicy

__all__ = ["policy_reference"]

HEAD = """\
# The site's policy

`policy.toml` in a site's folder says what may be asked of the site. It is enforced in the site's own process,
before data is read, and read anew for every message: a change holds at once, also for studies that were
accepted before. Unknown keys are errors. `huizhen site init` writes one that accepts nobody;
`huizhen site join` enters a lead's key; `huizhen site policy FOLDER` checks it and prints what holds.

What a policy doesn't allow is answered by a refusal that names the field and holds no patient's value; the
refusal stands in the outbox, and the study goes on without the site if the quorum holds. This page is made
from the program's own models (`python -m huizhen.federate.policy_reference > docs/reference/site-policy.md`).
"""


def policy_reference() -> str:
    """Return the Markdown page that explains every key of a site's policy."""
    return HEAD + section("Top of the file", SitePolicy) + section("[hours]", Hours)


if __name__ == "__main__":
    print(policy_reference(), end="")

"""Rules of the service that a JSON schema cannot say: requests that break one of them alone may be refused."""

import schemathesis
from schemathesis.generation import GenerationMode

# Problems that depend on what is there, by their `type`.
STATES = {
    "business_rule_violation",  # transitions of a status, quotas, the service's own event types
    "conflict",
    "idempotency_key_reused",  # the key was used for another request before
    "invalid_cursor",  # a cursor is one that the list gave out
    "token_invalid",  # a one-time token is one that a mail carried
    "version_conflict",
}
# Faults of fields, by their `code`.
FIELD_RULES = {
    "after",  # `until` is after `since`
    "cidrs",  # ranges of addresses of either family
    "code",  # the code of this moment
    "currency",  # an active code of ISO 4217
    "json_schema",
    "max_bytes",
    "max_range",  # two times are at most so far apart
    "money_digits",  # digits of the currency
    "money_precision",
    "one_of",  # one of several proofs
    "reserved_event_type",  # names of the service's own events
    "role",  # a role of the tenant
    "shuts_out",  # a policy lets its maker in
    "text",
    "name",
    "invalid_url",  # names of hosts
    "refused_keyword",  # a tenant's own schema has no regular expression
    "time",  # days of a month
    "url",
    "wrong",  # the current password
}


@schemathesis.check
def valid_requests_are_refused_by_rules_only(ctx, response, case):
    """A request that its schema allows is refused for its content only by a rule above."""
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    if response.status_code not in (400, 412, 413, 415, 422):
        return
    problem = response.json()
    if problem["type"] in STATES:
        return
    # Schemathesis fills conditions with values that are no entity tags, although their pattern asks for these.
    if problem["type"] == "malformed_request" and problem["detail"].startswith(("The If-Match", "The If-None-Match")):
        return
    faults = problem.get("errors", [])
    # A tenant's own schema is JSON Schema, whose grammar this document does not repeat.
    codes = {fault["code"] for fault in faults if fault["field"].split(".")[0] != "schema"}
    assert faults and codes <= FIELD_RULES, f"{problem['type']}: {problem['detail']} {problem.get('errors')}"

"""What an alert looks like at the receiver, and what its answer means. Plain Python, to be tested without a component."""

import json

DAY_S = 86_400
YEAR_9999_S = 253_402_300_799


def body(alert):
    shown = {
        "id": alert.id,
        "kind": alert.kind,
        "severity": alert.severity.name.lower(),
        "resolved": alert.resolved,
        "title": alert.title,
        "text": alert.text,
        "cluster": alert.cluster,
        "node": alert.node,
        "at": rfc3339(alert.at_unix_s),
        "facts": dict(alert.facts),
    }
    return json.dumps(shown, ensure_ascii=False).encode()


def rfc3339(unix_s):
    """A moment in universal time. The standard library would ask for the time zone, which a component does not have."""
    days, second = divmod(min(unix_s, YEAR_9999_S), DAY_S)
    # Years are counted from March on, so that the day of a leap year is the last: 400 of them have 146,097 days.
    cycle, day = divmod(days + 719_468, 146_097)
    year = (day - day // 1_460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5
    year += 400 * cycle + (month > 9)
    month += 3 if month <= 9 else -9
    hour, minute = second // 3600, second // 60 % 60
    return f"{year:04}-{month:02}-{day + 1:02}T{hour:02}:{minute:02}:{second % 60:02}Z"


def refusal(status, said):
    """None when the alert was taken, else the error's case and sentence. The host tries again after `exhausted` and `other` alone."""
    why = " ".join(said.split())[:300] or "nothing"
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return "invalid", "the receiver is elsewhere: set `url` to where it answers itself"
    if status in (401, 403):
        return "denied", f"the receiver refused the key: {why}"
    if status in (404, 410):
        return "invalid", f"there is nothing where `url` points: {why}"
    if status in (408, 425, 429, 503):
        return "exhausted", f"the receiver asks to come back later: {why}"
    if status < 500:
        return "unsupported", f"the receiver refused it (status {status}): {why}"
    return "other", f"the receiver failed (status {status}): {why}"

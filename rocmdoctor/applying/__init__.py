"""Carries plans out: the only room, beside hosts and cli, that touches the machine; the only one that changes it."""

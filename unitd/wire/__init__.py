"""Names and bytes that the daemon's bus and the client share: object paths, dialects, errors, D-Bus messages."""

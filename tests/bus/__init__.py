"""The bus: tables, answers, the private socket, the link."""

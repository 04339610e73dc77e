"""The plan of a shutdown, and shutdowns from the request to the end."""

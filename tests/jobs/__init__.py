"""The algebra of jobs, transactions and the queue."""

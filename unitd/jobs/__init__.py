"""What is to be done to units: requests become transactions, transactions become jobs, jobs wait for one another."""

"""What things are: frozen values without algorithms, shared by every floor above."""

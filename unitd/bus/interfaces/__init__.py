"""The interfaces as tables: names, signatures and the functions behind them; without any dialect's prefix."""

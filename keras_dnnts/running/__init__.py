"""What every study shares: seeds, the run directory, checkpoints, interruption, callbacks, engine and device."""

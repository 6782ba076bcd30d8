"""Numbers only: networks, optimizers, schedules and the training loop, over arrays with a leading run axis."""

"""What nodes exchange and keep: messages, effects, log, disk image, epochs, options."""

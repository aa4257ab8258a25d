"""The simulated cluster: clock, network, machines, disks, injected faults, trace."""

"""The engine beside others: job queues on the same server, loaders on the same simulated Fanvue."""

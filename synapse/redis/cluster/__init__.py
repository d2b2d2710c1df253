"""Redis Cluster: slots, topology, routing and the connections to its nodes."""

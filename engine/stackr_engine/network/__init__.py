"""Networks of containers: bridges, namespaces, addresses, published ports and names."""

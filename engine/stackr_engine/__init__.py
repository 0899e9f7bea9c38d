"""One machine's containers: namespaces, cgroups, networks, images and volumes, in OCI words."""

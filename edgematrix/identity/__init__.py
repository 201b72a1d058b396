"""How principals prove who they are: certificates, secrets, keys, and the files that hold them."""

"""Who may do what on the bus: principals, their grants, and the forms in which brokers read them."""

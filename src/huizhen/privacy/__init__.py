"""What protects patients in transit and in the model: secure aggregation, mechanisms, accountants."""

"""What a model takes and returns: data types, schemas, inference from data, and the strict converter."""
